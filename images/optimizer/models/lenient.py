"""Reads JSON that a model wrote by hand: with comments, trailing commas, or as Python.

A bracket begins an object only where a key and a colon follow, or its end; so a set in prose,
`{x, y}`, is passed over. What follows a failure is read from where it failed, never from before.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

MAX_DEPTH = 64
MAX_ATTEMPTS = 10_000  # at brackets that begin no object: a model that repeats itself means none
MAX_NUMBER_CHARS = 400
MAX_SHOWN_CHARS = 40

# A key, the end or a comment must follow, so a run of brackets costs one search and no attempts.
TABLE = re.compile(r"\{(?=\s*[\"'}/#])")
LIST = re.compile(r"\[")
BLANKS = re.compile(r"\s*")
COMMENT = re.compile(r"#[^\n]*|//[^\n]*")
DOUBLE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
SINGLE = re.compile(r"'[^'\\]*(?:\\.[^'\\]*)*'", re.DOTALL)
IN_SINGLE = re.compile(r"\\.|\"", re.DOTALL)
NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
WORD = re.compile(r"[+-]?[\w.](?:[\w.]|(?<=[eE])[+-])*")
PYTHON_NUMBER = re.compile(
    r"[+-]?(?:\d+(?:_\d+)*\.?|(?=\.\d))(?:(?<=\.)\d*|\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII
)
JSON_WORDS = {"true": True, "false": False, "null": None}
PYTHON_WORDS = {"True": True, "False": False, "None": None}
NOT_FINITE = frozenset({"nan", "inf", "infinity"})


class BadAnswerError(ValueError):
    """An answer does not hold what was asked for; the text says why, in one sentence."""


class _UnreadableError(BadAnswerError):
    """What is there is no JSON, even if all is mended."""


class Numbers:
    """Makes the values of one answer, and refuses numbers that are not finite.

    Attributes:
        repairs: what had to be mended, each once, in order.
    """

    def __init__(self) -> None:
        self.repairs: dict[str, None] = {}

    def table(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """An object; of a key that is given twice the last value holds."""
        found = dict(pairs)
        if len(found) < len(pairs):
            self.repairs["repeated key"] = None
        return found

    def whole(self, token: str) -> int:
        """A whole number within the range of a float.

        Raises:
            BadAnswerError: it is outside.
        """
        if len(token) > MAX_NUMBER_CHARS:
            self.refuse(token)
        number = int(token)
        try:
            float(number)
        except OverflowError:
            self.refuse(token)
        return number

    def float(self, token: str) -> float:
        """A number with a fraction or an exponent.

        Raises:
            BadAnswerError: it is not finite.
        """
        number = float(token)
        if not math.isfinite(number):
            self.refuse(token)
        return number

    def refuse(self, token: str) -> NoReturn:
        """Refuse a number.

        Raises:
            BadAnswerError: always.
        """
        raise BadAnswerError(f"{_shown(token)} is no finite number")


def find_value(text: str, wanted: type) -> tuple[Any, tuple[str, ...]]:
    """The last complete object (or list) in a text, and what was mended in it.

    Drafts, echoes of the prompt and thoughts come before the answer. So one that cannot be read, or
    is cut, is an error wherever it is: it may be the answer.

    Args:
        text: a whole answer, or the content of its fence.
        wanted: dict, or list.

    Raises:
        BadAnswerError: there is none, or one cannot be read.
    """
    opening = TABLE if wanted is dict else LIST
    position = 0
    last: _Reader | None = None
    differ, empty = False, False
    for _ in range(MAX_ATTEMPTS):
        found = opening.search(text, position)
        if found is None:
            break
        reader = _Reader(text, found.start())
        try:
            reader.outermost(wanted)
        except _Prose as prose:
            position = max(prose.position, found.end())
            continue
        position = reader.position
        if reader.value:
            differ = differ or (last is not None and last.value != reader.value)
            last = reader
        else:
            empty = True
    else:
        raise BadAnswerError(f"the answer has {MAX_ATTEMPTS} brackets that may begin its JSON")
    if last is not None:
        return last.value, _repairs(last, differ)
    if empty:  # of use only where nothing else is: prose has empty brackets too
        return wanted(), ("prose",)
    raise BadAnswerError(f"there is no JSON {'object' if wanted is dict else 'list'} in the answer")


def _repairs(reader: _Reader, differ: bool) -> tuple[str, ...]:
    """What was done to get at a value: words around it, others that differ, and its own repairs."""
    around = reader.text[: reader.start].strip() or reader.text[reader.position :].strip()
    names = {"prose": bool(around), "several objects": differ}
    return (*(name for name, holds in names.items() if holds), *reader.values.repairs)


class _Prose(Exception):  # noqa: N818 # no error: the search goes on
    """A bracket is a part of prose."""

    def __init__(self, position: int) -> None:
        super().__init__()
        self.position = position


class _Reader:
    """Reads one value that begins at `start`; `position` moves on to its end."""

    def __init__(self, text: str, start: int) -> None:
        self.text = text
        self.start = start
        self.position = start
        self.values = Numbers()
        self.value: Any = None

    def outermost(self, wanted: type) -> None:
        """Read the object or list that begins here into `value`.

        Raises:
            _Prose: it is none.
            BadAnswerError: it is one, and cannot be read.
        """
        self.value = self._table(depth=0) if wanted is dict else self._list(depth=0)

    def _value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise BadAnswerError("the answer is nested too deeply")
        first = self._peek()
        if first == "{":
            return self._table(depth)
        if first == "[":
            return self._list(depth)
        return self._string() if first in ('"', "'") else self._scalar()

    def _table(self, depth: int) -> dict[str, Any]:
        self.position += 1
        pairs: list[tuple[str, Any]] = []
        while (first := self._peek()) != "}":
            outermost = depth == 0 and not pairs
            if first not in ('"', "'"):
                self._fail(outermost, "a key in quotes is wanted")
            key = self._string()
            if self._peek() != ":":
                self._fail(outermost, "a colon is wanted")
            self.position += 1
            self._peek()
            pairs.append((key, self._value(depth + 1)))
            self._pass_comma("}")
        self.position += 1
        return self.values.table(pairs)

    def _list(self, depth: int) -> list[Any]:
        self.position += 1
        found: list[Any] = []
        while self._peek() != "]":
            try:
                found.append(self._value(depth + 1))
                self._pass_comma("]")
            except _UnreadableError:
                if depth or len(found) > 1:
                    raise
                raise _Prose(self.position) from None  # [1, or [as above
        self.position += 1
        return found

    def _pass_comma(self, bracket: str) -> None:
        """Pass the comma after a value, unless the closing bracket follows the value."""
        first = self._peek()
        if first == ",":
            self.position += 1
            if self._peek() == bracket:
                self._mend("trailing comma")
        elif first != bracket:
            self._fail(False, f"a comma or {bracket} is wanted")

    def _string(self) -> str:
        single = self.text[self.position] == "'"
        found = (SINGLE if single else DOUBLE).match(self.text, self.position)
        if found is None:
            raise self._cut()
        token = found[0]
        if single:
            self._mend("single quotes")
            token = f'"{IN_SINGLE.sub(_in_double, token[1:-1])}"'
        try:
            text = str(json.loads(token, strict=False))
        except ValueError:
            raise BadAnswerError(f"the string {_shown(token)} cannot be read") from None
        if any(mark < " " for mark in token):
            self._mend("control character")
        self.position = found.end()
        return text

    def _scalar(self) -> Any:
        found = WORD.match(self.text, self.position)
        if found is None:
            self._fail(False, "a value is wanted")
        token = found[0]
        if token in JSON_WORDS:
            value: Any = JSON_WORDS[token]
        elif token in PYTHON_WORDS:
            self._mend("Python literal")
            value = PYTHON_WORDS[token]
        else:
            value = self._number(token)
        self.position = found.end()
        return value

    def _number(self, token: str) -> float | int:
        if token.lstrip("+-").lower() in NOT_FINITE:
            self.values.refuse(token)
        if len(token) > MAX_NUMBER_CHARS:
            self._fail(False, "a value is wanted")
        if not NUMBER.fullmatch(token):
            if not PYTHON_NUMBER.fullmatch(token):
                self._fail(False, "a value is wanted")
            self._mend("number")
        whole = not any(mark in token for mark in ".eE")
        return self.values.whole(token) if whole else self.values.float(token)

    def _peek(self) -> str:
        """The next character that is neither blank nor in a comment; the position moves to it.

        Raises:
            BadAnswerError: the text ends before.
        """
        while True:
            found = BLANKS.match(self.text, self.position)
            self.position = self.position if found is None else found.end()
            if not self._pass_comment():
                break
        if self.position >= len(self.text):
            raise self._cut()
        return self.text[self.position]

    def _pass_comment(self) -> bool:
        end = -1
        if self.text.startswith("/*", self.position):
            end = self.text.find("*/", self.position + 2)
            if end < 0:
                self.position = len(self.text)
                raise self._cut()
            end += 2
        elif found := COMMENT.match(self.text, self.position):
            end = found.end()
        if end < 0:
            return False
        self._mend("comment")
        self.position = end
        return True

    def _mend(self, repair: str) -> None:
        self.values.repairs[repair] = None

    def _cut(self) -> BadAnswerError:
        return BadAnswerError("the answer ends in the middle of its JSON")

    def _fail(self, outermost: bool, why: str) -> NoReturn:
        if outermost:
            raise _Prose(self.position)
        shown = _shown(self.text[self.position : self.position + MAX_SHOWN_CHARS])
        raise _UnreadableError(f"the JSON cannot be read at {shown}: {why}")


def _in_double(found: re.Match[str]) -> str:
    """A part of a string in single quotes as it is written in double quotes."""
    token = found[0]
    if token == '"':
        return '\\"'
    return "'" if token == "\\'" else token


def _shown(token: str) -> str:
    return repr(token if len(token) <= MAX_SHOWN_CHARS else f"{token[: MAX_SHOWN_CHARS - 1]}…")
