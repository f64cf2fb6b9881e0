"""The headers of a tar stream, read strictly: one pass, bounded, and no byte is taken on trust.

The attack that this stops: an archive of a container's files that its contestant shaped. Python's
`tarfile` reads far more than an engine writes, and what it reads more has hung or broken programs:
a negative size (CVE-2025-8194) and a sparse map without an end loop for ever, a long extended
header takes quadratic time (CVE-2024-6232), and a chain of them ends in a RecursionError. Here the
formats of Docker and Podman are known and no others; a header that is odd is an `ArchiveError`.

Source: pax in POSIX.1-2017 ("ustar Interchange Format", "pax Extended Header"); GNU tar manual,
"Basic Tar Format"; Go's archive/tar, with which both engines write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

BLOCK = 512
MAX_SIZE = 1 << 50  # bytes of one member
MAX_EXTENSION = 1 << 20  # bytes of what stands before a member; Go's archive/tar has the same bound
MAX_EXTENSIONS = 4  # before one member: its own, a long name, a long link, a global one
MAX_EMPTY_CHUNKS = 1000  # in a row
REGULAR = (b"0", b"\0", b"7")
PAX, PAX_GLOBAL, LONG_NAME, LONG_LINK = b"x", b"g", b"L", b"K"
EXTENSIONS = (PAX, PAX_GLOBAL, LONG_NAME, LONG_LINK)
WITHOUT_CONTENT = (b"1", b"2", b"3", b"4", b"5", b"6")  # links, devices, folders, pipes
SPARSE = b"GNU.sparse."


class ArchiveError(ValueError):
    """The bytes are no archive that an engine writes; the text says why."""


class Stream:
    """Bytes that come in chunks of any size, taken in pieces of the size that is wanted."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def some(self, most: int) -> bytes:
        """At least one byte and at most `most` of them; none at the end.

        Raises:
            ArchiveError: nothing but empty chunks comes.
        """
        for _ in range(MAX_EMPTY_CHUNKS):
            if self._rest:
                taken, self._rest = self._rest[:most], self._rest[most:]
                return bytes(taken)
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        raise ArchiveError("nothing comes")

    def up_to(self, most: int) -> bytes:
        """So many bytes, or fewer where the stream ends before."""
        taken = bytearray()
        while len(taken) < most and (piece := self.some(most - len(taken))):
            taken += piece
        return bytes(taken)

    def whole(self, size: int) -> bytes:
        """So many bytes.

        Raises:
            ArchiveError: the stream ends before.
        """
        taken = self.up_to(size)
        if len(taken) < size:
            raise ArchiveError("it ends too early")
        return taken


@dataclass(frozen=True)
class Member:
    """What a header says of what follows it.

    Attributes:
        name: its path in the archive; bytes that are no UTF-8 are replaced.
        size: bytes of its content, and of the archive that it takes up without the last padding.
        is_file: whether it is a regular file.
    """

    name: str
    size: int
    is_file: bool


def next_member(stream: Stream) -> Member | None:
    """The next member, or None at the end; the stream stands at its content then.

    Raises:
        ArchiveError: this is no archive, or one that no engine writes.
    """
    name, size, is_sparse = None, None, False
    for _ in range(MAX_EXTENSIONS + 1):
        block = stream.up_to(BLOCK)
        if not block or block == bytes(BLOCK):
            return None
        if len(block) < BLOCK:
            raise ArchiveError("it ends within a header")
        _check(block)
        kind, own_size = block[156:157], _number(block[124:136])
        if kind not in EXTENSIONS:
            is_file = kind in REGULAR and not is_sparse
            said = name if name is not None else _own_name(block)
            if kind in WITHOUT_CONTENT:
                return Member(said, 0, is_file=False)
            if kind not in REGULAR:
                raise ArchiveError(f"a member of the kind {kind!r}")
            is_folder = said.endswith("/")  # as tar wrote them before there were kinds
            return Member(said, _bounded(size if size is not None else own_size),
                          is_file and not is_folder)  # fmt: skip
        if own_size > MAX_EXTENSION:
            raise ArchiveError("an extended header is too long")
        content = stream.whole(own_size + padding(own_size))[:own_size]
        if kind == LONG_NAME:
            name = _text(content)
        elif kind == PAX:
            for key, value in _records(content):
                if key == b"path":
                    name = _text(value)
                elif key == b"size":
                    size = _decimal(value)
                is_sparse = is_sparse or key.startswith(SPARSE)
    raise ArchiveError("a member has too many extended headers")


def padding(size: int) -> int:
    """The bytes from the end of a content of this size to the next header."""
    return -size % BLOCK


def _check(block: bytes) -> None:
    """Compare the checksum: the sum of all bytes, its own eight taken as blanks."""
    said = _number(block[148:156])
    plain = sum(block) - sum(block[148:156]) + 8 * ord(" ")
    if said != plain:
        raise ArchiveError("the checksum of a header is wrong")


def _number(field: bytes) -> int:
    """A number in octal digits, or, if the first bit is set, in binary."""
    if field[0] & 0x80:
        if field[0] != 0x80:  # a negative one, or one beyond all bounds
            raise ArchiveError("a number is out of bounds")
        return _bounded(int.from_bytes(field[1:], "big"))
    digits = field.split(b"\0", 1)[0].strip(b" ")
    if not all(ord("0") <= digit <= ord("7") for digit in digits):
        raise ArchiveError("a number is none")
    return int(digits or b"0", 8)


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 20:
        raise ArchiveError("a number is none")
    return _bounded(int(text))


def _bounded(size: int) -> int:
    if size > MAX_SIZE:
        raise ArchiveError("a number is out of bounds")
    return size


def _own_name(block: bytes) -> str:
    """The name in the header itself, which POSIX divides in two."""
    name, prefix = _text(block[:100]), _text(block[345:500])
    is_posix = block[257:263] == b"ustar\0"
    return f"{prefix}/{name}" if is_posix and prefix else name


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")


def _records(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The records of an extended header: the length of all of it, a blank, `KEY=VALUE`, an end."""
    at = 0
    while at < len(content):
        blank = content.find(b" ", at, at + 21)
        length = content[at : max(blank, at)]
        if not length.isdigit():
            raise ArchiveError("an extended header is broken")
        end = at + int(length)
        key, mark, value = content[blank + 1 : end - 1].partition(b"=")
        if end > len(content) or content[end - 1 : end] != b"\n" or not mark or end <= blank + 1:
            raise ArchiveError("an extended header is broken")
        yield key, value
        at = end
