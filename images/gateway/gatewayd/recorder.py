"""Full bodies for the audit (`RECORD=1`): compressed, bounded, without the key and the token.

Recording never stands in the way: a full volume or a bound that is reached ends the recording of
that body, is written into the file's name as `.cut`, and the request goes on.
"""

from __future__ import annotations

import contextlib
import zlib
from pathlib import Path
from typing import BinaryIO

MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_TOTAL_BYTES = 4 * 1024 * 1024 * 1024


class Recorder:
    """Writes `records/<request>.request.json.gz` and `.response.gz` on the state volume."""

    def __init__(self, folder: Path, secrets: tuple[bytes, ...]) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self._secrets = secrets
        self._total = sum(path.stat().st_size for path in folder.iterdir())

    def request(self, request: str, body: bytes) -> None:
        """Keeps the body of a request."""
        record = self.response(request, kind="request.json")
        record.feed(body)
        record.close()

    def response(self, request: str, kind: str = "response") -> Record:
        """A record to feed with a body as it passes."""
        room = max(0, MAX_TOTAL_BYTES - self._total)
        return Record(self, self._folder / f"{request}.{kind}.gz", self._secrets, room)

    def grown(self, written: int) -> None:
        """Counts what a record wrote, in bytes."""
        self._total += written


class Record:
    """One body on its way to disk."""

    def __init__(self, owner: Recorder, path: Path, secrets: tuple[bytes, ...], room: int) -> None:
        self._owner = owner
        self._path = path
        self._secrets = secrets
        self._room = room
        self._tail = b""
        self._taken = 0
        self._packer = zlib.compressobj(level=1, wbits=31)
        self._file: BinaryIO | None = None
        self._cut = False

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes; a secret that two chunks share is found as well."""
        if self._cut:
            return
        self._taken += len(chunk)
        if self._taken > MAX_BODY_BYTES:
            self._cut = True
            return
        text = self._without_secrets(self._tail + chunk)
        keep = max(map(len, self._secrets), default=1) - 1
        split = max(0, len(text) - keep)
        self._tail = text[split:]
        self._write(self._packer.compress(text[:split]))

    def close(self) -> None:
        """Ends the file; its name tells whether it is whole."""
        self._write(self._packer.compress(self._tail) + self._packer.flush())
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        if self._cut:
            with contextlib.suppress(OSError):
                self._path.rename(self._path.with_suffix(".cut.gz"))

    def _without_secrets(self, text: bytes) -> bytes:
        for secret in self._secrets:
            text = text.replace(secret, b"[removed]")
        return text

    def _write(self, packed: bytes) -> None:
        if not packed:
            return
        if len(packed) > self._room:
            self._cut = True
            return
        try:
            if self._file is None:
                self._file = self._path.open("wb", buffering=0)
            self._file.write(packed)
        except OSError:
            self._cut = True
            return
        self._room -= len(packed)
        self._owner.grown(len(packed))
