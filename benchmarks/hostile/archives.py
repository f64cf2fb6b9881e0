"""Tar archives that are wrong in every way, made of bytes and not by a library.

A library refuses to write most of them. Each function gives the bytes of one archive, by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

BLOCK = 512
END = bytes(2 * BLOCK)
CONTENT = b"the content of a file"
RECORD = "records/000001.request.json.gz"  # a name that a gateway's recorder uses
PLAIN = "file"
KINDS = "0\01234567xgLKSDMNVXAZ9"  # of POSIX, of GNU tar, of others, of nobody
NAMES = (
    RECORD, PLAIN, "/etc/passwd", "../../etc/passwd", "records/../../x", f"records//{RECORD}",
    f"./{RECORD}", f"{RECORD}/", f"{RECORD}\n", "records/000001.request.json.gz/../../x", "", ".",
    "..", "/", "~/.ssh/authorized_keys", "records/" + "9" * 19 + ".response.gz", "C:\\x",
    "records/\u0660\u0661\u0662\u0663\u0664\u0665.response.gz",
)  # fmt: skip


def header(
    name: bytes, size: int | bytes, kind: str = "0", *, link: bytes = b"", prefix: bytes = b"",
    checksum: int | None = None, magic: bytes = b"ustar\x0000",
) -> bytes:  # fmt: skip
    """One header; a size in bytes is written as it is."""
    field = size if isinstance(size, bytes) else b"%011o\0" % size
    block = bytearray(BLOCK)
    for at, width, value in (
        (0, 100, name), (100, 8, b"0000644\0"), (108, 8, b"0001750\0"), (116, 8, b"0001750\0"),
        (124, 12, field), (136, 12, b"00000000000\0"), (148, 8, b" " * 8), (156, 1, kind.encode()),
        (157, 100, link), (257, 8, magic), (345, 155, prefix),
    ):  # fmt: skip
        block[at : at + len(value[:width])] = value[:width]
    block[148:156] = b"%06o\0 " % (sum(block) if checksum is None else checksum)
    return bytes(block)


def padded(content: bytes) -> bytes:
    """The content, up to the end of its last block."""
    return content + bytes(-len(content) % BLOCK)


def member(name: str = PLAIN, content: bytes = CONTENT, kind: str = "0") -> bytes:
    """A header and its content."""
    return header(name.encode("utf-8", "surrogateescape"), len(content), kind) + padded(content)


def pax(*records: tuple[bytes, bytes], kind: str = "x") -> bytes:
    """An extended header with these records."""
    content = b""
    for key, value in records:
        length = len(key) + len(value) + 3
        while length != (again := len(key) + len(value) + 3 + len(str(length))):
            length = again
        content += b"%d %s=%s\n" % (length, key, value)
    return header(b"pax", len(content), kind) + padded(content)


def honest(random: Random) -> bytes:
    """What an engine writes."""
    return member(random.choice((RECORD, PLAIN))) + END


def odd_name(random: Random) -> bytes:
    """An absolute name, one that climbs, one that is no UTF-8, one that is nearly a record's."""
    name = random.choice((*NAMES, _noise(random, 99).decode("utf-8", "surrogateescape")))
    return member(name) + END


def long_name(random: Random) -> bytes:
    """A name in an extended header, also an endless one, and one of two parts."""
    name = random.choice((*NAMES, "x" * random.randrange(1, 70_000), "../" * 5000)).encode()
    before = random.choice((
        header(b"././@LongLink", len(name) + 1, "L") + padded(name + b"\0"),
        pax((b"path", name)),
        header(b"././@LongLink", 1 << 30, "L") + padded(name),
    ))  # fmt: skip
    split = header(b"x", 0, prefix=name[:155])
    return before + random.choice((member(), split)) + END


def no_file(random: Random) -> bytes:
    """A link, a device, a pipe, a folder, a sparse file, or what nobody knows."""
    kind = random.choice(KINDS)
    link = random.choice((b"/etc/passwd", b"../../x", RECORD.encode(), b""))
    name = random.choice(NAMES).encode()
    return header(name, random.choice((0, 21, 1 << 33)), kind, link=link) + padded(CONTENT) + END


def odd_size(random: Random) -> bytes:
    """A size that is huge, negative, no number, or in a notation of its own."""
    size = random.choice((
        b"77777777777\0", b"\xff" * 12, b"\x80" + b"\xff" * 11, b"\xff" * 11 + b"\0",
        b"\x80" + bytes(10) + b"\x15", b"-0000000001\0", b"+0000000025\0", b"0x000000015\0",
        b" " * 12, bytes(12), b"12345678901\xff", b"00000000_25\0", b"0000000002\0\x35",
    ))  # fmt: skip
    return header(random.choice(NAMES).encode(), size) + padded(CONTENT) + END


