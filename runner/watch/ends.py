"""Reads the files of a run that grow: their last lines, or what came since the last look.

Whatever lies in a file's place, nothing here raises, waits or follows a link.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from runner.records.schema import Record

END_BYTES = 64 << 10
LONGEST_LOOK_BYTES = 64 << 20  # of one look; what is before is left out

R = TypeVar("R", bound=Record)


class Growing:
    """The whole lines of a file, each once, as the file grows.

    Args:
        path: of the file; it may come later.
        most: how many bytes are read at most in one look; of a longer piece, the end.
    """

    def __init__(self, path: Path, most: int = LONGEST_LOOK_BYTES) -> None:
        self._path = path
        self._most = most
        self._place = 0
        self._rest = b""

    def lines(self) -> list[bytes]:
        """The lines that came since the last call. A file that was cut is read anew."""
        descriptor = _opened(self._path)
        if descriptor is None:
            return []
        with os.fdopen(descriptor, "rb") as file:
            size = os.fstat(descriptor).st_size
            if size < self._place:
                self._place, self._rest = 0, b""
            cut = size - self._place > self._most
            if cut:
                self._place, self._rest = size - self._most, b""
            file.seek(self._place)
            content = self._rest + file.read(self._most)
            self._place = file.tell()
        lines = content.split(b"\n")
        self._rest = lines.pop()[-self._most :]
        return lines[1:] if cut else lines

    def records(self, kind: type[R]) -> Iterator[R]:
        """The records among those lines; other lines are skipped."""
        return records(self.lines(), kind)


def last_lines(path: Path, most: int = END_BYTES) -> list[bytes]:
    """The whole lines among the last `most` bytes of a file; none where it cannot be read."""
    return Growing(path, most).lines()


def records(lines: list[bytes], kind: type[R]) -> Iterator[R]:
    """The records in some lines; lines that are cut or of another kind are skipped."""
    for line in lines:
        try:
            yield kind.model_validate_json(line)
        except ValidationError:
            continue


def _opened(path: Path) -> int | None:
    """A descriptor of a regular file, or None."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None
