"""Reads the environment and the memory of the first process of its container."""

from pathlib import Path


def main() -> None:
    for name in ("environ", "maps", "mem"):
        print(Path("/proc/1", name).read_bytes()[:100], flush=True)
