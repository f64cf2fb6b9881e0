"""Whoever takes without end must run into the bound of the role, and the machine must not notice.

They run in a container of their own, one after the other. Each stops by itself far beyond the
bound; what it got by then is what succeeded.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import signal
import sys
import time
from pathlib import Path

import twins
from framework import Box, attack

STEP_BYTES = 64 << 20
BEYOND = 1.25  # as a share of the bound: what is stopped there has no bound
FORKS_BEYOND = 64
FILES = 20_000
OPEN_FILES = 2_000_000
LONGEST_SECONDS = 40.0


def _one_page(_box: Box) -> bool:
    with mmap.mmap(-1, 1 << 20) as memory:
        memory.write(b"x" * (1 << 20))
        return memory[0] == ord("x")


@attack("bombs", "memory", twin=_one_page, part="bombs")
def memory(box: Box) -> str:
    """A child takes memory until the kernel ends it."""
    wanted = int(box.memory_bytes * BEYOND)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        Path("/proc/self/oom_score_adj").write_text("1000")
        _take_memory(wanted, writer)
    os.close(writer)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as pipe:
        taken = len(pipe.read()) * STEP_BYTES
    if os.WIFSIGNALED(status) and taken <= box.memory_bytes:
        return ""
    return f"{taken} bytes were taken, and {box.memory_bytes} are allowed ({status})"


def _take_memory(wanted: int, writer: int) -> None:
    kept = []
    page = b"x" * (1 << 20)
    for _ in range(0, wanted, STEP_BYTES):
        try:
            step = mmap.mmap(-1, STEP_BYTES)
        except OSError:
            os.kill(os.getpid(), signal.SIGKILL)
        for _ in range(STEP_BYTES >> 20):
            step.write(page)
        kept.append(step)
        os.write(writer, b"x")
    os._exit(0)


@attack("bombs", "processes", twin=twins.signal_child, part="bombs")
def processes(box: Box) -> str:
    """Fork until the kernel refuses; all children are ended afterwards."""
    children: list[int] = []
    refused = 0
    try:
        while len(children) < box.pids + FORKS_BEYOND:
            child = os.fork()
            if not child:
                signal.pause()
                os._exit(0)
            children.append(child)
    except OSError as error:
        refused = error.errno or 0
    for child in children:
        os.kill(child, signal.SIGKILL)
    for child in children:
        os.waitpid(child, 0)
    if refused == errno.EAGAIN and len(children) < box.pids:
        return ""
    return f"{len(children)} processes were started, and {box.pids} are allowed"


@attack("bombs", "space on tmpfs", twin=twins.write_tmp, part="bombs")
def space(box: Box) -> str:
    """Fill every tmpfs, /dev/shm as well."""
    large = []
    for folder, size in (*box.tmpfs, ("/dev/shm", box.shm_bytes)):
        path = Path(folder) / f"probe-{os.getpid()}"
        try:
            taken = _fill(path, int(size * BEYOND) + (1 << 20))
        finally:
            path.unlink(missing_ok=True)
        if taken > size:
            large.append(f"{folder}: {taken} bytes, and {size} are allowed")
    return "; ".join(large)


def _fill(path: Path, wanted: int) -> int:
    """Give a file room, step by step, until there is none; how much it got."""
    file = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    taken = 0
    try:
        while taken < wanted:
            os.posix_fallocate(file, taken, 1 << 20)
            taken += 1 << 20
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.ENOMEM):
            raise
    finally:
        os.close(file)
    return taken


@attack("bombs", "files on tmpfs", twin=twins.write_tmp, part="bombs")
def files(box: Box) -> str:
    """Each file takes one of a bounded number, and memory of the container's own."""
    found = os.statvfs("/tmp")
    if found.f_files == 0:
        return "no bound on the number of files"
    before = found.f_ffree
    made = 0
    try:
        for number in range(FILES):
            os.close(os.open(f"/tmp/probe-{number}", os.O_CREAT | os.O_WRONLY))
            made += 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.ENOMEM):
            raise
    counted = before - os.statvfs("/tmp").f_ffree
    for number in range(made):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"/tmp/probe-{number}")  # noqa: PTH108
    return "" if counted >= made else f"{made} files took {counted} of {before}"


@attack("bombs", "open files", twin=twins.pipe_by_number, part="bombs")
def open_files(_box: Box) -> str:
    """Open descriptors until the kernel refuses."""
    opened: list[int] = []
    until = time.monotonic() + LONGEST_SECONDS
    try:
        while len(opened) < OPEN_FILES and time.monotonic() < until:
            opened.append(os.dup(0))
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            raise
        return ""
    finally:
        if opened:
            os.closerange(min(opened), max(opened) + 1)
    return f"{len(opened)} files are open"


@attack("bombs", "processor time", twin=twins.own_priority, part="bombs")
def processor(box: Box) -> str:
    """Keep twice as many processors busy as are allowed, for a moment; count what was got."""
    seconds, workers = 1.0, int(box.cpus * 2) + 1
    children = []
    for _ in range(workers):
        child = os.fork()
        if not child:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                pass
            os._exit(0)
        children.append(child)
    began = time.monotonic()
    used = 0.0
    for child in children:
        _, _, spent = os.wait4(child, 0)
        used += spent.ru_utime + spent.ru_stime
    lasted = max(time.monotonic() - began, seconds)
    got = used / lasted
    return f"{got:.2f} processors, and {box.cpus:g} are allowed" if got > box.cpus + 0.3 else ""


def print_without_end(megabytes: int) -> None:
    """Print so much that a bound on the log must cut it; the host reads what was kept."""
    line = b"x" * 1023 + b"\n"
    for _ in range(megabytes):
        for _ in range(16):
            sys.stdout.buffer.write(line * 64)
    sys.stdout.buffer.write(b"the last line\n")
    sys.stdout.buffer.flush()
