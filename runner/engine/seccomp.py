"""The system calls that a container may make: the engine's default list, and less than that.

Invariant: nothing is allowed that the engine's default profile refuses, and no call lets a process
act on another one except by an ordinary signal. The attacks that this stops: a way around
`network none` (a vsock reaches the host's side of a virtual machine), faults in parts of the kernel
that nothing here uses (io_uring, keyrings, rare protocols, 32-bit calls), and a process of the same
user that ends PID 1, slows it, or has it believe that the runner signalled it.

`seccomp_default.json` is the engine's own profile, unchanged (NOTICE says whose it is). All that
differs is on this page: `REFUSED`, `UNSUPPORTED`, `NARROWED`, and two rules. What the default
allows only to a holder of a capability is left out, because no container has one. And only the
native calls of x86_64 and aarch64 are known: a process that makes a 32-bit or x32 call is killed.

What a filter cannot see is behind a pointer: the flags of clone3 (so it answers that it does not
exist, and the C library uses clone), the address that a socket connects to, the path of a file.
The files of another process in /proc are opened like any file: there the kernel's own checks hold.

Source: seccomp(2); the runtime specification of the Open Container Initiative, config-linux.md.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

ARCHITECTURES = ("SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64")
ALLOW, REFUSE = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"

# Why → the calls that the default allows and this profile does not. They answer EPERM.
REFUSED: Mapping[str, tuple[str, ...]] = {
    "a large part of the kernel, and a way past every filter of calls": (
        "io_uring_enter", "io_uring_register", "io_uring_setup",
    ),
    "reading and changing another process": ("ptrace",),
    "signals with a made-up sender": ("rt_sigqueueinfo", "rt_tgsigqueueinfo"),
    "releasing the memory of another process": ("process_mrelease",),
    "events of a whole mount": ("fanotify_mark",),
    "segments of memory for 16-bit programs": ("modify_ldt",),
    "sockets without a look at their family": ("socketcall",),
}  # fmt: skip

# Why → the calls that answer EOPNOTSUPP, as on a file system that lacks them: the C library's
# posix_fallocate then writes in their place.
UNSUPPORTED: Mapping[str, tuple[str, ...]] = {
    "a whole disk taken in one call, past the limit of a file's size": ("fallocate",),
}
EOPNOTSUPP = 95  # asm-generic/errno.h

# The number of an argument, the only value that it may have, and which bits of it are compared.
Condition = tuple[int, int] | tuple[int, int, int]
UNIX, INET, INET6, NETLINK = 1, 2, 10, 16  # address families: linux/socket.h
STREAM, DATAGRAM, TYPE_MASK = 1, 2, 0xF  # types, beside flags: linux/net.h
DEFAULT, TCP, UDP = 0, 6, 17  # protocols: linux/in.h
ROUTE = 0  # the only family of netlink: linux/netlink.h
ITSELF = 0  # as a process id: whoever calls
PROCESS = 0  # as `which` of setpriority: linux/resource.h
IO_PROCESS = 1  # as `which` of ioprio_set: linux/ioprio.h
NULL = 0

# Call → the combinations of arguments with which it is allowed. Others answer EPERM.
NARROWED: Mapping[str, tuple[tuple[Condition, ...], ...]] = {
    "socket": (
        ((0, UNIX),),
        *(((0, family), (1, kind, TYPE_MASK), (2, protocol))  # other types have other protocols
          for family in (INET, INET6)
          for kind, protocols in ((STREAM, (DEFAULT, TCP)), (DATAGRAM, (DEFAULT, UDP)))
          for protocol in protocols),
        ((0, NETLINK), (2, ROUTE)),  # the list of interfaces
    ),
    "socketpair": (((0, UNIX),),),
    "prlimit64": (((0, ITSELF),),),
    "setpriority": (((0, PROCESS), (1, ITSELF)),),
    "ioprio_set": (((0, IO_PROCESS), (1, ITSELF)),),
    "sched_setaffinity": (((0, ITSELF),),),
    "sched_setattr": (((0, ITSELF),),),
    "sched_setparam": (((0, ITSELF),),),
    "sched_setscheduler": (((0, ITSELF),),),
    "pidfd_send_signal": (((2, NULL), (3, 0)),),  # without information of the sender's own making
}  # fmt: skip


def default() -> dict[str, Any]:
    """The engine's default profile, in the form of its own file."""
    text = resources.files(__package__).joinpath("seccomp_default.json").read_text()
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def profile() -> dict[str, Any]:
    """The profile of every container, in the form that an engine reads."""
    base = default()
    return {
        "defaultAction": base["defaultAction"],
        "archMap": [{"architecture": name, "subArchitectures": []} for name in ARCHITECTURES],
        "syscalls": [*_kept(base["syscalls"]), *_narrowed(), *_unsupported()],
    }


@functools.cache
def text() -> str:
    """The profile as one line of JSON, to be sent to an engine."""
    return json.dumps(profile(), separators=(",", ":"))


def _kept(rules: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rules of the default without what this profile takes out or narrows."""
    taken_out = (*REFUSED.values(), *UNSUPPORTED.values())
    other = {*NARROWED, *(name for names in taken_out for name in names)}
    for rule in rules:
        includes, excludes = rule["includes"], rule["excludes"]
        names = [name for name in rule["names"] if name not in other]
        if not names or "caps" in includes:
            continue
        kept = {"names": names, "action": rule["action"], "args": rule["args"]}
        if "errnoRet" in rule:
            kept["errnoRet"] = rule["errnoRet"]
        for key, condition in (("includes", includes), ("excludes", excludes)):
            if "arches" in condition:
                kept[key] = {"arches": condition["arches"]}
        yield kept


def _narrowed() -> Iterator[dict[str, Any]]:
    for name, alternatives in NARROWED.items():
        for conditions in alternatives:
            args = [_compared(*condition) for condition in conditions]
            yield {"names": [name], "action": ALLOW, "args": args}


def _compared(index: int, value: int, mask: int | None = None) -> dict[str, Any]:
    if mask is None:
        return {"index": index, "value": value, "op": "SCMP_CMP_EQ"}
    return {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}


def _unsupported() -> Iterator[dict[str, Any]]:
    for names in UNSUPPORTED.values():
        yield {"names": list(names), "action": REFUSE, "args": [], "errnoRet": EOPNOTSUPP}


if __name__ == "__main__":  # for an engine that takes the path of a file alone: docs/engines.md
    sys.stdout.write(f"{text()}\n")
