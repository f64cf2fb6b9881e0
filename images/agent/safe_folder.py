"""Files and folders that agentd keeps on the agent's own volumes.

Invariant: a file is new, regular and in a folder that was reached without following a link. The
attacks it stops: the agent puts a link to /proc/1/fd/1 where a transcript or log will be written,
and so makes agentd itself print forged messages to the runner; or it makes a folder that agentd
needs a link to itself, or shuts it, and so keeps the container from starting ever again.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OWN = 0o700  # its owner may do everything


def unshut(*folders: str) -> None:
    """Give their owner every right on the top folders of the volumes, which nobody can replace."""
    for folder in map(Path, folders):
        with contextlib.suppress(OSError):  # the next step there fails with the reason
            folder.chmod(stat.S_IMODE(folder.stat().st_mode) | OWN)


@dataclass(frozen=True)
class Repair:
    """What `open_folder` did to a folder that could not be used.

    `aside` is the new name of what was no folder; it is empty where a folder only lacked rights.
    """

    path: str
    aside: str


def open_folder(path: str, top: str, repairs: list[Repair] | None = None) -> int:
    """A descriptor of a folder; each folder on the way to it is made where there is none.

    What stands in the place of a folder is renamed. No link is followed.

    Args:
        path: the folder's absolute path.
        top: the folder above it that the agent cannot replace.
        repairs: takes what had to be repaired on the way.

    Raises:
        OSError: the volume is full.
    """
    repairs = [] if repairs is None else repairs
    descriptor, opened = os.open(top, OPEN), PurePosixPath(top)
    for name in PurePosixPath(path).relative_to(top).parts:
        opened /= name
        try:
            aside, had_rights = _make_usable(descriptor, name)
            if aside or not had_rights:
                repairs.append(Repair(str(opened), aside))
            below = os.open(name, OPEN, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor


def _make_usable(above: int, name: str) -> tuple[str, bool]:
    """Make a folder below an open one; what was renamed for it, and whether it had its rights."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, dir_fd=above)
    found = os.stat(name, dir_fd=above, follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode):
        aside = put_aside(name, above)
        os.mkdir(name, dir_fd=above)
        return aside, True
    if found.st_mode & OWN == OWN:
        return "", True
    os.chmod(name, stat.S_IMODE(found.st_mode) | OWN, dir_fd=above)
    return "", False


def put_aside(path: str, folder: int | None = None) -> str:
    """Rename what stands at a path, a link itself; returns its new name, "" when nothing does.

    It is not removed: it may be the agent's work, or a folder too deep to be removed.

    Args:
        path: absolute, or a name in `folder`.
        folder: a descriptor of an open folder.

    Raises:
        OSError: it cannot be renamed.
    """
    old = PurePosixPath(path)
    new = old.with_name(f"{old.name}.broken-{secrets.token_hex(4)}")
    try:
        os.rename(old, new, src_dir_fd=folder, dst_dir_fd=folder)
    except FileNotFoundError:
        return ""
    return new.name


class SafeFolder:
    """A folder for files. For each new file it is made again where the agent has spoilt it.

    Args:
        path: its absolute path.
        top: the folder above it that the agent cannot replace.
    """

    def __init__(self, path: str, top: str) -> None:
        self.path = path
        self._top = top

    def create(self, name: str) -> tuple[BinaryIO, str]:
        """A new file and its full path; another name is taken when something blocks this one.

        Raises:
            OSError: the volume is full.
        """
        folder = open_folder(self.path, self._top)
        try:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=folder)
            try:
                descriptor = _create(name, folder)
            except FileExistsError:
                name = f"{secrets.token_hex(4)}-{name}"
                descriptor = _create(name, folder)
        finally:
            os.close(folder)
        return os.fdopen(descriptor, "wb", buffering=0), f"{self.path}/{name}"


def _create(name: str, folder: int) -> int:
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW
    return os.open(name, flags, 0o644, dir_fd=folder)


class BoundedFile:
    """Writes up to a limit, then keeps only the last bytes for the end of the file.

    The end matters as much as the beginning: a CLI prints its result in its last lines.

    Args:
        file: where to write; closed by `close`.
        head_bytes: written as they come.
        tail_bytes: kept in memory past that, and written at `close` after one line that says how
            many bytes are missing.
    """

    def __init__(self, file: BinaryIO, head_bytes: int, tail_bytes: int) -> None:
        self._file, self._head_left, self._tail_bytes = file, head_bytes, tail_bytes
        self._tail = bytearray()
        self._skipped_bytes = 0
        self.error = ""

    def write(self, data: bytes) -> None:
        """Take `data`; a failing disk is remembered in `error` and never raised."""
        head, rest = data[: self._head_left], data[self._head_left :]
        self._head_left -= len(head)
        self._put(head)
        self._tail += rest
        if len(self._tail) > 2 * self._tail_bytes:  # seldom: each cut copies the whole end
            self._cut()

    def close(self) -> None:
        """Write the kept end and close the file."""
        self._cut()
        if self._skipped_bytes:
            self._put(b'\n{"type":"bakeoff.skipped","bytes":%d}\n' % self._skipped_bytes)
        self._put(self._tail)
        with contextlib.suppress(OSError):
            self._file.close()

    def _cut(self) -> None:
        too_many = max(0, len(self._tail) - self._tail_bytes)
        self._skipped_bytes += too_many
        del self._tail[:too_many]

    def _put(self, data: bytes | bytearray) -> None:
        if not data or self.error:
            return
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) or 0 :]
        except OSError as error:
            self.error = str(error)