def extended(random: Random) -> bytes:
    """Records of an extended header that contradict the header, are broken, or describe holes."""
    records = random.choices(
        (
            (b"path", random.choice(NAMES).encode()), (b"size", b"-512"), (b"size", b"9" * 4400),
            (b"size", b"1e9"), (b"size", str(random.randrange(1 << 40)).encode()),
            (b"size", "\u0661".encode()), (b"linkpath", b"/etc/passwd"),
            (b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"),
            (b"GNU.sparse.map", b"0,1," * 2000), (b"GNU.sparse.realsize", b"-1"),
            (b"hdrcharset", b"BINARY"), (b"", b""),
            (b"path", b"x" * 10_000), (b"mtime", b"9" * 5000), (b"path", b"a\0b"),
        ),
        k=random.randrange(1, 5),
    )  # fmt: skip
    return pax(*records, kind=random.choice("xxxg")) + member() + END


def broken_record(random: Random) -> bytes:
    """An extended header whose lengths do not add up, or whose digits do not end."""
    content = random.choice((
        b"9999 path=x\n", b"0 path=x\n", b"-1 path=x\n", b"12 path=x", b"path=x\n", b"1 \n",
        b"3 \n", b"11 path=" + b"x" * 9000, b"1" * 30_000, b"1 " * 30_000, b"12 path=x\n\0" * 500,
        b"",
    ))  # fmt: skip
    return header(b"pax", len(content), "x") + padded(content) + member() + END


def chain(random: Random) -> bytes:
    """Extended headers in a row, without a member or with one at last."""
    one = random.choice((
        pax((b"comment", b"x")), pax((b"path", b"y"), kind="g"),
        header(b"././@LongLink", 2, "L") + padded(b"z\0"),
        header(b"././@LongLink", 2, "K") + padded(b"z\0"),
    ))  # fmt: skip
    return one * random.choice((1, 4, 5, 50, 1200)) + random.choice((b"", member())) + END


def truncated(random: Random) -> bytes:
    """It ends anywhere."""
    whole = member(RECORD, CONTENT * 100) + member(PLAIN) + END
    return whole[: random.randrange(len(whole))]


def changed(random: Random) -> bytes:
    """Any bytes of it are other ones; the checksum of the header may fit again."""
    whole = bytearray(member(random.choice(NAMES), CONTENT * 30) + END)
    for _ in range(random.choice((1, 1, 2, 20))):
        whole[random.randrange(BLOCK)] = random.randrange(256)
    if random.random() < 0.7:
        whole[148:156] = b" " * 8
        whole[148:156] = b"%06o\0 " % sum(whole[:BLOCK])
    return bytes(whole)


def wrong_checksum(random: Random) -> bytes:
    """The header has another sum than it says."""
    return header(RECORD.encode(), 21, checksum=random.randrange(1 << 18)) + padded(CONTENT) + END


def joined(random: Random) -> bytes:
    """Several archives one behind another, with and without an end between them."""
    parts = (honest(random), no_file(random), odd_name(random), member(RECORD), bytes(BLOCK))
    return b"".join(random.choices(parts, k=random.randrange(2, 6)))


def grown(random: Random) -> bytes:
    """The file grew or shrank while it was read: its content is not as long as it says."""
    said, real = random.randrange(4000), random.randrange(4000)
    name = random.choice((RECORD, PLAIN)).encode()
    return header(name, said) + b"y" * real + member() + END


def many(random: Random) -> bytes:
    """Many members, most of them empty."""
    count = random.choice((50, 500, 2000))
    return member(random.choice(NAMES), b"") * count + member(RECORD) + END


def noise(random: Random) -> bytes:
    """Bytes."""
    return _noise(random, random.choice((0, 1, 511, 512, 513, 5000)))


def _noise(random: Random, most: int) -> bytes:
    return random.randbytes(random.randrange(most + 1))


MAKERS: dict[str, Callable[[Random], bytes]] = {
    "honest": honest, "odd name": odd_name, "long name": long_name, "no file": no_file,
    "odd size": odd_size, "extended header": extended, "broken extended header": broken_record,
    "chain of headers": chain, "truncated": truncated, "changed bytes": changed,
    "wrong checksum": wrong_checksum, "joined archives": joined, "grown file": grown,
    "many members": many, "noise": noise,
}  # fmt: skip


def in_chunks(whole: bytes, random: Random) -> Iterator[bytes]:
    """The bytes in pieces of any size, as a connection gives them; some are empty."""
    most = random.choice((1, 100, 512, 1 << 16)) if len(whole) < 5000 else 1 << 16
    at = 0
    while at < len(whole):
        size = random.randrange(most + 1)
        yield whole[at : at + size]
        at += size
