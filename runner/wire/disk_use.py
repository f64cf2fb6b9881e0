"""How much disk folders take: it is measured, because an ordinary file system bounds no volume.

Invariant: a measurement follows no link, stays on one file system, holds a handful of descriptors
however deep the folders are nested, and ends as soon as it has seen more than it was asked about.
The attacks that it stops: a contestant that fills the disk of the engine with bytes, with empty
files, with files that are deleted and still open, or in folders that are shut or nested deeply.
Standard library only, and no import of the other files here: this file is copied into every image.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import resource
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

BLOCK_BYTES = 512  # the unit of `st_blocks`; stat(2)
OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
READABLE = stat.S_IRUSR | stat.S_IXUSR
PROCESSES = "/proc"
STILL_OPEN = "files that are deleted and still open"
MANY_NAMES = "names beyond count (an inode may have many)"
UNLOOKED = "what could not be looked at"
MAX_DESCRIPTORS = 100_000  # of processes that are looked at
NAMES_PER_FILE = 4  # hard links cost no inode, and a walk takes time for each name
MAX_SECONDS = 60.0
STARVED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # these say nothing of what is opened


@dataclass(frozen=True)
class Positive:
    """A whole number is 1 or greater."""

    def fault(self, value: int) -> str:
        """What is wrong with a value; empty if nothing is."""
        return "" if value >= 1 else "must be at least 1"


@dataclass(frozen=True)
class DiskBound:
    """What a container's volumes may take together: the table `disk` of its `config`.

    Attributes:
        max_bytes: as the file system allocates them.
        max_files: inodes: files, folders, links and everything else that has one.
    """

    max_bytes: Annotated[int, Positive()]
    max_files: Annotated[int, Positive()]


@dataclass(frozen=True)
class DiskUse:
    """What folders were seen to take.

    Attributes:
        bytes: allocated bytes; a hole in a file takes none, and an inode counts once.
        files: inodes.
        path: the folder that takes most of it, or in words what else does.
        whole: everything was seen, and is within the bound; else there may be more.
        names: names of inodes.
    """

    bytes: int = 0
    files: int = 0
    path: str = ""
    whole: bool = True
    names: int = 0

    def passes(self, bound: DiskBound) -> bool:
        """Whether what was seen is more than the bound."""
        many = self.names > NAMES_PER_FILE * bound.max_files
        return self.bytes > bound.max_bytes or self.files > bound.max_files or many


@dataclass(frozen=True)
class Exceeded:
    """That volumes passed their bound: what `DiskExceeded` of messages.py carries, as a table.

    An agent's container sends it before `TurnFinished`. An optimizer, which has no turns, sends it
    before it ends.

    Attributes:
        path: the folder that took most; or which other files did, in words.
        bytes, files: what was seen; there may have been more.
        max_bytes, max_files: the bound.
        left_bytes, left_files: what lay there when nothing of the turn ran any more.
        turn: the agent's turn.
        cut: the turn was ended for it; else it left too much.
        largest: the largest files, and the folders with many files, a phrase each.
    """

    path: str
    bytes: int
    files: int
    max_bytes: int
    max_files: int
    left_bytes: int = 0
    left_files: int = 0
    turn: int = 0
    cut: bool = True
    largest: tuple[str, ...] = ()


def limit_files(max_bytes: int) -> None:
    """Bound each file that this process and its later children write; setrlimit(2), RLIMIT_FSIZE.

    A write past it fails with EFBIG here, because Python ignores the signal, and ends a child that
    does not ignore SIGXFSZ. A lower bound that holds already stays.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    most = max_bytes if hard == resource.RLIM_INFINITY else min(hard, max_bytes)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def measure(
    places: Sequence[str],
    bound: DiskBound,
    processes: str = PROCESSES,
    max_seconds: float = MAX_SECONDS,
) -> DiskUse:
    """Sum up folders, and the deleted files of their file systems that a process holds open.

    A folder that its owner may not read is made readable; it could hide what it holds.

    Args:
        places: absolute paths of folders.
        bound: the sum ends where it passes this.
        processes: the folder of the container's processes.
        max_seconds: how long it may take.

    Returns:
        What was seen; not `whole` where it passes the bound, took too long, or something could
        not be looked at. Whoever holds a container to a bound takes all three for too much.
    """
    total = _Total(bound, time.monotonic() + max_seconds)
    devices = set()
    try:
        for place in places:
            with contextlib.suppress(OSError):
                devices.add(Path(place).stat().st_dev)
            if not total.take(place, walk(place)):
                return total.use(whole=False)
        whole = total.take(STILL_OPEN, deleted_files(devices, processes))
    except OSError:
        return total.use(whole=False)
    return total.use(whole=whole)


