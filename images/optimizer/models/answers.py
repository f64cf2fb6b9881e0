"""Reads the object or the file that a model was asked for out of what it said.

Invariant: nothing is guessed. Only the form of an answer is mended, every repair is named, and an
answer that ends too early, or that can be read in two ways, is an error. The time is linear in the
length of the text, because a model may repeat one bracket until its limit.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from dataclasses import dataclass, replace
from typing import Any

from messages import MAX_TRAIN_PY_BYTES

from models.fences import fences, without_thoughts
from models.lenient import BadAnswerError, Numbers, find_value

__all__ = ["BadAnswerError", "Code", "Found", "read_code", "read_json"]

MAX_ANSWER_BYTES = 1 << 20
# Around a file: its description, the fence and some prose.
AROUND_CODE_BYTES = 64 << 10
MAX_UNFENCED_BYTES = 256 << 10  # ten times the file: a parse takes seconds a mebibyte
DESCRIPTION = re.compile(r"^[ \t*_#>`-]*DESCRIPTION[*_`]*[ \t]*:[ \t]*(.*)$", re.MULTILINE | re.I)
MAX_DESCRIPTION_CHARS = 500
FILE_TO_OTHERS = 3
PYTHON = frozenset({"python", "python3", "py"})


@dataclass(frozen=True)
class Found:
    """The value that was found in an answer.

    Attributes:
        value: an object, or a list where one was wanted; every number in it is finite.
        repairs: what was mended, in the order in which it was met: "thinking" (thoughts before
            the answer), "fence", "prose" (words around it), "several objects" (others before it
            differ), "list" (a list around it), "comment", "trailing comma", "single quotes",
            "Python literal", "number" (written as in Python), "control character" (in a string),
            "repeated key" (the last value holds).
    """

    value: Any
    repairs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Code:
    """The file that was found in an answer.

    Attributes:
        description: what the model says of it, in one line; "" where it says nothing.
        text: the file; it need not be Python.
        repairs: "thinking", "no description", "unlabelled fence", "several fences", "no fence".
    """

    description: str
    text: str
    repairs: tuple[str, ...] = ()


def read_json(text: str, wanted: type = dict) -> Found:
    """The JSON object in an answer.

    If the answer as a whole is no JSON, the last code fence with an object counts, so of a draft
    and a final answer in fences the final one is taken; without fences all of the text counts.
    There, it is the last complete object, because drafts, echoes of the prompt and thoughts come
    before the answer. An object that begins and cannot be read is an error even if another follows.

    Args:
        text: the answer, at most `MAX_ANSWER_BYTES`.
        wanted: dict, or list.

    Raises:
        BadAnswerError: there is none, it is cut, or it cannot be read.
        ValueError: another type is wanted.
    """
    if wanted not in (dict, list):
        raise ValueError(f"{wanted.__name__} is neither dict nor list")
    _check_length(text, MAX_ANSWER_BYTES)
    if (whole := _strict(text, wanted)) is not None:
        return whole
    answer, repairs = _without_thoughts(text)
    blocks = [*fences(answer)]
    opening = "{" if wanted is dict else "["
    for fence in reversed(blocks):
        if opening in fence.content:
            around = answer[: fence.start] + answer[fence.end :]
            repairs += ("fence", "prose") if around.strip() else ("fence",)
            return _with(repairs, _read_block(fence.content, wanted))
    return _with(repairs, _read_block(answer, wanted))


def read_code(text: str) -> Code:
    """The Python file in an answer: its one fence, of those with the label python if there are any.

    Where these differ, one of them is the file only if it can be parsed and is longer than
    `FILE_TO_OTHERS` times all others together: then they are excerpts. Of a draft and a final file,
    or a file in two parts, nothing is taken. Without a fence, an answer that is Python as a whole
    is taken. Whether what is in a single fence can be parsed is for the caller to check.

    Args:
        text: the answer: `DESCRIPTION: …` and a fence.

    Raises:
        BadAnswerError: there is no file, several fences may be it, a fence is not closed, or the
            file is longer than
            `MAX_TRAIN_PY_BYTES` (`MAX_UNFENCED_BYTES` without a fence).
    """
    _check_length(text, MAX_TRAIN_PY_BYTES + AROUND_CODE_BYTES)
    answer, repairs = _without_thoughts(text)
    blocks = [fence for fence in fences(answer) if fence.content.strip()]
    if blocks and not blocks[-1].closed:
        raise BadAnswerError("the code fence is not closed, so the file may be cut")
    labelled = [fence for fence in blocks if fence.language in PYTHON]
    if not blocks:
        return _unfenced(answer, repairs)
    ends = [0, *(fence.end for fence in blocks)]
    starts = [*(fence.start for fence in blocks), len(answer)]
    outside = "\n".join(answer[end:start] for end, start in zip(ends, starts, strict=True))
    found = DESCRIPTION.search(outside)
    repairs += () if found else ("no description",)
    description = _one_line(found)
    repairs += () if labelled else ("unlabelled fence",)
    contents = [fence.content for fence in labelled or blocks]
    repairs += ("several fences",) if len(contents) > 1 else ()
    return _checked(Code(description, _file(contents), repairs))


def _check_length(text: str, most_bytes: int) -> None:
    if not text.strip():
        raise BadAnswerError("the answer is empty")
    if len(text) > most_bytes or len(text.encode("utf-8", "surrogatepass")) > most_bytes:
        raise BadAnswerError(f"the answer is longer than {most_bytes >> 10} KiB")


def _without_thoughts(text: str) -> tuple[str, tuple[str, ...]]:
    """The answer after a model's thoughts, which some servers leave in it, and the repairs."""
    answer = without_thoughts(text)
    if answer is None:
        raise BadAnswerError("the answer ends in the middle of the model's thoughts")
    return answer, () if answer == text else ("thinking",)


