"""Tar archives, which the Docker API uses for files: ours are written, a container's are read.

The attack that this stops: a hostile archive from an agent's container. Nothing is ever extracted.
Only the bytes of regular files are read, and no link or mode of the archive is used. `first_file`
reads the first member and ignores its name; `regular_files` reports names, and the caller checks
them.
"""

from __future__ import annotations

import contextlib
import io
import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any

from runner.errors import EngineError

PIECE_BYTES = 1 << 16


def tar_archive(files: Mapping[str, bytes], uid: int) -> bytes:
    """An archive of these files (relative path → content), owned by the user and group `uid`."""
    with io.BytesIO() as archive:
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name, content in _with_folders(files):
                tar.addfile(_member(name, content, uid), io.BytesIO(content or b""))
        return archive.getvalue()


def _with_folders(files: Mapping[str, bytes]) -> Iterator[tuple[str, bytes | None]]:
    """The files, each with its content. A folder comes before its first file and has None."""
    seen: set[str] = set()
    for name, content in files.items():
        for parent in reversed(PurePosixPath(name).parents[:-1]):
            if str(parent) not in seen:
                seen.add(str(parent))
                yield str(parent), None
        yield name, content


def _member(name: str, content: bytes | None, uid: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.uid = member.gid = uid
    member.mtime = int(time.time())
    if content is None:
        member.type, member.mode = tarfile.DIRTYPE, 0o755
    else:
        member.size, member.mode = len(content), 0o644
    return member


def first_file(chunks: Iterable[bytes], max_bytes: int) -> bytes | None:
    """The first member of a tar stream, cut at `max_bytes`; None when it is no regular file.

    It is also None when the stream ends within the file, because the file shrank while the engine
    read it: half of a file must not be taken for the whole.
    """
    wanted = max_bytes + 4 * tarfile.BLOCKSIZE  # the member and its headers
    head = bytearray()
    for chunk in chunks:
        head += chunk
        if len(head) >= wanted:
            break
    try:
        with tarfile.open(fileobj=io.BytesIO(bytes(head)), mode="r:") as tar:
            member = tar.next()
            if member is None or not member.isreg():
                return None
            size = min(member.size, max_bytes)
            content = bytes(head[member.offset_data : member.offset_data + size])
            return content if len(content) == size else None
    except (tarfile.TarError, ValueError):  # tarfile raises ValueError for a malformed number
        return None


@dataclass(frozen=True)
class ArchivedFile:
    """A regular file of an archive, as its header describes it.

    `pieces` is its content and can be read once.
    """

    name: str
    size_bytes: int
    pieces: Iterator[bytes]


def regular_files(chunks: Iterable[bytes]) -> Iterator[ArchivedFile]:
    """The regular files of a tar stream in order; an empty stream has none.

    At most one piece is held in memory: a file's content is read from the stream on demand, so it
    must be read before the next file is asked for.

    Raises:
        EngineError: the stream is not an archive, or ends within a file.
    """
    stream = io.BufferedReader(_Joined(chunks), PIECE_BYTES)
    if not stream.peek(1):
        return
    with _readable(), tarfile.open(fileobj=stream, mode="r|", bufsize=PIECE_BYTES) as tar:
        while member := tar.next():
            content = tar.extractfile(member) if member.isreg() else None
            if content is not None:
                yield ArchivedFile(member.name, member.size, _pieces(content))


def _pieces(content: IO[bytes]) -> Iterator[bytes]:
    with _readable():
        while piece := content.read(PIECE_BYTES):
            yield piece


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """Turn the errors of tarfile, which include ValueError, into an `EngineError`."""
    try:
        yield
    except (tarfile.TarError, ValueError) as error:
        raise EngineError(f"reading an archive from the engine: {error}") from error


class _Joined(io.RawIOBase):
    """Makes one readable file of the chunks."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        taken = self._rest[: len(buffer)]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)
