"""Mounts, namespaces and other roots: the means by which a container is made, and left.

The attack that this stops: a namespace of one's own gives the right to mount, and so the parts of
the kernel that only root was meant to see.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from functools import partial

import twins
from framework import Attack, Box, act_of, attack
from kernel_calls import call

HERE = -100  # AT_FDCWD of fcntl.h
MS_REMOUNT, MS_BIND, MNT_DETACH = 32, 4096, 2
# linux/sched.h
NAMESPACES = {
    "user": 0x10000000, "mount": 0x00020000, "net": 0x40000000, "pid": 0x20000000,
    "ipc": 0x08000000, "uts": 0x04000000, "cgroup": 0x02000000, "time": 0x00000080,
}  # fmt: skip
SETNS_FILES = {"user": "user", "mount": "mnt", "net": "net", "pid": "pid", "ipc": "ipc",
               "uts": "uts", "cgroup": "cgroup"}  # fmt: skip
# A kernel that was built without a namespace knows neither its flag nor its file.
UNKNOWN = (errno.EINVAL, errno.ENOENT, errno.ENODEV, errno.ENOSPC)

# What is called, with which arguments, and the errors that come only after the right was checked.
CALLS: dict[str, tuple[str, tuple[object, ...], tuple[int, ...]]] = {
    "mount a tmpfs": ("mount", (b"none", b"/tmp", b"tmpfs", 0, None), ()),
    "mount proc": ("mount", (b"proc", b"/tmp", b"proc", 0, None), ()),
    "bind the root": ("mount", (b"/", b"/tmp", None, MS_BIND, None), ()),
    "remount the root": ("mount", (None, b"/", None, MS_REMOUNT, None), ()),
    "unmount /proc/sys": ("umount2", (b"/proc/sys", MNT_DETACH), ()),
    "pivot_root": ("pivot_root", (b"/tmp", b"/tmp"), (errno.EINVAL, errno.EBUSY)),
    "chroot": ("chroot", (b"/tmp",), ()),
    "open_tree": ("open_tree", (HERE, b"/tmp", 1), ()),
    "move_mount": ("move_mount", (HERE, b"/tmp", HERE, b"/tmp", 0), (errno.EINVAL, errno.ELOOP)),
    "fsopen": ("fsopen", (b"tmpfs", 0), ()),
    "fspick": ("fspick", (HERE, b"/", 0), ()),
    "mount_setattr": ("mount_setattr", (HERE, b"/", 0, ctypes.create_string_buffer(32), 32), ()),
}


for title, (what, given, checked_later) in CALLS.items():
    attack("mounts and namespaces", title, twin=twins.system_call, changes=True)(
        act_of(what, partial(call, what, *given), checked_later)
    )


def _unshare_of(flag: int) -> Attack:
    def run(_box: Box) -> str:
        call("unshare", flag)
        return "the process has a namespace of its own"

    return run


def _clone_of(flag: int) -> Attack:
    def run(_box: Box) -> str:
        child = call("clone", flag | signal.SIGCHLD, 0, 0, 0, 0)
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        return "a process in a namespace of its own was started"

    return run


def _setns_of(file: str) -> Attack:
    def run(_box: Box) -> str:
        entered = os.open(f"/proc/self/ns/{file}", os.O_RDONLY)
        call("setns", entered, 0)
        return "a namespace was entered"

    return run


for kind, bit in NAMESPACES.items():
    attack("mounts and namespaces", f"unshare {kind}", twin=twins.system_call, also=UNKNOWN,
           changes=True)(_unshare_of(bit))  # fmt: skip
    if kind != "time":  # its flag is a signal's number in the old call
        attack("mounts and namespaces", f"clone {kind}", twin=twins.signal_child, also=UNKNOWN)(
            _clone_of(bit)
        )
for kind, name in SETNS_FILES.items():
    attack("mounts and namespaces", f"setns {kind}", twin=twins.system_call, also=UNKNOWN,
           changes=True)(_setns_of(name))  # fmt: skip


@attack("mounts and namespaces", "clone3 with a user namespace", twin=twins.signal_child)
def clone3(_box: Box) -> str:
    """A filter cannot read the flags of clone3, so it has to refuse all of it."""
    arguments = (ctypes.c_uint64 * 8)(NAMESPACES["user"], 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    child = call("clone3", ctypes.byref(arguments), ctypes.sizeof(arguments))
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "a process in a user namespace was started"
