"""Reads single files of a run, whatever lies in their place: bounded, and never through a link."""

from __future__ import annotations

import errno
import math
import os
import stat
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from runner.records.schema import Record

MAX_BYTES = 256 << 20  # of one file of records
NO_FILE = "is not a regular file"
UNREADABLE = {  # by the number of the error
    errno.EISDIR: "is a directory, where a run writes a file",
    errno.ELOOP: "is a link, which is not followed",
    errno.EACCES: "is not readable for you",
    errno.EPERM: "is not readable for you",
}

R = TypeVar("R", bound=Record)


def read_bounded(path: Path, most: int = MAX_BYTES) -> bytes | None:
    """The content of a regular file up to `most` bytes, or None when the file does not exist.

    Raises:
        OSError: it is not a regular file, or it cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise OSError(errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL, NO_FILE, str(path))
    with os.fdopen(descriptor, "rb") as file:
        return file.read(most)


def why_unread(error: OSError) -> str:
    """Why a file of a run cannot be read, as a phrase after its name."""
    return UNREADABLE.get(error.errno or 0) or error.strerror or str(error)


def is_there(path: Path) -> bool:
    """Whether there is anything of that name; False as well where nobody may look."""
    try:
        path.lstat()
    except OSError:
        return False
    return True


def lines_of(content: bytes) -> list[bytes]:
    """The lines of a file; one empty line of an empty file."""
    return content.removesuffix(b"\n").split(b"\n")


def one_record(line: bytes, kind: type[R]) -> R | None:
    """The record in a line, or None; an infinite time or value makes no record either."""
    try:
        record = kind.model_validate_json(line)
    except ValidationError:
        return None
    numbers = [number for number in vars(record).values() if isinstance(number, float)]
    return record if all(map(math.isfinite, numbers)) else None
