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
from collections.abc import Callable
from pathlib import Path

import twins
from framework import Box, attack

STEP_BYTES = 16 << 20
FILL_BYTES = 1 << 20
BEYOND = 1.25  # as a share of the bound: what is stopped there has no bound
FORKS_BEYOND = 64
FILES = 20_000
OPEN_FILES = 2_000_000
LONGEST_SECONDS = 40.0


def _one_page(_box: Box) -> bool:
    with mmap.mmap(-1, 1 << 20) as memory:
        memory.write(b"x" * (1 << 20))
        return memory[0] == ord("x")


def in_victim(take: Callable[[Callable[[], object]], object]) -> tuple[int, bool]:
    """Let a child take what it can; the kernel ends it before any other process.

    Args:
        take: is given what it is to call after each step.

    Returns:
        How many steps it made, and whether it was ended.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reader)
            Path("/proc/self/oom_score_adj").write_text("1000")
            take(lambda: os.write(writer, b"x"))
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        steps = len(pipe.read())
    _, status = os.waitpid(child, 0)
    return steps, os.WIFSIGNALED(status)


@attack("bombs", "memory", twin=_one_page, part="bombs")
def memory(box: Box) -> str:
    """A child takes memory until the kernel ends it, or gives it no more."""
    wanted = int(box.memory_bytes * BEYOND)
    steps, _ = in_victim(lambda step: _take_memory(wanted, step))
    taken = steps * STEP_BYTES
    return f"{taken} bytes, and {box.memory_bytes} are allowed" if taken > box.memory_bytes else ""


def _take_memory(wanted: int, step: Callable[[], object]) -> None:
    kept = []
    piece = b"x" * STEP_BYTES
    for _ in range(0, wanted, STEP_BYTES):
        memory_step = mmap.mmap(-1, STEP_BYTES)
        memory_step.write(piece)
        kept.append(memory_step)
        step()


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
    """Fill every tmpfs, /dev/shm as well. What lies there counts as the container's memory too."""
    large = []
    for folder, size in (*box.tmpfs, ("/dev/shm", box.shm_bytes)):
        path = Path(folder) / f"probe-{os.getpid()}"
        wanted = int(size * BEYOND) + FILL_BYTES
        steps, _ = in_victim(lambda step, path=path, wanted=wanted: _fill(path, wanted, step))  # type: ignore[misc]
        path.unlink(missing_ok=True)
        if steps * FILL_BYTES > size:
            large.append(f"{folder}: {steps * FILL_BYTES} bytes, and {size} are allowed")
    return "; ".join(large)


def _fill(path: Path, wanted: int, step: Callable[[], object]) -> None:
    """Give a file room, step by step, until there is none."""
    file = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    for offset in range(0, wanted, FILL_BYTES):
        os.posix_fallocate(file, offset, FILL_BYTES)
        step()


@attack("bombs", "files on tmpfs", twin=twins.write_tmp, part="bombs")
def files(_box: Box) -> str:
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
            os.unlink(f"/tmp/probe-{number}")
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
        for descriptor in opened:
            os.close(descriptor)
    return f"{len(opened)} files are open"


@attack("bombs", "processor time", twin=twins.own_priority, part="bombs")
def processor(box: Box) -> str:
    """Keep twice as many processors busy as are allowed, for a moment; count what was got."""
    seconds, workers = 1.0, int(box.cpus * 2) + 1
    children = []
    began = time.monotonic()
    for _ in range(workers):
        child = os.fork()
        if not child:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                pass
            os._exit(0)
        children.append(child)
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