@dataclass
class _Total:
    """What was counted so far. `linked` has the inodes that may be met again under another name."""

    bound: DiskBound
    until: float
    bytes: int = 0
    files: int = 0
    names: int = 0
    linked: set[tuple[int, int]] = field(default_factory=set)
    by_path: dict[str, tuple[int, int]] = field(default_factory=dict)

    def take(self, path: str, found: Iterator[os.stat_result]) -> bool:
        """Count these for a path; False where a bound was passed, or there was no time."""
        before = self.bytes, self.files
        complete = all(self._has_room_after(one) for one in found)
        self.by_path[path] = self.bytes - before[0], self.files - before[1]
        return complete

    def use(self, *, whole: bool) -> DiskUse:
        path = max(self.by_path, key=self._size_of, default="")
        if not whole and not self._passed():
            path = MANY_NAMES if self._has_many_names() else UNLOOKED
        return DiskUse(self.bytes, self.files, path, whole, self.names)

    def _size_of(self, path: str) -> int:
        """What counts of a path: its files where these are too many, else its bytes."""
        in_bytes, in_files = self.by_path[path]
        return in_files if self.files > self.bound.max_files else in_bytes

    def _has_room_after(self, found: os.stat_result) -> bool:
        self.names += 1
        inode = found.st_dev, found.st_ino
        if found.st_nlink != 1 and not stat.S_ISDIR(found.st_mode):
            if inode in self.linked:
                return self._has_time()
            self.linked.add(inode)
        self.bytes += found.st_blocks * BLOCK_BYTES
        self.files += 1
        return not self._passed() and self._has_time()

    def _passed(self) -> bool:
        return self.bytes > self.bound.max_bytes or self.files > self.bound.max_files

    def _has_many_names(self) -> bool:
        return self.names > NAMES_PER_FILE * self.bound.max_files

    def _has_time(self) -> bool:
        return not self._has_many_names() and time.monotonic() < self.until


# --- folders --------------------------------------------------------------------------------------


@dataclass
class _Level:
    """A folder on the way down to the one that is open: its name, its inode, what is left of it."""

    name: str
    inode: int
    left: list[str] = field(default_factory=list)


def walk(top: str) -> Iterator[os.stat_result]:
    """Everything in a folder on the folder's own file system, itself included; links themselves.

    One folder is open at a time. The way back up is `..`, which counts only where it is the folder
    that was come from; fts(3) goes the same way.

    Raises:
        OSError: descriptors or memory have run out, here or on the machine.
    """
    descriptor = _opened(top)
    if descriptor is None:
        return
    try:
        found = os.fstat(descriptor)
        device, levels = found.st_dev, [_Level(top, found.st_ino)]
        yield found
        yield from _entries(descriptor, device, levels[-1].left)
        while levels:
            if not levels[-1].left:
                levels.pop()
                descriptor = _up(descriptor, levels) if levels else descriptor
                continue
            name = levels[-1].left.pop()
            below = _opened(name, descriptor)
            if below is None:
                continue
            os.close(descriptor)
            descriptor = below
            levels.append(_Level(name, os.fstat(below).st_ino))
            yield from _entries(descriptor, device, levels[-1].left)
    finally:
        os.close(descriptor)


def _entries(descriptor: int, device: int, folders: list[str]) -> Iterator[os.stat_result]:
    """What an open folder holds; the names of its folders are added to `folders`."""
    with _unless_starved(), os.scandir(descriptor) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                found = entry.stat(follow_symlinks=False)
                if found.st_dev != device:
                    continue
                if stat.S_ISDIR(found.st_mode):
                    folders.append(entry.name)
                yield found


def _opened(name: str, above: int | None = None) -> int | None:
    """A descriptor of a folder that can be read; None where it is gone or another user's."""
    for _ in range(2):
        try:
            descriptor = os.open(name, OPEN, dir_fd=above)
        except PermissionError:
            with contextlib.suppress(OSError):
                os.chmod(name, stat.S_IRWXU, dir_fd=above)
            continue
        except OSError as error:
            if error.errno in STARVED:
                raise
            return None
        mode = os.fstat(descriptor).st_mode
        if mode & READABLE != READABLE:
            with contextlib.suppress(OSError):
                os.fchmod(descriptor, stat.S_IMODE(mode) | READABLE)
        return descriptor
    return None


def _up(descriptor: int, levels: list[_Level]) -> int:
    """The folder of the last level, which `descriptor` was in; that is closed.

    Where it was moved meanwhile, the way is taken from the top again, as far as it is still there.
    """
    with _unless_starved():
        above = os.open("..", OPEN, dir_fd=descriptor)
        if os.fstat(above).st_ino == levels[-1].inode:
            os.close(descriptor)
            return above
        os.close(above)
    reached = _opened(levels[0].name)
    if reached is None:
        levels.clear()
        return descriptor
    os.close(descriptor)
    for depth, level in enumerate(levels[1:], start=1):
        below = _opened(level.name, reached)
        if below is None or os.fstat(below).st_ino != level.inode:
            if below is not None:
                os.close(below)
            del levels[depth:]
            break
        os.close(reached)
        reached = below
    return reached


@contextlib.contextmanager
def _unless_starved() -> Iterator[None]:
    """What is gone or another's is passed over; that nothing more can be opened is an error."""
    try:
        yield
    except OSError as error:
        if error.errno in STARVED:
            raise


# --- processes ------------------------------------------------------------------------------------


def deleted_files(devices: set[int], processes: str = PROCESSES) -> Iterator[os.stat_result]:
    """The files of these file systems that have no name any more and are open in some process.

    Processes whose descriptors the kernel keeps from this one show nothing: proc(5), /proc/pid/fd.
    """
    links = itertools.islice(_descriptors(processes), MAX_DESCRIPTORS)
    for link in links:
        with contextlib.suppress(OSError):
            found = Path(link).stat()
            if found.st_nlink == 0 and found.st_dev in devices:
                yield found


def _descriptors(processes: str) -> Iterator[str]:
    """The path of each descriptor of each process, such as `/proc/7/fd/3`."""
    with _unless_starved(), os.scandir(processes) as entries:
        for process in entries:
            if not process.name.isdecimal():
                continue
            with _unless_starved(), os.scandir(f"{process.path}/fd") as links:
                for link in links:
                    yield link.path
