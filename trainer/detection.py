"""Finds the encoding of a file, or finds that the file is not text.

An encoding is certain if the file has a mark (BOM), if every byte is UTF-8, or if the zeros are in
the places of UTF-16 or UTF-32. For other files charset-normalizer guesses, and the guess is
printed. A file is refused if no encoding of `LEGACY` fits, or more than one.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from account import BadInputError, NoTextError, quoted
from decoding import SURROGATES, blocks

SAMPLE_BYTES = 1 << 16  # the size of the sample for a guess
MARKS = (  # the longer ones first: the mark of UTF-32 begins like that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LEGACY = {  # Python's codecs and iconv's names for them
    "cp1252": "WINDOWS-1252", "cp1250": "WINDOWS-1250", "iso8859_2": "ISO-8859-2",
    "cp1251": "WINDOWS-1251", "koi8_r": "KOI8-R", "iso8859_5": "ISO-8859-5", "cp866": "CP866",
    "cp1253": "WINDOWS-1253", "cp1255": "WINDOWS-1255", "cp1256": "WINDOWS-1256",
    "cp932": "CP932", "euc_jp": "EUC-JP", "gb18030": "GB18030", "big5": "BIG5", "cp949": "CP949",
    "cp850": "CP850", "mac_roman": "MACINTOSH",
}  # fmt: skip
CHAOS, COHERENCE = 0.02, 0.2  # smaller differences of these ratios do not decide a guess
CONTROLS = bytes({*range(32), 127} - set(b"\t\n\v\f\r\b\x1b"))
MAX_CONTROL_SHARE = 0.05  # of a file that is almost UTF-8; a file with more is not text
MAX_LEGACY_CONTROL_SHARE = 0.001  # of any other file
MAX_DAMAGED_SHARE = 0.01  # of a UTF-8 text's bytes
UNPACK = "unpack it into a folder and set DATA to that folder"
NO_TEXT = (
    (rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP|BM....\x00\x00\x00\x00", "a picture", ""),
    (rb"PK[\x03\x05]", "a zip archive (or a document made of one)", UNPACK),
    (rb".{257}ustar", "a tar archive", UNPACK),
    (rb"7z\xbc\xaf\x27\x1c|Rar!\x1a\x07", "an archive", UNPACK),
    (rb"\x1f\x8b\x08|BZh[1-9]1AY|\xfd7zXZ|\x28\xb5\x2f\xfd", "compressed twice", UNPACK),
    (rb"%PDF-", "a PDF", "convert it to text, for example with: pdftotext {name} text.txt"),
    (
        rb"SQLite format 3\x00",
        "a database",
        "write its text to a file: sqlite3 {name} 'SELECT COLUMN FROM TABLE' > text.txt",
    ),
    (rb"ARROW1", "an Arrow file", "convert it to Parquet"),
    (rb"PAR1", "a compressed Parquet file", UNPACK),
)


class UnknownEncodingError(BadInputError):
    """The file is text, but its encoding cannot be determined."""


@dataclass(frozen=True)
class Encoding:
    """How a file is decoded: Python's codec, and whether it was guessed."""

    codec: str
    guessed: bool = False


def encoding_of(path: Path, name: str) -> Encoding:
    """Reads a file to its end and returns its encoding.

    Raises:
        NoTextError: the file is a picture, an archive or other data.
        BadInputError: the file is text whose encoding cannot be determined.
    """
    head = next(blocks(path, name), b"")
    for mark, codec in MARKS:
        if head.startswith(mark):
            return Encoding(codec)
    if wide := _wide(head):
        return Encoding(wide)
    found = _Bytes.of(blocks(path, name))
    bad_share = found.bad / max(found.total, 1)
    limit = MAX_CONTROL_SHARE if found.bad <= found.good else MAX_LEGACY_CONTROL_SHARE
    known = _known(head, name)
    if known or found.controls > limit * found.total:
        what, hint = known or ("data that is not text", "")
        raise NoTextError(f"{name} is {what}", hint or "point DATA at files of text")
    if not found.bad or (found.bad <= found.good and bad_share <= MAX_DAMAGED_SHARE):
        return Encoding("utf-8")
    if bad_share > MAX_DAMAGED_SHARE and found.good > found.bad / 2:
        raise UnknownEncodingError(
            f"{name} mixes UTF-8 with another encoding",
            "convert each of its parts to UTF-8, and join them again",
        )
    guesses = _guess(_sample(blocks(path, name)))
    if len(guesses) == 1:
        return Encoding(guesses[0], guessed=True)
    if bad_share <= MAX_DAMAGED_SHARE / 10:
        return Encoding("utf-8")
    may_be = f"; it may be {' or '.join(LEGACY[codec] for codec in guesses)}" if guesses else ""
    raise UnknownEncodingError(
        f"{name} is not UTF-8, and its text does not show which encoding it has{may_be}",
        convert(name, guesses[0] if guesses else "cp1252"),
    )


