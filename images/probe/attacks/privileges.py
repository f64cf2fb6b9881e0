"""Ways to more rights: programs that give them, rights that are left, device nodes.

The attack that this stops: uid 1000 that becomes root, in the container first and then beyond it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import twins
from framework import Attack, Box, attack
from kernel_calls import call

PROGRAMS = ("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/libexec", "/usr/local/bin",
            "/usr/lib/openssh", "/usr/lib/dbus-1.0", "/opt/agent/bin")  # fmt: skip
MOUNTED = ("/proc", "/sys", "/dev")
DEVICES = {
    "null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "mqueue", "fd",
    "stdin", "stdout", "stderr", "core", "console",
}  # fmt: skip
CAPABILITY = "security.capability"
NO_DATA = (errno.ENODATA, errno.ENOTSUP)


def status() -> dict[str, str]:
    """The fields of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _finds_setuid(_box: Box) -> bool:
    """The search finds a setuid file that was made for it."""
    path = Path(f"/tmp/probe-{os.getpid()}-setuid")
    path.write_bytes(b"")
    path.chmod(0o4755)
    found = list(raising(_entries("/tmp")))
    path.unlink()
    return str(path) in found


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    """The files of one folder."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        yield from entries


def _everything(top: str) -> Iterator[os.DirEntry[str]]:
    """All files below a folder but those of the kernel; links are not followed."""
    folders = [top]
    while folders:
        for entry in _entries(folders.pop()):
            if entry.is_dir(follow_symlinks=False):
                if entry.path not in MOUNTED:
                    folders.append(entry.path)
            else:
                yield entry


def raising(entries: Iterable[os.DirEntry[str]]) -> Iterator[str]:
    """The files that give rights to whoever starts them."""
    for entry in entries:
        with contextlib.suppress(OSError):
            if not entry.is_file(follow_symlinks=False):
                continue
            mode = entry.stat(follow_symlinks=False).st_mode
            if mode & stat.S_ISUID or (mode & stat.S_ISGID and mode & 0o010):
                yield entry.path


def _with_capabilities(entries: Iterable[os.DirEntry[str]]) -> Iterator[str]:
    for entry in entries:
        with contextlib.suppress(OSError):
            if entry.is_file(follow_symlinks=False) and os.getxattr(entry.path, CAPABILITY):
                yield entry.path


def _programs() -> Iterator[os.DirEntry[str]]:
    for folder in dict.fromkeys(os.path.realpath(path) for path in PROGRAMS):
        yield from _entries(folder)


@attack("privileges", "setuid programs where programs are", twin=_finds_setuid)
def setuid_programs(_box: Box) -> str:
    return ", ".join(raising(_programs()))


@attack("privileges", "setuid programs anywhere", twin=_finds_setuid, part="all")
def setuid_anywhere(_box: Box) -> str:
    return ", ".join(raising(_everything("/")))


@attack("privileges", "programs with capabilities", twin=twins.write_tmp, part="all")
def file_capabilities(_box: Box) -> str:
    return ", ".join(_with_capabilities(_everything("/")))


@attack("privileges", "give a file capabilities", twin=twins.write_tmp, also=NO_DATA)
def set_capabilities(_box: Box) -> str:
    path = Path(f"/tmp/probe-{os.getpid()}-capable")
    path.write_bytes(b"")
    try:
        os.setxattr(path, CAPABILITY, bytes.fromhex("0100000200040000000000000000000000000000"))
    finally:
        path.unlink()
    return "a file has capabilities"


@attack("privileges", "give a file to root", twin=twins.write_tmp, also=(errno.EINVAL,))
def give_to_root(_box: Box) -> str:
    path = Path(f"/tmp/probe-{os.getpid()}-given")
    path.write_bytes(b"")
    try:
        os.chown(path, 0, 0)
    finally:
        path.unlink()
    return "a file of one's own belongs to root"


ASKED: dict[str, Callable[[], object]] = {
    "setuid": lambda: call("setuid", 0),
    "setgid": lambda: call("setgid", 0),
    "setgroups": lambda: call("setgroups", 0, None),
    "capset": lambda: call(
        "capset",
        ctypes.byref((ctypes.c_uint32 * 2)(0x20080522, 0)),  # _LINUX_CAPABILITY_VERSION_3
        ctypes.byref((ctypes.c_uint32 * 6)(1 << 21, 1 << 21, 0, 0, 0, 0)),  # CAP_SYS_ADMIN
    ),
}


def _asks(name: str) -> Attack:
    def run(_box: Box) -> str:
        ASKED[name]()
        return f"{name} was granted"

    return run


for right in ASKED:
    attack("privileges", right, twin=twins.system_call, also=(errno.EINVAL,), changes=True)(
        _asks(right)
    )


@attack("privileges", "user and groups", twin=twins.system_call)
def identity(_box: Box) -> str:
    found = {os.getuid(), os.geteuid(), os.getgid(), os.getegid(), *os.getgroups()}
    return f"0 is among the ids: {sorted(found)}" if 0 in found else ""


@attack("privileges", "foreign groups", twin=twins.system_call)
def groups(_box: Box) -> str:
    others = set(os.getgroups()) - {os.getgid()}
    return f"groups {sorted(others)}" if others else ""


@attack("privileges", "capabilities that are left", twin=twins.system_call)
def capabilities(_box: Box) -> str:
    found = status()
    found.setdefault("CapAmb", "0")  # gVisor has none; ambient ones are among the permitted
    sets = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
    return ", ".join(f"{name} {found[name]}" for name in sets if int(found[name], 16))


@attack("privileges", "no_new_privs is missing", twin=twins.system_call)
def no_new_privileges(_box: Box) -> str:
    set_to = ctypes.CDLL(None).prctl(39, 0, 0, 0, 0)  # PR_GET_NO_NEW_PRIVS
    return "" if set_to == 1 else f"no_new_privs is {set_to}"


@attack("privileges", "no filter of system calls", twin=twins.system_call)
def seccomp(box: Box) -> str:
    if box.runtime.startswith("runsc"):  # gVisor is the filter
        return ""
    mode = status().get("Seccomp", "0")
    return "" if mode == "2" else f"seccomp is in mode {mode}"


@attack("privileges", "core dumps", twin=twins.own_limits)
def core_dumps(box: Box) -> str:
    """PID 1 lowers its own limit; the container must not depend on that."""
    bound = "any size" if box.core_bytes < 0 else f"{box.core_bytes} bytes"
    return f"a core dump may have {bound}" if box.core_bytes else ""


# --- devices --------------------------------------------------------------------------------------

NODES = {
    "memory": (stat.S_IFCHR, 1, 1),
    "the kernel's log": (stat.S_IFCHR, 1, 11),
    "a disk": (stat.S_IFBLK, 8, 0),
    "a tunnel": (stat.S_IFCHR, 10, 200),
    "fuse": (stat.S_IFCHR, 10, 229),
}


def _makes_pipe(_box: Box) -> bool:
    """A named pipe, which is made by the same call as a device, can be made."""
    path = Path(f"/tmp/probe-{os.getpid()}-pipe")
    os.mkfifo(path)
    made = path.is_fifo()
    path.unlink()
    return made


def _node(kind: int, major: int, minor: int) -> Attack:
    def run(_box: Box) -> str:
        path = Path(f"/tmp/probe-{os.getpid()}-node")
        os.mknod(path, kind | 0o600, os.makedev(major, minor))
        path.unlink()
        return f"a device {major}:{minor} was made"

    return run


for device, numbers in NODES.items():
    attack("privileges", f"make a device of {device}", twin=_makes_pipe)(_node(*numbers))


@attack("privileges", "devices in /dev", twin=twins.write_tmp)
def devices(box: Box) -> str:
    names = set(os.listdir("/dev")) - DEVICES
    if box.gpu:
        names = {name for name in names if not name.startswith(("nvidia", "dxg", "dri"))}
    return ", ".join(sorted(names))
