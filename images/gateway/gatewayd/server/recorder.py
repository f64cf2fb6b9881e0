"""Whole bodies for an audit (`RECORD=1`): compressed, bounded, without the key and the token.

Recording never delays or fails a request. A full volume, or a bound that is reached, ends the
recording of that body; the file is then named `.cut`, and the request goes on.
"""

from __future__ import annotations

import contextlib
import zlib
from pathlib import Path
from typing import BinaryIO

MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_TOTAL_BYTES = 4 * 1024 * 1024 * 1024


class Recorder:
    """Writes `records/<request>.request.json.gz` and `.response.gz` on the state volume.

    Args:
        folder: where the files go.
        secrets: what is replaced in every body.
    """

    def __init__(self, folder: Path, secrets: tuple[bytes, ...]) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self._secrets = secrets
        self._total_bytes = sum(path.stat().st_size for path in folder.iterdir())

    def request(self, request_id: str, body: bytes) -> None:
        """Records the body of a request."""
        record = self._open(f"{request_id}.request.json")
        record.feed(body)
        record.close()

    def response(self, request_id: str) -> Record:
        """Opens the record of a response, which is fed with the body while it passes."""
        return self._open(f"{request_id}.response")

    def _open(self, name: str) -> Record:
        free_bytes = max(0, MAX_TOTAL_BYTES - self._total_bytes)
        return Record(self, self._folder / f"{name}.gz", self._secrets, free_bytes)

    def add_written(self, size_bytes: int) -> None:
        """Counts what a record wrote."""
        self._total_bytes += size_bytes


class Record:
    """One body on its way to the disk.

    Args:
        recorder: counts what all records write.
        path: the file.
        secrets: what is replaced in the body.
        free_bytes: the most that the file may take.
    """

    def __init__(
        self, recorder: Recorder, path: Path, secrets: tuple[bytes, ...], free_bytes: int
    ) -> None:
        self._recorder = recorder
        self._path = path
        self._secrets = secrets
        self._free_bytes = free_bytes
        self._tail = b""
        self._fed_bytes = 0
        self._compressor = zlib.compressobj(level=1, wbits=31)
        self._file: BinaryIO | None = None
        self._cut = False

    def feed(self, chunk: bytes) -> None:
        """Records the next bytes; a secret that is split between two chunks is found as well."""
        if self._cut:
            return
        self._fed_bytes += len(chunk)
        if self._fed_bytes > MAX_BODY_BYTES:
            self._cut = True
            return
        text = self._without_secrets(self._tail + chunk)
        tail_bytes = max(map(len, self._secrets), default=1) - 1
        split = max(0, len(text) - tail_bytes)
        self._tail = text[split:]
        self._write(self._compressor.compress(text[:split]))

    def close(self) -> None:
        """Ends the file; its name says whether it is whole."""
        self._write(self._compressor.compress(self._tail) + self._compressor.flush())
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

    def _write(self, compressed: bytes) -> None:
        if not compressed:
            return
        if len(compressed) > self._free_bytes:
            self._cut = True
            return
        try:
            if self._file is None:
                self._file = self._path.open("wb", buffering=0)
            self._file.write(compressed)
        except OSError:
            self._cut = True
            return
        self._free_bytes -= len(compressed)
        self._recorder.add_written(len(compressed))
