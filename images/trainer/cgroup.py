"""Reads the memory figures of the container's control group, version 1 or 2."""

from __future__ import annotations

import os
import resource
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def peak_memory_bytes(root: Path = ROOT) -> int:
    """The most memory that the container held at once, in bytes.

    If the control group does not tell, it is the peak of the largest child process.
    """
    for name in ("memory.peak", "memory/memory.max_usage_in_bytes"):
        try:
            return int((root / name).read_text())
        except (OSError, ValueError):
            continue
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def oom_kills(root: Path = ROOT) -> int:
    """How many of the container's processes the kernel killed because memory ran out."""
    for name in ("memory.events", "memory/memory.oom_control"):
        try:
            lines = (root / name).read_text().splitlines()
        except OSError:
            continue
        counts = dict(line.split()[:2] for line in lines if len(line.split()) >= 2)
        return int(counts.get("oom_kill", 0))
    return 0


def own_cores() -> frozenset[int]:
    """The cores that this container has, if they are not all of the machine's; else none."""
    cores = os.sched_getaffinity(0)
    return frozenset(cores) if len(cores) < (os.cpu_count() or 0) else frozenset()
