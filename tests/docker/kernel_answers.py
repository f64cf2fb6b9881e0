"""Makes system calls and prints what the kernel answers; its text is passed into a container.

Each argument is a call and its arguments, as in `prlimit64:1,0,0,0`; each line of the output is
`ok` or the name of the error. A word in the place of a number is one that only the process knows:
`fd` is a pidfd of itself; `zeros` and `ones` are the addresses of such bits, `room` that of memory
that a call may write to.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys

# Call → its number on x86_64 and on aarch64: asm/unistd_64.h, asm-generic/unistd.h.
NUMBERS = {
    "acct": (163, 89), "add_key": (248, 217), "bpf": (321, 280), "chroot": (161, 51),
    "clone": (56, 220), "clone3": (435, 435), "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263), "fsopen": (430, 430), "init_module": (175, 105),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "io_uring_setup": (425, 425),
    "ioprio_set": (251, 30), "kcmp": (312, 272), "kexec_load": (246, 104), "keyctl": (250, 219),
    "mount": (165, 40), "move_mount": (429, 429), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "open_tree": (428, 428), "perf_event_open": (298, 241),
    "personality": (135, 92), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "pivot_root": (155, 41), "prlimit64": (302, 261), "process_madvise": (440, 440),
    "process_mrelease": (448, 448), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "ptrace": (101, 117), "quotactl": (179, 60),
    "reboot": (169, 142), "request_key": (249, 218), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "sched_setaffinity": (203, 122), "sched_setattr": (314, 274),
    "sched_setparam": (142, 118), "sched_setscheduler": (144, 119), "sethostname": (170, 161),
    "setns": (308, 268), "setpriority": (141, 140), "settimeofday": (164, 170),
    "socket": (41, 198), "socketpair": (53, 199), "swapon": (167, 224), "syslog": (103, 116),
    "umount2": (166, 39), "unshare": (272, 97), "userfaultfd": (323, 282),
}  # fmt: skip
ARGUMENTS = 6
MEMORY = {
    "zeros": ctypes.create_string_buffer(128),
    "ones": ctypes.create_string_buffer(b"\xff" * 128),
    "room": ctypes.create_string_buffer(128),
}


def answer(call: str) -> str:
    """`ok`, or the name of the error that the call answers with."""
    name, _, given = call.partition(":")
    words = [word for word in given.split(",") if word]
    arguments = [known(word) for word in words] + [0] * (ARGUMENTS - len(words))
    number = NUMBERS[name][platform.machine() != "x86_64"]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    result = libc.syscall(*map(ctypes.c_long, (number, *arguments)))
    return "ok" if result >= 0 else errno.errorcode[ctypes.get_errno()]


def known(word: str) -> int:
    """The number that a word stands for."""
    if word == "fd":
        return os.pidfd_open(os.getpid())
    return ctypes.addressof(MEMORY[word]) if word in MEMORY else int(word, 0)


if __name__ == "__main__":
    for one in sys.argv[1:]:
        print(answer(one))
