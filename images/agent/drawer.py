"""Files that agentd keeps on the agent's own volume.

Invariant: a file is new, regular and right in the folder that was opened at the start. The attack
it stops: the agent puts a link to /proc/1/fd/1 where a transcript or log will be written, and so
makes agentd itself print forged messages to the runner.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import BinaryIO


class Drawer:
    """A folder held open by descriptor, and made anew when the agent has removed it.

    Args:
        path: its absolute path. What stands there and is no folder is removed first.

    Raises:
        OSError: the volume is full, or the folder cannot be made.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = self._open()

    def _open(self) -> int:
        folder = Path(self.path)
        if folder.is_symlink() or not folder.is_dir():
            folder.unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder, os.O_DIRECTORY | os.O_NOFOLLOW)

    def create(self, name: str) -> tuple[BinaryIO, str]:
        """A new file and its full path; another name is taken when something blocks this one.

        Raises:
            OSError: the volume is full.
        """
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self._fd)
        try:
            descriptor = self._create(name)
        except FileExistsError:
            name = f"{secrets.token_hex(4)}-{name}"
            descriptor = self._create(name)
        except FileNotFoundError:
            os.close(self._fd)
            self._fd = self._open()
            descriptor = self._create(name)
        return os.fdopen(descriptor, "wb", buffering=0), f"{self.path}/{name}"

    def _create(self, name: str) -> int:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW
        return os.open(name, flags, 0o644, dir_fd=self._fd)


class BoundedFile:
    """Appends up to a limit, then keeps only the last bytes for the end of the file.

    The end matters as much as the beginning: a CLI tells its result in its last lines.

    Args:
        file: where to write; closed by `close`.
        head_bytes: written as they come.
        tail_bytes: kept in memory past that, and written at `close` after one line that says how
            many bytes are missing.
    """

    def __init__(self, file: BinaryIO, head_bytes: int, tail_bytes: int) -> None:
        self._file, self._head_left, self._tail_bytes = file, head_bytes, tail_bytes
        self._tail = b""
        self._skipped_bytes = 0
        self.error = ""

    def write(self, data: bytes) -> None:
        """Take `data`; a failing disk is remembered in `error` and never raised."""
        head, rest = data[: self._head_left], data[self._head_left :]
        self._head_left -= len(head)
        self._put(head)
        if rest:
            tail = self._tail + rest
            self._skipped_bytes += max(0, len(tail) - self._tail_bytes)
            self._tail = tail[-self._tail_bytes :]

    def close(self) -> None:
        """Write the kept end and close the file."""
        if self._skipped_bytes:
            self._put(b'\n{"type":"bakeoff.skipped","bytes":%d}\n' % self._skipped_bytes)
        self._put(self._tail)
        with contextlib.suppress(OSError):
            self._file.close()

    def _put(self, data: bytes) -> None:
        if not data or self.error:
            return
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) or 0 :]
        except OSError as error:
            self.error = str(error)
