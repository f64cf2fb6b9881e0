"""Where files can be written, what is mounted, and what links lead to.

The attack that this stops: a contestant that changes the programs it is measured with, leaves
something for a later run, or reads what belongs to another.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

import twins
from framework import Box, attack

USUAL_PLACES = ("/", "/etc", "/usr", "/usr/bin", "/usr/lib", "/usr/local/bin", "/bin", "/opt",
                "/opt/bakeoff", "/opt/trainer", "/opt/judge", "/opt/agent", "/opt/venv", "/run",
                "/var", "/var/tmp", "/var/lib", "/var/log", "/home", "/srv", "/mnt", "/boot",
                "/root", "/run/lock", "/etc/codex", "/etc/claude-code",
                "/etc/gemini-cli")  # fmt: skip
# The kernel's own, and what the engine puts into every container.
KERNEL_MOUNTS = ("/proc", "/sys", "/dev")
ENGINE_MOUNTS = ("/", "/etc/resolv.conf", "/etc/hostname", "/etc/hosts", "/run/.containerenv",
                 "/run/secrets")  # fmt: skip
CLOSED = ("/run", "/var/tmp")  # `PODMANS_TMPFS` of runner/engine/lockdown.py
PAGE_BYTES = 4096
GPU_WORDS = ("nvidia", "cuda", "nv-fabricmanager", "/usr/lib/wsl", "libdxcore")
HOST_PLACES = ("/var/lib/docker", "/var/lib/containerd", "/var/lib/containers", "/host", "/rootfs",
               "/hostfs", "/var/run/secrets/kubernetes.io")  # fmt: skip
SECRET_WORDS = ("KEY", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "PROXY")


def _allowed(box: Box) -> set[str]:
    """What may be written: volumes, tmpfs and shared memory."""
    return {*box.writable, *(path for path, _ in box.tmpfs), "/dev/shm", "/dev/mqueue"}


def write_below(folder: str) -> str:
    """Make a file in a folder and remove it; the reason of a refusal, or "" if it worked."""
    path = os.path.join(folder, f".probe-{os.getpid()}")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    os.unlink(path)
    return ""


def _writes_where_it_may(box: Box) -> bool:
    """A file can be made in each place that is the container's own."""
    own = [path for path in (*box.writable, *(path for path, _ in box.tmpfs)) if path]
    refused = {path: why for path in own if (why := write_below(path))}
    if refused:
        raise RuntimeError(f"refused: {refused}")
    return bool(own)


@attack("files", "write outside of one's own places", twin=_writes_where_it_may)
def outside(box: Box) -> str:
    tops = [f"/{name}" for name in os.listdir("/")]
    places = {*USUAL_PLACES, *tops, *box.read_only, *map(str, Path("/etc").glob("*.d"))}
    own = _allowed(box)
    written = []
    for place in sorted({os.path.realpath(place) for place in places}):
        kernel = place.startswith(KERNEL_MOUNTS)
        if not kernel and place not in own and os.path.isdir(place) and not write_below(place):
            written.append(place)
    return ", ".join(written)


@attack("files", "the root is writable", twin=_writes_where_it_may)
def root(_box: Box) -> str:
    return "" if is_read_only("/") else "/ is not mounted read-only"


@attack("files", "change programs and policies", twin=twins.write_tmp,
        also=(errno.ENOENT, errno.EISDIR, errno.ETXTBSY))  # fmt: skip
def programs(_box: Box) -> str:
    """Those of Bakeoff, of the CLIs and of the system."""
    changed = []
    tops = ("/opt/bakeoff", "/opt/trainer", "/opt/judge", "/etc/codex", "/etc/claude-code",
            "/etc/gemini-cli", "/usr/local/bin")  # fmt: skip
    for path in (path for top in tops for path in Path(top).glob("*")):
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_WRONLY))
            changed.append(str(path))
    return ", ".join(changed)


