"""What a contestant's process can do to PID 1, which is Bakeoff's own program and of the same user.

The attack that this stops: a process that reads what PID 1 holds, speaks in its name, or slows and
ends it so that nobody stops what comes after the end.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import struct
from collections.abc import Callable
from pathlib import Path

import twins
from framework import Attack, Box, Twin, act_of, attack
from kernel_calls import call

FIRST = 1
SI_QUEUE = -1
PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206
SIGINFO_BYTES = 128
IOPRIO_PROCESS, IOPRIO_USER, BEST_EFFORT = 1, 3, 2 << 13 | 4
PRIO_PROCESS, PRIO_USER = 0, 2
READ_FILES = ("mem", "environ", "maps", "auxv", "stack", "syscall", "io", "smaps", "pagemap",
              "personality", "fdinfo/0", "map_files", "fd", "ns/net")  # fmt: skip
# What is written; nothing where it shows enough that the file can be opened. Anybody may open the
# last two, and only writing is refused.
WRITE_FILES: dict[str, bytes] = {
    **dict.fromkeys(("mem", "fd/0", "fd/1", "fd/2", "oom_score_adj", "oom_adj", "comm", "sched",
                     "coredump_filter", "clear_refs", "autogroup", "loginuid", "uid_map",
                     "gid_map", "setgroups", "projid_map", "timens_offsets"), b""),
    "timerslack_ns": b"50000",
    "attr/current": b"changeprofile unconfined",
}  # fmt: skip
ABSENT = (errno.ENOENT, errno.EINVAL, errno.ENOTDIR)


def _reads(name: str) -> Attack:
    def run(_box: Box) -> str:
        path = f"/proc/{FIRST}/{name}"
        if name in ("fd", "map_files"):
            return f"{path} has {len(os.listdir(path))} entries"
        if name.startswith("ns/"):
            return f"{path} is {os.readlink(path)}"
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            got = b"" if name == "mem" else os.read(file, 64)
        finally:
            os.close(file)
        return f"{path} was opened ({len(got)} bytes read)"

    return run


def _writes(name: str, content: bytes) -> Attack:
    def run(_box: Box) -> str:
        path = f"/proc/{FIRST}/{name}"
        file = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        try:
            if content:
                os.write(file, content)
        finally:
            os.close(file)
        return f"{path} was opened for writing"

    return run


for file_name in READ_FILES:
    attack("PID 1", f"read /proc/1/{file_name}", twin=twins.read_own_process, also=ABSENT)(
        _reads(file_name)
    )
for file_name, text in WRITE_FILES.items():
    attack("PID 1", f"write /proc/1/{file_name}", twin=twins.read_own_process, also=ABSENT)(
        _writes(file_name, text)
    )


def _forged(number: int) -> ctypes.Array[ctypes.c_char]:
    """A siginfo_t (asm-generic/siginfo.h) that says that process 0, the host, sent the signal."""
    packed = struct.pack("=iiiiii", number, 0, SI_QUEUE, 0, 0, 0)
    return ctypes.create_string_buffer(packed, SIGINFO_BYTES)


def _vectors() -> tuple[object, object, object]:
    """One word of this process and one of another, as struct iovec; the word is returned first."""
    word = ctypes.create_string_buffer(8)
    mine = (ctypes.c_uint64 * 2)(ctypes.addressof(word), 8)
    other = (ctypes.c_uint64 * 2)(0x400000, 8)
    return word, mine, other


def _copies(name: str) -> None:
    word, mine, other = _vectors()
    call(name, FIRST, ctypes.byref(mine), 1, ctypes.byref(other), 1, 0)  # type: ignore[arg-type]
    del word


def _set_limits() -> None:
    """Set a limit of PID 1 to what it is."""
    limits = (ctypes.c_uint64 * 2)()
    call("prlimit64", FIRST, 0, None, ctypes.byref(limits))
    call("prlimit64", FIRST, 0, ctypes.byref(limits), None)


def _set_cores() -> None:
    cores = sum(1 << core for core in os.sched_getaffinity(0))
    mask = cores.to_bytes(max(8, (cores.bit_length() + 63) // 64 * 8), "little")
    call("sched_setaffinity", FIRST, len(mask), mask)


def _with_pidfd(act: Callable[[int], object]) -> None:
    pidfd = call("pidfd_open", FIRST, 0)
    try:
        act(pidfd)
    finally:
        os.close(pidfd)


# What is done to PID 1 (always what changes nothing), its twin, and the errors that come only after
# the right was checked.
NORMAL = ctypes.c_int(0)
ATTRIBUTES = struct.pack("=IIQiIQQQ", 48, 0, 0, 0, 0, 0, 0, 0)  # sched_attr: SCHED_OTHER, nice 0
ACTS: dict[str, tuple[Callable[[], object], Twin, tuple[int, ...]]] = {
    "ptrace attach": (lambda: call("ptrace", PTRACE_ATTACH, FIRST, 0, 0), twins.signal_child, ()),
    "ptrace seize": (lambda: call("ptrace", PTRACE_SEIZE, FIRST, 0, 0), twins.signal_child, ()),
    "process_vm_readv": (
        lambda: _copies("process_vm_readv"), twins.read_own_process, (errno.EFAULT,)),
    "process_vm_writev": (
        lambda: _copies("process_vm_writev"), twins.read_own_process, (errno.EFAULT,)),
    "rt_sigqueueinfo with a forged sender": (
        lambda: call("rt_sigqueueinfo", FIRST, signal.SIGUSR1, _forged(signal.SIGUSR1)),
        twins.signal_child, ()),
    "rt_tgsigqueueinfo with a forged sender": (
        lambda: call("rt_tgsigqueueinfo", FIRST, FIRST, signal.SIGUSR1, _forged(signal.SIGUSR1)),
        twins.signal_child, ()),
    "pidfd_send_signal with a forged sender": (
        lambda: _with_pidfd(lambda fd: call(
            "pidfd_send_signal", fd, signal.SIGUSR1, _forged(signal.SIGUSR1), 0)),
        twins.signal_child, ()),
    "pidfd_getfd": (
        lambda: _with_pidfd(lambda fd: call("pidfd_getfd", fd, 0, 0)), twins.pipe_by_number, ()),
    "prlimit": (_set_limits, twins.own_limits, ()),
    "setpriority": (
        lambda: call("setpriority", PRIO_PROCESS, FIRST, 0), twins.own_priority, ()),
    "setpriority of all processes of the user": (
        lambda: call("setpriority", PRIO_USER, os.getuid(), 0), twins.own_priority, ()),
    "sched_setaffinity": (_set_cores, twins.own_priority, ()),
    "sched_setscheduler": (
        lambda: call("sched_setscheduler", FIRST, 0, ctypes.byref(NORMAL)), twins.own_priority, ()),
    "sched_setparam": (
        lambda: call("sched_setparam", FIRST, ctypes.byref(NORMAL)), twins.own_priority, ()),
    "sched_setattr": (
        lambda: call("sched_setattr", FIRST, ATTRIBUTES, 0), twins.own_priority, ()),
    "ioprio_set": (
        lambda: call("ioprio_set", IOPRIO_PROCESS, FIRST, BEST_EFFORT), twins.own_priority, ()),
    "ioprio_set of all processes of the user": (
        lambda: call("ioprio_set", IOPRIO_USER, os.getuid(), BEST_EFFORT), twins.own_priority, ()),
    "kcmp": (lambda: call("kcmp", FIRST, os.getpid(), 0, 0, 0), twins.system_call, ()),
    "migrate_pages": (
        lambda: call("migrate_pages", FIRST, 0, None, None), twins.system_call, (errno.EINVAL,)),
    "move_pages": (
        lambda: call("move_pages", FIRST, 0, None, None, None, 0), twins.system_call, ()),
}  # fmt: skip


for title, (done, allowed, checked_later) in ACTS.items():
    attack("PID 1", title, twin=allowed)(act_of(title, done, checked_later))


@attack("PID 1", "signals", twin=twins.signal_child, ends=True)
def signals(_box: Box) -> str:
    """PID 1 ignores from inside what it has no handler for: it must neither stop nor end."""
    for number in sorted(signal.valid_signals()):
        with contextlib.suppress(OSError):
            os.kill(FIRST, number)
    state = Path(f"/proc/{FIRST}/stat").read_text().rpartition(")")[2].split()[0]
    return f"PID 1 is in the state {state}" if state in "TtZX" else ""


@attack("PID 1", "it can be traced", twin=twins.read_own_process)
def owner(_box: Box) -> str:
    """The files of a process that is closed to others belong to root."""
    uid = Path(f"/proc/{FIRST}/environ").stat().st_uid
    return f"/proc/1/environ belongs to {uid}" if uid == os.getuid() and uid != 0 else ""
