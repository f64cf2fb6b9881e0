"""What the container's control group says about memory, in version 1 and 2."""

from __future__ import annotations

import resource
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def peak_memory_bytes(root: Path = ROOT) -> int:
    """The most memory that the container held at once; the largest process's where none tells."""
    for name in ("memory.peak", "memory/memory.max_usage_in_bytes"):
        try:
            return int((root / name).read_text())
        except (OSError, ValueError):
            continue
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def oom_kills(root: Path = ROOT) -> int:
    """How many processes of the container the kernel killed for want of memory."""
    for name in ("memory.events", "memory/memory.oom_control"):
        try:
            lines = (root / name).read_text().splitlines()
        except OSError:
            continue
        counts = dict(line.split()[:2] for line in lines if len(line.split()) >= 2)
        return int(counts.get("oom_kill", 0))
    return 0
