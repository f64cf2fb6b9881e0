"""Reads and writes the files of records: appended and synced, or replaced whole."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from runner.errors import HostError
from runner.records.schema import Record

R = TypeVar("R", bound=Record)


def append_line(path: Path, record: Record) -> None:
    """Append the record as one JSON line and fsync it, so that a later crash does not lose it.

    Raises:
        HostError: the disk is full or the file is not writable.
    """
    with explained(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            left = memoryview(_mended_start(descriptor, path) + _line(record))
            while left:  # a disk that is nearly full takes only a part
                left = left[os.write(descriptor, left) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an error of the disk under `path` into one that says what to do.

    Raises:
        HostError: the disk is full, or a file or folder is not writable.
    """
    try:
        yield
    except OSError as error:
        raise HostError(
            f"writing {path}: {error.strerror or error}",
            hint="make room on the disk, or change the permissions; if a run stopped because of "
            "this, `make resume` continues it",
        ) from error


def _line(record: Record) -> bytes:
    """The record's line. A lone surrogate, which an agent's JSON may hold, becomes a "?"."""
    body = json.dumps(record.model_dump(mode="json"), separators=(",", ":"), ensure_ascii=False)
    return body.encode("utf-8", "replace") + b"\n"


def _mended_start(descriptor: int, path: Path) -> bytes:
    """A newline if a crash cut the file's last line, so that the next line stands alone."""
    size = os.fstat(descriptor).st_size
    if size == 0:
        return b""
    with path.open("rb") as file:
        file.seek(size - 1)
        return b"" if file.read(1) == b"\n" else b"\n"


def read_lines(path: Path, kind: type[R]) -> Iterator[R]:
    """The records of a JSON-lines file. Lines that are cut or of another kind are skipped."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                yield kind.model_validate_json(line)
            except ValidationError:
                continue


def write_whole(path: Path, content: str | bytes) -> None:
    """Replace a small file in one step: readers see the old content or the new, never a part.

    Raises:
        HostError: the disk is full or the folder is not writable.
    """
    raw = content if isinstance(content, bytes) else content.encode("utf-8", "replace")
    aside = path.with_name(f".{path.name}.part")
    with explained(path):
        with aside.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)


def to_json(record: Record) -> str:
    """The record as indented JSON, for files that a person opens."""
    return json.dumps(record.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
