"""Tar archives, which the Docker API uses for files: ours are written, a container's are read.

The attack that this stops: a hostile archive from an agent's container. Nothing is ever extracted.
Only the bytes of regular files are read, and no link or mode of the archive is used. `first_file`
reads the first member and ignores its name; `regular_files` reports names, and the caller checks
them. How headers are read is in `tar_headers.py`.
"""

from __future__ import annotations

import contextlib
import io
import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from runner.engine.files.tar_headers import ArchiveError, Stream, next_member, padding
from runner.errors import EngineError

PIECE_BYTES = 1 << 16
MAX_MEMBERS = 1 << 20  # of an archive; who reads one may have a lower bound


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
    read it: half of a file must not be taken for the whole. No more is read than is asked for.
    """
    stream = Stream(chunks)
    try:
        member = next_member(stream)
        if member is None or not member.is_file:
            return None
        return stream.whole(min(member.size, max_bytes))
    except ArchiveError:
        return None


@dataclass(frozen=True)
class ArchivedFile:
    """A regular file of an archive, as its header describes it.

    `pieces` is its content and can be read once, before the next file is asked for.
    """

    name: str
    size_bytes: int
    pieces: Iterator[bytes]


def regular_files(chunks: Iterable[bytes]) -> Iterator[ArchivedFile]:
    """The regular files of a tar stream in order; an empty stream has none.

    At most one piece is held in memory: a file's content is read from the stream on demand.

    Raises:
        EngineError: the stream is not an archive, ends within a file, or has `MAX_MEMBERS`.
    """
    stream = Stream(chunks)
    with _readable():
        for _ in range(MAX_MEMBERS):
            member = next_member(stream)
            if member is None:
                return
            pieces = _pieces(stream, member.size)
            if member.is_file:
                yield ArchivedFile(member.name, member.size, pieces)
            for _ in pieces:  # what nobody has read
                pass
            stream.whole(padding(member.size))
        raise ArchiveError(f"it has more than {MAX_MEMBERS} members")


def _pieces(stream: Stream, size: int) -> Iterator[bytes]:
    with _readable():
        while size > 0:
            piece = stream.some(min(size, PIECE_BYTES))
            if not piece:
                raise ArchiveError("it ends within a file")
            size -= len(piece)
            yield piece


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """Turn what is wrong with an archive into an `EngineError`."""
    try:
        yield
    except ArchiveError as error:
        raise EngineError(f"reading an archive from the engine: {error}") from error
