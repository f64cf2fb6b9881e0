"""Where an engine or a runtime differs from Docker's engine with runc: what is so there, and why.

Nothing is left out because of a difference: the tests assert what stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.records.containment import Outcome
from tests.engines.under import Name


@dataclass(frozen=True)
class Difference:
    """What a test finds there, and why that is so."""

    found: Any
    why: str


_USUAL_STATUS = {"CapEff": "0" * 16, "CapPrm": "0" * 16, "CapBnd": "0" * 16}
DIFFERENCES: Mapping[tuple[Name, str], Difference] = {
    ("gvisor", "status"): Difference(
        _USUAL_STATUS | {"Seccomp": "0"},
        "gVisor has no line for NoNewPrivs, and uses no profile of the engine's (its option for "
        "that refuses select(2) in this version): what reaches the "
        "machine's kernel is filtered by a profile of its own, around the whole sandbox",
    ),
    ("gvisor", "open of pid 1"): Difference(
        ["environ", "stdin", "stdout"],
        "this gVisor gives whoever has PID 1's user its files in /proc, dumpable or not, and lets "
        "it be killed from inside; its memory and ptrace are closed. So a contestant can end its "
        "own container, and write what looks like a word of its PID 1",
    ),
    ("gvisor", "too many processes"): Difference(
        "ended",
        "the bound counts gVisor's own threads as well, and at it the whole sandbox ends",
    ),
    ("gvisor", "node"): Difference(
        True, "a node can be made in a tmpfs, but no driver is behind it: opening it is ENXIO"
    ),
    ("gvisor", "agent that is resumed"): Difference(
        "opus",
        "a turn of Codex can stop for good there: its shell has ended, and Codex does not see that",
    ),
    ("podman", "a second client talks"): Difference(
        False,
        "conmon closes PID 1's stdin when the client leaves (it is started without "
        "--leave-stdin-open), so PID 1 ends as after `stop`; a runner that comes back opens the "
        "containers anew anyway, on the same volumes",
    ),
    ("podman", "link.txt"): Difference(
        b"0123456789",
        "the last link of a path is followed, within the volume only: what comes out is another "
        "file that the container's user wrote",
    ),
}


Failing = tuple[str, str, Outcome]  # the class of a probe, its name, and what comes of it


def _broken(kind: str, *probes: str) -> tuple[Failing, ...]:
    return tuple((kind, probe, "broken") for probe in probes)


def _unproven(kind: str, *probes: str) -> tuple[Failing, ...]:
    return tuple((kind, probe, "unproven") for probe in probes)


# Engine or runtime → why → the quick probes of a run that do not hold there, in every container.
NOT_HELD: Mapping[Name, Mapping[str, tuple[Failing, ...]]] = {
    "docker": {},
    "podman": {},
    "gvisor": {
        "gVisor makes namespaces for everybody; they are of its own kernel, not of the machine's": (
            _broken("mounts and namespaces", "unshare user", "clone user", "unshare mount",
                    "clone mount", "unshare cgroup", "clone cgroup", "unshare time")),
        "PID 1 is open to its own user, dumpable or not": _broken(
            "PID 1", *(f"read /proc/1/{name}" for name in (
                "environ", "maps", "auxv", "smaps", "fdinfo/0", "fd", "ns/net")),
            *(f"write /proc/1/fd/{number}" for number in (0, 1, 2))),
        "a signal may have a made-up sender, and no filter of calls guards PID 1": _broken(
            "PID 1", "rt_sigqueueinfo with a forged sender",
            "rt_tgsigqueueinfo with a forged sender", "prlimit", "setpriority",
            "setpriority of all processes of the user", "sched_setaffinity",
            "sched_setscheduler"),
        "SIGKILL from inside ends PID 1, and so the container, before this probe can say so": (
            _unproven("PID 1", "signals")),
        "device nodes can be made, and no driver of the machine is behind them": _broken(
            "privileges", *(f"make a device of {name}" for name in (
                "memory", "the kernel's log", "a disk", "a tunnel", "fuse"))),
        "/dev/fuse and /dev/net/tun are there, and lead to gVisor's own kernel": _broken(
            "privileges", "devices in /dev"),
        "gVisor has these of its own; its log is made up": _broken(
            "kernel interfaces", "io_uring_setup", "syslog"),
        "gVisor refuses these with errors that are no refusals of Linux": _unproven(
            "kernel interfaces", "perf_event_open", "personality without random addresses"),
        "gVisor shows no control groups inside; test_bounds.py runs into the bounds instead": (
            _unproven("shares", "memory", "swap", "processes", "processors",
                      "weight of contended processors")),
        "gVisor's tmpfs is bounded in bytes alone, and has no options nosuid and nodev": _broken(
            "shares", "tmpfs that is bounded in files", "setuid files and devices on tmpfs"),
    },
}  # fmt: skip


def not_held(name: Name) -> set[Failing]:
    """The quick probes that do not hold there."""
    return {failing for because in NOT_HELD[name].values() for failing in because}


def expected(name: Name, fact: str, usual: Any) -> Any:
    """What is so there: what is usual, unless a difference is listed."""
    difference = DIFFERENCES.get((name, fact))
    return usual if difference is None else difference.found
