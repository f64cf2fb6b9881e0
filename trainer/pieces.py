"""Cuts text into pieces that fit a row: at blank lines, at line ends, or at blanks.

Invariant: the pieces, joined again, are the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

OTHER_LINE_END = re.compile("\r(?!\n)|[\v\f\x85\u2028\u2029]")
BLANKS = re.compile(r"\s+")
JOINERS = "\u200d\ufe0e\ufe0f"  # these make one emoji of several characters


def cut(lines: Iterable[str], limit_bytes: int) -> Iterator[str]:
    """Joins lines to pieces of at most `limit_bytes`, cut after blank lines, else at line ends.

    A line that is longer is a piece of its own. No character is lost. A limit of 0 never cuts.
    """
    if limit_bytes <= 0:
        yield "".join(lines)
        return
    held: list[str] = []
    size = 0
    for line in lines:
        while held and size + size_of(line) > limit_bytes:
            end = _paragraph_end(held)
            yield "".join(held[:end])
            size -= sum(map(size_of, held[:end]))
            del held[:end]
        held.append(line)
        size += size_of(line)
    if held:
        yield "".join(held)


def short_lines(blocks: Iterable[str], limit_bytes: int) -> Iterator[str]:
    """The lines of a text with their ends; a line of more than `limit_bytes` is divided.

    A long line is divided after another line end (a lone CR, a form feed, U+2028), else after the
    last blank that fits, else between two characters. The places do not depend on the blocks. At
    most one block, and a part of a line, are held.
    """
    text = ""
    for block in blocks:
        text += block
        start = 0
        while len(text) - start > limit_bytes:  # enough text to see where the line ends
            end = _line_end(text, start, limit_bytes)
            yield text[start:end]
            start = end
        text = text[start:]
    start = 0
    while start < len(text):
        end = _line_end(text, start, limit_bytes)
        yield text[start:end]
        start = end


def size_of(text: str) -> int:
    """The size of a text in bytes of UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _line_end(text: str, start: int, limit_bytes: int) -> int:
    """The end of the line, or part of a line, that begins at `start`, within `limit_bytes`."""
    end = text.find("\n", start, start + limit_bytes) + 1
    if not end and len(text) - start <= limit_bytes:
        end = len(text)
    if end and size_of(text[start:end]) <= limit_bytes:
        return end
    window = text[start : start + limit_bytes]
    fitting = window.encode("utf-8", "replace")[:limit_bytes].decode("utf-8", "ignore")
    following = text[start + len(fitting) : start + len(fitting) + 1]
    if len(fitting) > 1 and fitting[-1] == "\r" and following == "\n":
        fitting = fitting[:-1]  # CR and LF together are one line end
    other = OTHER_LINE_END.search(fitting)
    if other:
        return start + other.end()
    blanks = [match.end() for match in BLANKS.finditer(fitting)]
    return start + (
        blanks[-1] if blanks else _between(text[start : start + limit_bytes + 1], len(fitting))
    )


def _between(text: str, end: int) -> int:
    """The last place up to `end` that does not separate a character from its marks."""
    for place in range(end, 0, -1):
        following = text[place : place + 1]
        joined = following in JOINERS if following else False
        if (
            not joined
            and text[place - 1] != "\u200d"
            and not unicodedata.combining(following or "x")
        ):
            return place
    return end


def _paragraph_end(lines: list[str]) -> int:
    """How many lines to take so that the last of them is blank; all, if no line is blank."""
    for end in range(len(lines), 0, -1):
        if not lines[end - 1].strip():
            return end
    return len(lines)
