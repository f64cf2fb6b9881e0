"""The journal of a search of whole texts: one JSON object a line, and each text in a file.

Invariant: a text is on the disk before the line that names it, and a line before anybody acts on
it. A death or a loss of power may cut the last line: what it said is then done again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

JOURNAL, TEXTS = "texts.jsonl", "texts"
MAX_LINE_BYTES = 1 << 20
Entry = dict[str, Any]


class DamagedTextError(Exception):
    """The file of a text is not what the journal says."""


class TextJournal:
    """The journal in a directory, opened or resumed.

    Args:
        state: the directory; this process is its only user.

    Attributes:
        entries: what the journal holds, oldest first.
    """

    def __init__(self, state: Path) -> None:
        self._path = state / JOURNAL
        self._folder = state / TEXTS
        self._folder.mkdir(exist_ok=True)
        self.entries, whole_bytes = _read(self._path)
        if self._path.exists() and self._path.stat().st_size > whole_bytes:
            with self._path.open("r+b") as file:
                file.truncate(whole_bytes)
                os.fsync(file.fileno())

    def append(self, entry: Mapping[str, Any]) -> None:
        """Write an entry to the disk.

        Raises:
            OSError: it could not be written.
        """
        with self._path.open("ab") as file:
            file.write(json.dumps(entry).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.entries.append(dict(entry))

    def keep(self, number: int, text: str) -> None:
        """Write the text of a trial to the disk; one that an earlier process left is replaced.

        Raises:
            OSError: it could not be written.
        """
        path = self.path(number)
        unfinished = path.with_suffix(".new")
        with unfinished.open("wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def path(self, number: int) -> Path:
        """The file of a trial's text."""
        return self._folder / f"{number:04d}.py"

    def text(self, number: int, expected_sha256: str) -> str:
        """The text of a trial.

        Raises:
            DamagedTextError: it is missing, or was changed.
        """
        try:
            text = self.path(number).read_bytes().decode()
        except (OSError, ValueError) as error:
            raise DamagedTextError(f"the text of trial {number} cannot be read: {error}") from None
        if sha256(text) != expected_sha256:
            raise DamagedTextError(f"the text of trial {number} was changed: {self.path(number)}")
        return text


def sha256(text: str) -> str:
    """The hash of a text in UTF-8, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def _read(path: Path) -> tuple[list[Entry], int]:
    """The entries up to the first damage, and their length in bytes."""
    entries: list[Entry] = []
    end = 0
    if not path.exists():
        return entries, end
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE_BYTES):
            entry = _entry(line)
            if entry is None:
                break
            entries.append(entry)
            end += len(line)
    return entries, end


def _entry(line: bytes) -> Entry | None:
    """The object of a whole line, or None for one that is damaged."""
    try:
        entry = json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("event"), str) else None
