"""The bounds on memory, processes, processors and tmpfs, as the kernel keeps them.

The attack that this stops: a contestant that takes more of the machine than its role has. That
the bounds hold when somebody runs into them is tried by `bombs.py`.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import twins
from framework import Box, attack

CGROUP = Path("/sys/fs/cgroup")
PAGE_BYTES = 4096
NO_BOUND = 1 << 60


def bound(*names: str) -> int:
    """The first of these files that is there, as a number; `NO_BOUND` for no bound at all.

    Raises:
        RuntimeError: none is there, so that nothing is known.
    """
    for name in names:
        path = CGROUP / name
        if path.exists():
            word = path.read_text().split()[0]
            return NO_BOUND if word in ("max", "-1") else int(word)
    raise RuntimeError(f"none of {', '.join(names)} is there")


def _above(known: int, asked: int, what: str) -> str:
    return f"{what}: {known}, and {asked} was asked for" if known > asked else ""


@attack("shares", "memory", twin=twins.system_call)
def memory(box: Box) -> str:
    return _above(bound("memory/memory.limit_in_bytes", "memory.max"), box.memory_bytes, "bytes")


@attack("shares", "swap", twin=twins.system_call)
def swap(box: Box) -> str:
    """Version 1 counts memory and swap together, and only if the kernel was told to."""
    together = CGROUP / "memory/memory.memsw.limit_in_bytes"
    if together.exists():
        return _above(int(together.read_text()), box.memory_bytes, "bytes with swap")
    if (CGROUP / "memory.swap.max").exists():
        return _above(bound("memory.swap.max"), 0, "bytes of swap")
    lines = Path("/proc/swaps").read_text().splitlines()[1:]
    return "the machine has swap, and nothing bounds it" if lines else ""


@attack("shares", "processes", twin=twins.signal_child)
def processes(box: Box) -> str:
    return _above(bound("pids/pids.max", "pids.max"), box.pids, "processes")


@attack("shares", "processors", twin=twins.own_priority)
def processors(box: Box) -> str:
    """The quota of processor time in each period."""
    asked = box.cpus
    if (CGROUP / "cpu.max").exists():
        quota, period = (CGROUP / "cpu.max").read_text().split()
        got = float("inf") if quota == "max" else int(quota) / int(period)
    else:
        of_cpu = "cpu,cpuacct" if (CGROUP / "cpu,cpuacct").exists() else "cpu"
        quota = str(bound(f"{of_cpu}/cpu.cfs_quota_us"))
        got = int(quota) / bound(f"{of_cpu}/cpu.cfs_period_us")
    return f"{got} processors, and {asked} were asked for" if got > asked + 0.01 else ""


@attack("shares", "cores", twin=twins.own_priority)
def cores(box: Box) -> str:
    """A trial that has a set of cores to itself must not run on those of another."""
    if not box.cpuset:
        return ""
    spans = [part.partition("-") for part in box.cpuset.split(",")]
    allowed = {
        core for first, _, last in spans for core in range(int(first), int(last or first) + 1)
    }
    foreign = os.sched_getaffinity(0) - allowed
    return f"cores {sorted(foreign)}" if foreign else ""


@attack("shares", "weight of contended processors", twin=twins.own_priority)
def weight(box: Box) -> str:
    """Version 1 keeps what the engine was asked for, version 2 a number between 1 and 10,000."""
    for_1 = CGROUP / "cpu/cpu.shares"
    if for_1.exists():
        return _above(int(for_1.read_text()), box.cpu_weight, "shares")
    if not (CGROUP / "cpu.weight").exists():
        raise RuntimeError("neither cpu.shares nor cpu.weight is there")
    asked = max(_linear(box.cpu_weight), _logarithmic(box.cpu_weight))
    return _above(int((CGROUP / "cpu.weight").read_text()), asked, "of 10,000")


def _linear(shares: int) -> int:
    """The weight of version 2 for the shares of version 1, as runtimes converted it until 2025."""
    return max(1, 1 + (shares - 2) * 9999 // 262142)


def _logarithmic(shares: int) -> int:
    """Likewise, as runc 1.4 and crun 1.23 convert it (opencontainers/cgroups, pull request 20)."""
    power = math.log2(max(2, shares))
    return math.ceil(10 ** ((power * power + 125 * power) / 612 - 7 / 34))


def _size_of(folder: str) -> int:
    found = os.statvfs(folder)
    return found.f_blocks * found.f_frsize


@attack("shares", "size of tmpfs", twin=twins.write_tmp)
def tmpfs(box: Box) -> str:
    large = []
    for path, asked in (*box.tmpfs, ("/dev/shm", box.shm_bytes)):
        size = _size_of(path)
        if size > asked + PAGE_BYTES or size == 0:  # 0 stands for no bound
            large.append(f"{path} has {size} bytes, and {asked} were asked for")
    return "; ".join(large)


@attack("shares", "tmpfs that is bounded in files", twin=twins.write_tmp)
def inodes(box: Box) -> str:
    unbounded = [path for path, _ in box.tmpfs if os.statvfs(path).f_files == 0]
    return ", ".join(unbounded)


@attack("shares", "setuid files and devices on tmpfs", twin=twins.write_tmp)
def tmpfs_flags(box: Box) -> str:
    wanted = os.ST_NOSUID | _no_devices()
    wrong = [path for path, _ in box.tmpfs if os.statvfs(path).f_flag & wanted != wanted]
    return ", ".join(wrong)


def _no_devices() -> int:
    """ST_NODEV, which Python has on Linux only."""
    return int(getattr(os, "ST_NODEV", 0))
