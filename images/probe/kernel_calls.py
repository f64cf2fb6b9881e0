"""System calls by number, past the C library, which refuses some of them by itself.

The numbers are those of the kernel's tables: arch/x86/entry/syscalls/syscall_64.tbl and
include/uapi/asm-generic/unistd.h (for aarch64). A call that an architecture does not have is -1,
which the kernel answers with ENOSYS.
"""

from __future__ import annotations

import ctypes
import os
import platform

# name: (x86_64, aarch64)
NUMBERS = {
    "getpid": (39, 172),
    "pipe2": (293, 59),
    # mounts and namespaces
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "clone": (56, 220),
    "clone3": (435, 435),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    "prlimit64": (302, 261),
    "setpriority": (141, 140),
    "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # rights
    "setuid": (105, 146),
    "setgid": (106, 144),
    "setgroups": (116, 159),
    "capset": (126, 91),
    # interfaces of the kernel
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "ioperm": (173, -1),
    "iopl": (172, -1),
    "quotactl": (179, 60),
    "syslog": (103, 116),
    "acct": (163, 89),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "settimeofday": (164, 170),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "personality": (135, 92),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42),
    "vhangup": (153, 58),
    "fanotify_init": (300, 262),
}
_COLUMNS = {"x86_64": 0, "aarch64": 1, "arm64": 1}


def number(name: str) -> int:
    """The number of a call on this machine; -1 where it has none."""
    column = _COLUMNS.get(platform.machine())
    return -1 if column is None else NUMBERS[name][column]


def call(name: str, *arguments: object) -> int:
    """Make a system call and return what it returns.

    Args:
        name: of `NUMBERS`.
        arguments: integers, bytes, ctypes objects or None.

    Raises:
        OSError: the kernel refused; its `errno` says why.
    """
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    given = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result = int(syscall(ctypes.c_long(number(name)), *given))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)
    return result