def mounts() -> list[tuple[str, str]]:
    """Each mount point and its options, as /proc/self/mountinfo has them."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    words = [line.split() for line in lines]
    return [(found[4].encode().decode("unicode_escape"), found[5]) for found in words]


def is_read_only(point: str) -> bool:
    """Whether something is mounted at this very place, and what lies on top can only be read.

    The list of mounts does not say what lies on top: while the engine copies out of a container
    (`docker cp`), each volume is mounted once more, writable and *beneath* what is there, and
    stands last in the list. `statvfs` tells of the top, but not under gVisor, where each place has
    one mount.
    """
    options = [found.split(",") for where, found in mounts() if where == point]
    on_top = bool(os.statvfs(point).f_flag & os.ST_RDONLY)
    return bool(options) and (on_top or all("ro" in each for each in options))


def _is_closed(point: str) -> bool:
    """Whether it is the empty place that Podman is asked for, so that it makes none of its own."""
    about = os.statvfs(point)
    return point in CLOSED and is_read_only(point) and about.f_blocks * about.f_frsize <= PAGE_BYTES


@attack("files", "mounts that nobody asked for", twin=twins.write_tmp)
def foreign_mounts(box: Box) -> str:
    asked = {*ENGINE_MOUNTS, *box.writable, *box.read_only, *(path for path, _ in box.tmpfs)}
    found = []
    for point, _ in mounts():
        known = point in asked or any(
            point == top or point.startswith(top + "/") for top in KERNEL_MOUNTS
        )
        known = known or _is_closed(point)
        if not known and not (box.gpu and any(word in point for word in GPU_WORDS)):
            found.append(point)
    return ", ".join(found)


@attack("files", "what should be read-only is not", twin=_writes_where_it_may)
def read_only_volumes(box: Box) -> str:
    return ", ".join(
        path for path in box.read_only if os.path.isdir(path) and not is_read_only(path)
    )


@attack("files", "files of the host", twin=twins.write_tmp)
def host_files(_box: Box) -> str:
    found = [path for path in HOST_PLACES if os.path.lexists(path)]
    with contextlib.suppress(OSError):
        found.append(f"/proc/1/root with {len(os.listdir('/proc/1/root'))} entries")
    return ", ".join(found)


@attack("files", "processes of others", twin=twins.read_own_process)
def processes(_box: Box) -> str:
    """All processes come of PID 1, and PID 1 is of this container.

    A process without a parent here was put in from outside.
    """
    first = Path("/proc/1/cmdline").read_bytes()
    mine = Path("/proc/self/cmdline").read_bytes()
    if first and first != mine:
        return f"PID 1 is {first[:80]!r}, which is not of this container"
    foreign = [pid for pid in os.listdir("/proc") if pid.isdigit() and pid != "1" and _orphan(pid)]
    return f"processes {', '.join(foreign)}" if foreign else ""


def _orphan(pid: str) -> bool:
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return "PPid:\t0" in lines
    return False  # it has ended


@attack("files", "secrets in the environment", twin=twins.system_call)
def environment(_box: Box) -> str:
    names = [name for name in os.environ if any(word in name.upper() for word in SECRET_WORDS)]
    return ", ".join(names)


@attack("files", "a host name that tells something", twin=twins.system_call)
def host_name(box: Box) -> str:
    """It is the role, and says nothing of the machine or the run."""
    return "" if os.uname().nodename == box.role else os.uname().nodename


# --- links ----------------------------------------------------------------------------------------


def _hard_link_of_own(_box: Box) -> bool:
    """A hard link to a file of one's own, in the same folder, can be made."""
    path = Path(f"/tmp/probe-{os.getpid()}-one")
    path.write_bytes(b"x")
    link = path.with_suffix(".link")
    link.hardlink_to(path)
    same = link.samefile(path)
    link.unlink()
    path.unlink()
    return same


def _symbolic_link_of_own(_box: Box) -> bool:
    """A symbolic link to a file of one's own is followed."""
    path = Path(f"/tmp/probe-{os.getpid()}-two")
    path.write_bytes(b"x")
    link = path.with_suffix(".link")
    link.symlink_to(path)
    got = link.read_bytes()
    link.unlink()
    path.unlink()
    return got == b"x"


TARGETS = ("/etc/passwd", "/opt/bakeoff/pid1.py", "/usr/bin/python3.11")


@attack("files", "hard links out of one's own places", twin=_hard_link_of_own)
def hard_links(box: Box) -> str:
    made = []
    for folder in {*box.writable, *(path for path, _ in box.tmpfs), "/dev/shm"}:
        for target in TARGETS:
            link = Path(folder) / f".probe-{os.getpid()}-hard"
            with contextlib.suppress(OSError):
                os.link(target, link)
                link.unlink()
                made.append(f"{folder} to {target}")
    return ", ".join(made)


@attack("files", "write through symbolic links", twin=_symbolic_link_of_own)
def symbolic_links(box: Box) -> str:
    written = []
    for folder in {*box.writable, *(path for path, _ in box.tmpfs)}:
        for target in (*TARGETS, "/proc/1/cwd/x"):
            link = Path(folder) / f".probe-{os.getpid()}-link"
            with contextlib.suppress(OSError):
                link.symlink_to(target)
                try:
                    os.close(os.open(link, os.O_WRONLY))
                    written.append(f"{folder} to {target}")
                finally:
                    link.unlink()
    return ", ".join(written)