def convert(name: str, codec: str) -> str:
    """The command that converts a file to UTF-8 in its place."""
    to = quoted(name)
    return f"convert it: iconv -f {LEGACY[codec]} -t UTF-8 {to} > text.new && mv text.new {to}"


@dataclass
class _Bytes:
    """Counts of a file's bytes, read as UTF-8."""

    total: int = 0
    bad: int = 0
    good: int = 0  # characters of more than one byte
    controls: int = 0

    @classmethod
    def of(cls, some: Iterator[bytes]) -> _Bytes:
        """Counts over a whole file; a block of ASCII is fast."""
        found = cls()
        decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        for block in some:
            found.total += len(block)
            found.controls += len(block) - len(block.translate(None, CONTROLS))
            found._count(
                "" if block.isascii() and not decoder.getstate()[0] else decoder.decode(block)
            )
        found._count(decoder.decode(b"", final=True))
        return found

    def _count(self, text: str) -> None:
        bad = len(SURROGATES.findall(text)) if text else 0
        self.bad += bad
        self.good += len(text) - len(text.encode("ascii", "ignore")) - bad


def _known(head: bytes, name: str) -> tuple[str, str] | None:
    for pattern, what, hint in NO_TEXT:
        if re.match(pattern, head, re.S):
            return what, hint.format(name=quoted(name))
    return None


def _wide(head: bytes) -> str | None:
    """Recognises UTF-32 or UTF-16 without a mark, which have zeros where other text has none."""
    if b"\0" not in head or _is_plain(head):
        return None
    sample = head[:SAMPLE_BYTES]
    quads = sample[: len(sample) - len(sample) % 4]
    for codec in ("utf-32-le", "utf-32-be"):
        if quads and _is_text(quads, codec):
            return codec
    pairs = sample[: len(sample) - len(sample) % 2]
    # In every script, the high bytes have fewer different values than the low bytes.
    little = len(set(pairs[1::2])) <= len(set(pairs[0::2]))
    codec = "utf-16-le" if little else "utf-16-be"
    return codec if pairs and _is_text(pairs, codec) else None


def _is_plain(head: bytes) -> bool:
    """Whether the bytes are UTF-8 with few control characters, zeros among them."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return len(head) - len(head.translate(None, CONTROLS)) <= MAX_CONTROL_SHARE * len(head)


def _is_text(sample: bytes, codec: str) -> bool:
    """Whether nearly all of the sample decodes to assigned characters."""
    text = codecs.getincrementaldecoder(codec)("replace").decode(sample)
    odd = sum(
        c == "\ufffd"
        or (unicodedata.category(c) in ("Cc", "Cn", "Co", "Cs") and c not in "\t\n\f\r")
        for c in text
    )
    return odd <= 0.005 * len(text)


def _sample(some: Iterator[bytes]) -> bytes:
    """The first lines that are not ASCII, each of bounded length."""
    taken = bytearray()
    for block in some:
        for line in block.split(b"\n"):
            if not line.isascii():
                taken += line[:SAMPLE_BYTES] + b"\n"
            if len(taken) >= SAMPLE_BYTES:
                return bytes(taken)
    return bytes(taken)


def _guess(sample: bytes) -> list[str]:
    """The legacy encodings that may fit, likeliest first; encodings with equal text count once.

    Windows-1252 is by far the most common: if it fits as well as any other, it is chosen.
    """
    from charset_normalizer import from_bytes

    matches = list(from_bytes(sample, cp_isolation=list(LEGACY)))
    near = [match for match in matches if match.chaos <= matches[0].chaos + CHAOS]
    names = [name for match in near for name in match.could_be_from_charset]
    if "cp1252" in names:
        return ["cp1252"]
    coherence = max((match.coherence for match in near), default=0)
    return [match.encoding for match in near if match.coherence >= coherence - COHERENCE]
