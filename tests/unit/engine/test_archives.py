"""Archives of containers: only the bytes of regular files come out, whatever goes in."""

from __future__ import annotations

import contextlib
import io
import itertools
import tarfile
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.engine.files import archives
from runner.errors import EngineError

LIMIT = 1000
NAMES = st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8}){0,2}", fullmatch=True)


def archive(name: str = "file", content: bytes = b"text", **fields: object) -> bytes:
    """A tar of one member; `fields` are those of its header."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for field, value in fields.items():
        setattr(member, field, value)
    with io.BytesIO() as made:
        with tarfile.open(fileobj=made, mode="w") as tar:
            tar.addfile(member, io.BytesIO(content))
        return made.getvalue()


def pieces(whole: bytes, size: int) -> Iterator[bytes]:
    return (whole[at : at + size] for at in range(0, len(whole), size))


@given(st.binary(max_size=3 * LIMIT), st.integers(min_value=1, max_value=2000))
def test_a_regular_file_comes_back_cut_at_the_limit(content: bytes, size: int) -> None:
    """The content is what went in, up to the limit, however the stream is cut in pieces."""
    assert archives.first_file(pieces(archive(content=content), size), LIMIT) == content[:LIMIT]


@given(st.binary(max_size=3000), st.booleans())
def test_no_bytes_break_the_reader(raw: bytes, behind_a_header: bool) -> None:
    """Any bytes, alone or behind a tar's header, give bytes within the limit or None."""
    stream = archive()[:512] + raw if behind_a_header else raw
    found = archives.first_file([stream], LIMIT)
    assert found is None or len(found) <= LIMIT


@given(st.integers(min_value=0, max_value=511), st.integers(min_value=0, max_value=255))
def test_no_byte_of_a_header_breaks_the_reader(at: int, value: int) -> None:
    """A header with any one byte changed gives bytes within the limit or None."""
    changed = bytearray(archive(content=b"x" * 2 * LIMIT))
    changed[at] = value
    found = archives.first_file([bytes(changed)], LIMIT)
    assert found is None or len(found) <= LIMIT


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
    ],
)  # fmt: skip
def test_a_member_that_is_no_regular_file_gives_none(kind: bytes) -> None:
    """That holds for links, folders, devices and pipes, whatever they point at."""
    made = archive(content=b"", type=kind, linkname="/etc/passwd")
    assert archives.first_file([made], LIMIT) is None


def test_only_the_first_member_counts() -> None:
    """A regular file behind a link is not reached."""
    link = archive(content=b"", type=tarfile.SYMTYPE, linkname="/etc/shadow")
    assert archives.first_file([link[:512] + archive(content=b"second")], LIMIT) is None


def test_no_more_is_read_than_asked_for() -> None:
    """Of an endless stream only the beginning is read."""
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        yield archive(content=b"y" * 8192)[:8704]
        while True:
            taken += 1
            yield b"y" * 1024

    assert archives.first_file(endless(), LIMIT) == b"y" * LIMIT
    assert taken <= 4


@given(st.dictionaries(NAMES, st.binary(max_size=200), min_size=1, max_size=4))
def test_our_archives_hold_what_was_put_in(files: dict[str, bytes]) -> None:
    """Every file is there under its name, its folders before it, all of the container's user."""
    content = archives.tar_archive(files, uid=1000)
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        members = tar.getmembers()
        read = {m.name: tar.extractfile(m).read() for m in members if m.isreg()}  # type: ignore[union-attr]
    assert read == files
    assert {(m.uid, m.gid) for m in members} == {(1000, 1000)}
    folders = [m.name for m in members if m.isdir()]
    assert len(folders) == len(set(folders))
    for name in files:
        for folder in (name.rpartition("/")[0],) if "/" in name else ():
            assert folder in folders


@given(st.dictionaries(NAMES, st.binary(max_size=3000), max_size=4), st.integers(1, 2000))
def test_a_stream_gives_its_regular_files_in_order(files: dict[str, bytes], size: int) -> None:
    """Every file with its name, size and content, however the stream is cut; folders are not."""
    stream = pieces(archives.tar_archive(files, uid=1000), size)
    found = [(f.name, f.size_bytes, b"".join(f.pieces)) for f in archives.regular_files(stream)]
    assert found == [(name, len(content), content) for name, content in files.items()]


def test_an_empty_stream_has_no_files() -> None:
    """The engine gives one for a path that does not exist."""
    assert list(archives.regular_files([])) == []


def test_a_stream_that_ends_within_a_file_is_an_error() -> None:
    """Half a file is not taken for a whole one."""
    (file,) = itertools.islice(archives.regular_files([archive(content=b"x" * 9000)[:5000]]), 1)
    with pytest.raises(EngineError, match="reading an archive"):
        list(file.pieces)


@given(st.binary(max_size=3000), st.integers(min_value=0, max_value=511))
def test_no_bytes_break_the_reader_of_a_stream(raw: bytes, at: int) -> None:
    """Any bytes, behind a header or in it, give files or an `EngineError`."""
    for stream in (raw, archive()[:512] + raw, archive()[:at] + raw[:512]):
        with contextlib.suppress(EngineError):
            for file in archives.regular_files([stream]):
                assert sum(map(len, file.pieces)) <= len(stream)
