"""Tar archives as the Docker API speaks them: ours packed, strangers' read.

The attack this stops: an archive from an agent's container. Nothing is ever extracted: the first
member's bytes are taken when it is a regular file, and no name, link or mode in it is used.
"""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath


def packed(files: Mapping[str, bytes], uid: int) -> bytes:
    """An archive of these files (relative path → content), owned by `uid`."""
    with io.BytesIO() as archive:
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name, content in _with_folders(files):
                tar.addfile(_member(name, content, uid), io.BytesIO(content or b""))
        return archive.getvalue()


def _with_folders(files: Mapping[str, bytes]) -> Iterator[tuple[str, bytes | None]]:
    """The files, each folder on the way before its first file (content None)."""
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
    """The first member of a tar stream, if it is a regular file, cut at `max_bytes`."""
    wanted = max_bytes + 4 * tarfile.BLOCKSIZE  # the member and its headers, and no more
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
            start = member.offset_data
            return bytes(head[start : start + min(member.size, max_bytes)])
    except tarfile.TarError:
        return None
