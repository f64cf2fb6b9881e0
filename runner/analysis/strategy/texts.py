"""Which lines of a train.py differ from those of another, and in which blocks they stand.

Lines are compared, not syntax trees, so that a train.py that does not parse has a difference too.
Comments, docstrings and blank lines count for nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import NamedTuple

NUMBER = re.compile(r"(?<![\w.])\d+(?:_\d+)*(?:\.\d*)?(?:[eE][-+]?\d+)?(?![\w.])")
MOST_REMEMBERED = 200  # characters of a line that is kept for the next text
MAX_COMPARED_LINES = 2_000  # comparing takes more than linear time; then order does not count
MOST_SCOPE_LINES = 3_000  # above a line in which the blocks that hold it are looked for
_COMMENT = re.compile(r"""^((?:[^#'"]|"[^"]*"|'[^']*')*)#.*$""")
_DOCSTRING = re.compile(r"""^[rRbBuU]{0,2}("{3}|'{3})""")
_HUNK = re.compile(r"^@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@")


class Line(NamedTuple):
    """A line of code.

    Attributes:
        indent: its leading blanks.
        code: the line without blanks at its ends and without a comment.
    """

    indent: int
    code: str


@dataclass(frozen=True)
class Changed:
    """A line that is not the same in both texts.

    Attributes:
        old: as it was; empty where the line is new.
        new: as it is; empty where the line was removed.
        scope: the first lines of the blocks that hold it, the nearest first.
    """

    old: str
    new: str
    scope: tuple[str, ...] = ()

    @property
    def numbers_only(self) -> bool:
        """Whether nothing but numbers changed."""
        both = bool(self.old) and bool(self.new) and self.old != self.new
        return both and NUMBER.sub("#", self.old) == NUMBER.sub("#", self.new)

    def numbers(self) -> list[tuple[float, float]]:
        """Old and new value of each number that changed, where nothing else did."""
        if not self.numbers_only:
            return []
        pairs = zip(NUMBER.findall(self.old), NUMBER.findall(self.new), strict=True)
        return [(float(old), float(new)) for old, new in pairs if old != new]


def changed_lines(before: str, after: str) -> list[Changed]:
    """The lines in which two texts of a train.py differ, in their order."""
    old, new = _code(before), _code(after)
    start = _common(old, new)
    end = _common(old[start:][::-1], new[start:][::-1])
    old_part, new_part = old[start : len(old) - end], new[start : len(new) - end]
    if max(len(old_part), len(new_part)) > MAX_COMPARED_LINES:
        return _unordered(old_part, new_part)
    found: list[Changed] = []
    matcher = SequenceMatcher(None, old_part, new_part)  # it may miss lines that are frequent
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag != "equal":
            found += _paired(old, new, range(start + i, start + j), range(start + k, start + m))
    return found


def text_before(text: str, patch: str) -> str | None:
    """The text that a unified diff was made against, or None if the diff does not fit.

    Args:
        text: as it is after the change.
        patch: the diff that led to it.
    """
    lines, parts, at = text.splitlines(), [], 0
    hunks = list(_hunks(patch))
    for first, count, body in hunks:
        begin = first - 1 if count else first
        kept = [line[1:] for line in body if line[:1] in ("+", " ", "")]
        if begin < at or lines[begin : begin + count] != kept:
            return None
        parts += lines[at:begin] + [line[1:] for line in body if line[:1] in ("-", " ", "")]
        at = begin + count
    return "\n".join([*parts, *lines[at:]]) + "\n" if hunks else None


@lru_cache(maxsize=16)  # a parent has many children
def _code(text: str) -> tuple[Line, ...]:
    return tuple(_lines(text))


def _lines(text: str) -> Iterator[Line]:
    """The lines of code of a text."""
    closing = ""
    for raw in text.splitlines():
        if closing:
            closing = "" if closing in raw else closing
            continue
        known = len(raw) <= MOST_REMEMBERED
        closing, line = (_line if known else _line.__wrapped__)(raw)
        if line is not None:
            yield line


@lru_cache(maxsize=1 << 15)  # the texts of a run have nearly all lines in common
def _line(raw: str) -> tuple[str, Line | None]:
    """A line's code, if it has any; before it, the quotes of a docstring that it leaves open."""
    stripped = raw.strip()
    if quoted := _DOCSTRING.match(stripped):
        return "" if quoted[1] in stripped[quoted.end() :] else quoted[1], None
    comment = _COMMENT.match(stripped)
    code = " ".join((comment[1] if comment else stripped).split())
    return "", Line(len(raw) - len(raw.lstrip()), code) if code else None


def _common(old: Sequence[Line], new: Sequence[Line]) -> int:
    """How many lines are the same at the beginning."""
    same = 0
    for one, other in zip(old, new, strict=False):
        if one is not other and one != other:
            break
        same += 1
    return same


def _paired(
    old: Sequence[Line], new: Sequence[Line], removed: range, added: range
) -> Iterator[Changed]:
    """Lines that replace each other; as pairs only where there are as many of both."""
    if len(removed) != len(added):
        yield from (Changed(old[i].code, "", _scope(old, i)) for i in removed)
        yield from (Changed("", new[i].code, _scope(new, i)) for i in added)
        return
    for i, j in zip(removed, added, strict=True):
        if old[i] != new[j]:
            yield Changed(old[i].code, new[j].code, _scope(new, j))


def _scope(lines: Sequence[Line], at: int) -> tuple[str, ...]:
    """The first lines of the blocks that hold a line; a line that only closes brackets is none."""
    found, indent = [], lines[at].indent
    last = max(0, at - MOST_SCOPE_LINES)
    while at > last and indent > 0:
        at -= 1
        line = lines[at]
        if line.indent < indent and line.code[0] not in ")]}":
            found.append(line.code)
            indent = line.indent
    return tuple(found)


def _unordered(old: Sequence[Line], new: Sequence[Line]) -> list[Changed]:
    """The lines that only one of two long texts has, as far as the limit."""
    before, after = Counter(old), Counter(new)
    removed = [Changed(line.code, "") for line in (before - after).elements()]
    added = [Changed("", line.code) for line in (after - before).elements()]
    return removed[:MAX_COMPARED_LINES] + added[:MAX_COMPARED_LINES]


def _hunks(patch: str) -> Iterator[tuple[int, int, list[str]]]:
    """First line and number of lines in the new text, and the body, of each hunk of a diff."""
    body: list[str] | None = None
    for line in patch.splitlines():
        if header := _HUNK.match(line):
            body = []
            yield int(header[1]), int(header[2] or 1), body
        elif body is not None and line[:1] in ("+", "-", " ", ""):
            body.append(line)
