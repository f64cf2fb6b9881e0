"""The parts of an answer in Markdown: its code fences, and the thoughts before it.

A fence begins and ends at the beginning of a line, so one inside of a JSON string is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

LINE = re.compile(r"^[ \t]*(?P<marks>`{3,})[ \t]*(?P<language>[\w+.-]*)(?P<rest>.*)$", re.MULTILINE)
THOUGHTS = re.compile(r"\s*<(think|thinking)>")
END_ON_ITS_OWN = re.compile(r"^[ \t]*</think(?:ing)?>[ \t]*$", re.MULTILINE)


@dataclass(frozen=True)
class Fence:
    """A code fence.

    Attributes:
        language: its label in lower case, or "".
        content: what is in it.
        start: where it begins in the answer.
        end: where it ends, its last marks included.
        closed: whether it has an end; the answer was cut if not.
    """

    language: str
    content: str
    start: int
    end: int
    closed: bool = True


def fences(text: str) -> Iterator[Fence]:
    """The code fences of a text, in order. The one that is not closed, if any, is the last."""
    opening: re.Match[str] | None = None
    for line in LINE.finditer(text):
        marks, rest = line["marks"], line["rest"].strip()
        if opening is None:
            if rest.endswith(marks):  # ```json {"LR": 0.1}```
                yield _on_one_line(line, text)
            else:
                opening = line
        elif not line["language"] and not rest and len(marks) >= len(opening["marks"]):
            yield _fence(opening, text[opening.start("rest") : line.start()], line.end())
            opening = None
    if opening is not None:
        content = text[opening.start("rest") :]
        yield _fence(opening, content, len(text), closed=False)


def without_thoughts(text: str) -> str | None:
    """What comes after a model's thoughts; None if the text ends before they do."""
    if begun := THOUGHTS.match(text):
        _, end, answer = text.partition(f"</{begun[1]}>")
        return answer if end else None
    found = END_ON_ITS_OWN.search(text)  # a chat template may have begun the thoughts
    return text[found.end() :] if found else text


def _on_one_line(line: re.Match[str], text: str) -> Fence:
    content = text[line.start("rest") : line.end()].rstrip().removesuffix(line["marks"])
    return _fence(line, content, line.end())


def _fence(opening: re.Match[str], content: str, end: int, closed: bool = True) -> Fence:
    first, newline, rest = content.partition("\n")
    inside = rest if newline and not first.strip() else content
    return Fence(opening["language"].lower(), inside, opening.start(), end, closed)
