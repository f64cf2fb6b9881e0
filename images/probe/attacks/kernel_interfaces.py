"""Interfaces of the kernel that neither a CLI nor torch needs.

The attack that this stops: code of the kernel that is new, large or meant for root is where its
faults are found. What is not needed is refused by the filter of system calls.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from functools import partial

import twins
from framework import Box, Twin, act_of, attack
from kernel_calls import call

SESSION_KEYRING = -3
PERF_SOFTWARE, PERF_DUMMY, EXCLUDE_KERNEL = 1, 9, 1 << 5
PERF_ATTRIBUTES = struct.pack("=IIQQQQQ", PERF_SOFTWARE, 112, PERF_DUMMY, 0, 0, 0, EXCLUDE_KERNEL)
BPF_ARRAY_MAP = struct.pack("=IIII", 2, 4, 4, 1)

# name: the call, its arguments, its twin, and the errors that come only after the right was checked
Row = tuple[str, tuple[object, ...], Twin, tuple[int, ...]]
CALLS: dict[str, Row] = {
    "add_key": ("add_key", (b"user", b"probe", b"x", 1, SESSION_KEYRING), twins.system_call, ()),
    "request_key": (
        "request_key", (b"user", b"probe", None, SESSION_KEYRING), twins.system_call,
        (errno.ENOKEY, errno.ENOENT)),
    "keyctl": ("keyctl", (0, SESSION_KEYRING, 1, 0, 0), twins.system_call, ()),
    "bpf": ("bpf", (0, BPF_ARRAY_MAP.ljust(72, b"\0"), 72), twins.pipe_by_number, ()),
    "perf_event_open": (
        "perf_event_open", (PERF_ATTRIBUTES.ljust(112, b"\0"), 0, -1, -1, 0),
        twins.pipe_by_number, ()),
    "userfaultfd": ("userfaultfd", (0,), twins.pipe_by_number, ()),
    "userfaultfd of user mode": ("userfaultfd", (1,), twins.pipe_by_number, ()),
    "io_uring_setup": (
        "io_uring_setup", (1, ctypes.create_string_buffer(120)), twins.pipe_by_number, ()),
    "fanotify_init": ("fanotify_init", (0x200, 0), twins.pipe_by_number, ()),
    "kexec_load": ("kexec_load", (0, 0, None, 0), twins.system_call, ()),
    "kexec_file_load": (
        "kexec_file_load", (-1, -1, 1, b"", 0), twins.system_call, (errno.EBADF, errno.EINVAL)),
    "init_module": (
        "init_module", (None, 0, b""), twins.system_call, (errno.ENOEXEC, errno.EFAULT)),
    "finit_module": (
        "finit_module", (-1, b"", 0), twins.system_call, (errno.EBADF, errno.ENOEXEC)),
    "delete_module": (
        "delete_module", (b"no_such_module", 0o4000), twins.system_call, (errno.ENOENT,)),
    "ioperm": ("ioperm", (0x80, 1, 1), twins.system_call, ()),
    "iopl": ("iopl", (3,), twins.system_call, ()),
    "quotactl": ("quotactl", (0x800001 << 8, None, 0, None), twins.system_call, ()),
    "syslog": ("syslog", (3, ctypes.create_string_buffer(64), 64), twins.system_call, ()),
    "acct": ("acct", (None,), twins.system_call, ()),
    "swapon": ("swapon", (b"/no/such/file", 0), twins.system_call, (errno.ENOENT,)),
    "swapoff": ("swapoff", (b"/no/such/file",), twins.system_call, (errno.ENOENT,)),
    "reboot": ("reboot", (0, 0, 0, None), twins.system_call, (errno.EINVAL,)),
    "settimeofday": ("settimeofday", (None, None), twins.system_call, ()),
    "sethostname": ("sethostname", (b"probe", 5), twins.system_call, ()),
    "setdomainname": ("setdomainname", (b"probe", 5), twins.system_call, ()),
    "personality without random addresses": (
        "personality", (0x0040000,), twins.system_call, ()),
    "lookup_dcookie": (
        "lookup_dcookie", (0, ctypes.create_string_buffer(64), 64), twins.system_call,
        (errno.EINVAL,)),
    "nfsservctl": ("nfsservctl", (0, None, None), twins.system_call, ()),
    "vhangup": ("vhangup", (), twins.system_call, ()),
}  # fmt: skip


for title, (what, given, allowed, checked_later) in CALLS.items():
    attack("kernel interfaces", title, twin=allowed, changes=True)(
        act_of(what, partial(call, what, *given), checked_later)
    )


@attack("kernel interfaces", "open_by_handle_at", twin=twins.write_tmp)
def open_by_handle(_box: Box) -> str:
    """A file by its number, past all paths: what has that number may lie outside the container."""
    handle = ctypes.create_string_buffer(struct.pack("=Ii", 120, 0), 128)
    mount = ctypes.c_int()
    call("name_to_handle_at", -100, b"/etc", handle, ctypes.byref(mount), 0)
    folder = os.open("/etc", os.O_RDONLY)
    try:
        os.close(call("open_by_handle_at", folder, handle, os.O_RDONLY))
    finally:
        os.close(folder)
    return "a file was opened by its number"