def _read_block(text: str, wanted: type) -> Found:
    """The value in a fence or in a whole answer."""
    return _strict(text, wanted) or Found(*find_value(text, wanted))


def _strict(text: str, wanted: type) -> Found | None:
    """The value if the text is JSON and nothing else; None if it is not.

    Raises:
        BadAnswerError: it is JSON of another type, or nested too deeply.
    """
    numbers = Numbers()
    try:
        value = json.loads(
            text,
            object_pairs_hook=numbers.table,
            parse_int=numbers.whole,
            parse_float=numbers.float,
            parse_constant=numbers.refuse,
        )
    except RecursionError:
        raise BadAnswerError("the answer is nested too deeply") from None
    except ValueError:
        return None
    if isinstance(value, wanted):
        return Found(value, tuple(numbers.repairs))
    inside = [one for one in value if isinstance(one, wanted)] if isinstance(value, list) else []
    if len(inside) == 1:
        return Found(inside[0], ("list", *numbers.repairs))
    names: dict[type, str] = {dict: "object", list: "list"}
    is_what = names.get(type(value), "single value")
    raise BadAnswerError(f"the answer is one {is_what}, and one {names[wanted]} is wanted")


def _with(repairs: tuple[str, ...], found: Found) -> Found:
    return replace(found, repairs=tuple(dict.fromkeys(repairs + found.repairs)))


def _unfenced(answer: str, repairs: tuple[str, ...]) -> Code:
    """The answer as a file, its description being the first line: comments may have the word too.

    Raises:
        BadAnswerError: it is no Python file, or too long.
    """
    found = DESCRIPTION.match(answer.lstrip("\n"))
    text = answer.lstrip("\n")[found.end() :].lstrip("\n") if found else answer
    repairs += ("no fence",) if found else ("no description", "no fence")
    return _checked(Code(_one_line(found), _whole_python(text), repairs))


def _one_line(found: re.Match[str] | None) -> str:
    """The words of a description line, at most `MAX_DESCRIPTION_CHARS`."""
    words = "" if found is None else " ".join(found[1].strip(" \t*_`").split())
    return words[:MAX_DESCRIPTION_CHARS]


def _file(contents: list[str]) -> str:
    """The one of several texts that is the file; see `read_code`.

    Raises:
        BadAnswerError: more than one of them may be it.
    """
    longest = max(contents, key=len)
    others = {one.strip(): len(one) for one in contents}
    del others[longest.strip()]
    if not others:
        return contents[-1]
    if len(longest) <= FILE_TO_OTHERS * sum(others.values()) or not _statements(longest):
        raise BadAnswerError("several code fences differ, and none of them is clearly the file")
    return longest


def _whole_python(text: str) -> str:
    """The text if it is a Python file: words alone may be Python too, so it must define something.

    Raises:
        BadAnswerError: it is none.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_UNFENCED_BYTES:
        most = f"{MAX_UNFENCED_BYTES >> 10} KiB"
        raise BadAnswerError(f"there is no code fence, and without one a file is read up to {most}")
    defines = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    if not any(isinstance(one, defines) for one in _statements(text)):
        raise BadAnswerError("there is no code fence, and the answer as a whole is not Python")
    return text


def _statements(text: str) -> list[ast.stmt]:
    """The statements of a Python file; none for what cannot be parsed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            return ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _checked(code: Code) -> Code:
    try:
        size_bytes = len(code.text.encode())
    except UnicodeEncodeError:
        raise BadAnswerError("the file holds half of a character, so it is no text") from None
    if size_bytes > MAX_TRAIN_PY_BYTES:
        raise BadAnswerError(f"the file is longer than {MAX_TRAIN_PY_BYTES >> 10} KiB")
    return code
