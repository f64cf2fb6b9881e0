"""Decompresses and decodes a file block by block, so that it is never all in memory.

Bytes that are invalid in the encoding become U+FFFD and are counted.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import re
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from account import Account, BadInputError

BLOCK_BYTES = 1 << 20
PACKED = re.compile(
    rb"(?P<gzip>\x1f\x8b\x08)|(?P<bz2>BZh[1-9](1AY&SY|\x17rE8P\x90))|(?P<xz>\xfd7zXZ\x00)"
    rb"|(?P<zstd>\x28\xb5\x2f\xfd)"
)
HEAD_BYTES = 16
CUT_SHORT = "a download that was cut short looks like this; get the file again"
NOT_UTF8 = "bytes that are invalid in the file's encoding and were replaced by U+FFFD"
SURROGATES = re.compile("[\ud800-\udfff]")


def blocks(path: Path, name: str) -> Iterator[bytes]:
    """A file's bytes in blocks of one size, decompressed if the file is compressed.

    Raises:
        BadInputError: the file cannot be opened, or its data is damaged or cut short.
    """
    import pyarrow as pa

    try:
        with closing(_opened(path)) as file:
            while block := file.read(BLOCK_BYTES):
                yield block
    except (EOFError, OSError, zlib.error, lzma.LZMAError, pa.ArrowException) as error:
        of_system = isinstance(error, OSError) and error.errno
        reason = " ".join(str(error).split())[:200]
        raise BadInputError(
            f"{name} cannot be read to its end: {reason}",
            "check that the file is readable" if of_system else CUT_SHORT,
        ) from None


def _opened(path: Path) -> Any:
    import pyarrow as pa

    with path.open("rb") as file:
        packed = PACKED.match(file.read(HEAD_BYTES))
    match packed and packed.lastgroup:
        case "gzip":
            return gzip.open(path)
        case "bz2":
            return bz2.open(path)
        case "xz":
            return lzma.open(path)
        case "zstd":
            return pa.input_stream(path, compression="zstd", buffer_size=BLOCK_BYTES)
    return path.open("rb")


def decoded(path: Path, name: str, codec: str, account: Account) -> Iterator[str]:
    """A file's text in blocks; invalid bytes are replaced and counted."""
    is_utf8 = codec.startswith("utf-8")
    errors = "surrogateescape" if is_utf8 else "replace"
    decoder = codecs.getincrementaldecoder(codec)(errors)
    for block in blocks(path, name):
        yield _replaced(decoder.decode(block), name, account, is_utf8)
    yield _replaced(decoder.decode(b"", final=True), name, account, is_utf8)


def scrubbed(text: str, name: str, account: Account) -> str:
    """A text without lone surrogates, which are not characters but can occur in JSON."""
    if text.isascii():
        return text
    whole, count = SURROGATES.subn("\ufffd", text)
    if count:
        account.lose(NOT_UTF8, count, name, count)
    return whole


def _replaced(text: str, name: str, account: Account, is_utf8: bool) -> str:
    if is_utf8:
        return scrubbed(text, name, account)
    count = text.count("\ufffd")
    if count:
        account.lose(NOT_UTF8, count, name, count)
    return text
