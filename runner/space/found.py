"""Finds the constants of a train.py, with what their comments and the code say about them.

The text may be anybody's: it is parsed and never run.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from trainer import constants

RULE = "-="  # two or more of these begin a heading: `# --- knobs ---`
QUOTED = re.compile(r"[\"'`]([^\"'`]{1,40})[\"'`]")
LISTED = re.compile(r"[\w.+-]+(?:\s*\|\s*[\w.+-]+)+")  # relu | gelu | silu
MAX_COMMENT_CHARS = 200
MAX_COMMENT_LINES = 100  # above a constant that are looked at


@dataclass(frozen=True)
class Found:
    """A constant of a train.py.

    Attributes:
        name: in capitals.
        value: what it is in this text.
        line: on which it is assigned, counted from 1.
        comment: what stands behind it, or in the lines above it; "" for nothing.
        heading: of the part of the file, `# --- knobs ---`; "" for none.
        alternatives: words that its comment or the code names in its place, its own among them.
    """

    name: str
    value: Any
    line: int
    comment: str = ""
    heading: str = ""
    alternatives: tuple[str, ...] = ()

    @property
    def words(self) -> set[str]:
        """The parts of its name, without digits: `ADAM_BETA1` has ADAM and BETA."""
        return {word.rstrip("0123456789") for word in self.name.split("_")}


def find(train_py: str) -> list[Found]:
    """The constants of a text, in its order.

    Raises:
        ConstantsError: the text does not parse.
    """
    values, places = constants.read(train_py), constants.lines(train_py)
    comments = _comments(train_py)
    headings = _headings(comments)
    compared = _compared(train_py)
    found = []
    for name, value in values.items():
        first, last = places[name]
        comment = _comment_of(first, last, comments)
        others = _alternatives(value, comment, compared.get(name, []))
        above = bisect_left(headings, (first, ""))
        heading = headings[above - 1][1] if above else ""
        found.append(Found(name, value, first, comment, heading, others))
    return found


@dataclass(frozen=True)
class _Comment:
    text: str
    alone: bool  # on its line


def _comments(source: str) -> dict[int, _Comment]:
    """Line → its comment, with the #."""
    found = {}
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                alone = not token.line[: token.start[1]].strip()
                found[token.start[0]] = _Comment(token.string, alone)
    except (tokenize.TokenError, SyntaxError, ValueError):  # it parses, so this is rare
        pass
    return found


def _comment_of(first: int, last: int, comments: dict[int, _Comment]) -> str:
    if last in comments:
        return _words(comments[last].text)
    above: list[str] = []
    line = first - 1
    while (
        len(above) < MAX_COMMENT_LINES
        and line in comments
        and comments[line].alone
        and _heading(comments[line].text) is None
    ):
        above.append(_words(comments[line].text))
        line -= 1
    return " ".join(reversed(above))[:MAX_COMMENT_CHARS]


def _headings(comments: dict[int, _Comment]) -> list[tuple[int, str]]:
    """Line and words of each heading of the file, in order."""
    found = ((at, _heading(comments[at].text)) for at in sorted(comments) if comments[at].alone)
    return [(at, words) for at, words in found if words]


def _heading(comment: str) -> str | None:
    """The words of a heading, which may be none; None of another comment."""
    bare = comment[1:].strip()
    if len(bare) < 2 or bare[0] not in RULE or bare[1] not in RULE:
        return None
    return bare.lstrip(RULE).rstrip().rstrip(RULE).strip()


def _words(comment: str) -> str:
    """A comment as one line of printable characters."""
    text = " ".join(comment.lstrip("#! ").split())
    return "".join(char for char in text if char.isprintable())[:MAX_COMMENT_CHARS]


def _alternatives(value: Any, comment: str, compared: list[str]) -> tuple[str, ...]:
    """What may stand in place of a word: its own value first, then the others in their order."""
    if not isinstance(value, str):
        return ()
    listed = [word for part in LISTED.findall(comment) for word in re.split(r"\s*\|\s*", part)]
    named = QUOTED.findall(comment) + listed
    others = (named if value in named else []) + compared
    return tuple(dict.fromkeys([value, *others])) if others else ()


def _compared(source: str) -> dict[str, list[str]]:
    """Name → the words with which the code compares it, or by which it chooses with it."""
    found: dict[str, list[str]] = {}
    for node in ast.walk(constants.parse_alone(source)):
        for name, words in _choices_at(node):
            found.setdefault(name, []).extend(words)
    return found


def _choices_at(node: ast.AST) -> Iterator[tuple[str, list[str]]]:
    match node:
        case ast.Compare(left=ast.Name(id=name), comparators=[other]):
            yield name, _texts(other)
        case ast.Compare(left=other, comparators=[ast.Name(id=name)]):
            yield name, _texts(other)
        case ast.Subscript(value=ast.Dict(keys=keys), slice=ast.Name(id=name)):
            yield name, [text for key in keys if key is not None for text in _texts(key)]
        case ast.Match(subject=ast.Name(id=name), cases=cases):
            patterns = (inner for case in cases for inner in ast.walk(case.pattern))
            yield name, list(_matched(patterns))


def _matched(patterns: Iterable[ast.AST]) -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, ast.MatchValue):
            yield from _texts(pattern.value)


def _texts(node: ast.expr) -> list[str]:
    """The words of a literal, or of a tuple, list or set of literals."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return [text for item in node.elts for text in _texts(item)]
    return []
