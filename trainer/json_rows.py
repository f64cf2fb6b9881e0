"""Reads documents from JSON Lines and from JSON arrays; each is an object or a string."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any

from account import Account, BadInputError, NoTextError, quoted
from pieces import size_of
from values import MAX_ROW_CHARACTERS, NO_VALUE, PEEKED_ROWS, text_column, text_of, whole_lines

NO_JSON = "lines that are not JSON"
STRINGS = ".. | strings"  # the jq program for all strings


def read_json_lines(blocks: Iterable[str], name: str, account: Account) -> Iterator[str]:
    """The texts of JSON Lines; each line is a string or an object."""
    yield from _from_objects(_parsed(whole_lines(blocks, name), name, account), name, account)


def read_json(blocks: Iterable[str], name: str, account: Account) -> Iterator[str]:
    """The texts of a `.json` file: of a JSON array, element by element, or of JSON Lines.

    Raises:
        BadInputError: the array is not complete JSON.
        NoTextError: the file is neither an array nor JSON Lines.
    """
    remaining = iter(blocks)
    head = ""
    for block in remaining:  # until the first line is complete or an array begins
        head += block
        start = head.lstrip()
        if start[:1] == "[" or "\n" in start or len(head) > MAX_ROW_CHARACTERS:
            break
    if head.lstrip()[:1] == "[":
        elements = _elements(itertools.chain([head.lstrip()[1:]], remaining), name)
        yield from _from_objects(elements, name, account, ".[] | ")
        return
    first = head.lstrip().split("\n", 1)[0]
    if head.strip() and _json(first) is None:
        raise NoTextError(
            f"{name} is neither an array of objects or strings, nor one JSON value on each line",
            f"set DATA to the file that this command writes: {_jq(STRINGS, name)}",
        )
    yield from read_json_lines(itertools.chain([head], remaining), name, account)


def _json(text: str) -> Any:
    """The value of a JSON text, or None if the text is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _parsed(lines: Iterable[str], name: str, account: Account) -> Iterator[Any]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            value = _json(line)
            if value is None:
                account.lose(NO_JSON, size_of(line), f"{name}, line {number}")
            else:
                yield value


def _elements(blocks: Iterable[str], name: str) -> Iterator[Any]:
    """The elements of an array after its bracket; holds at most one element and one block."""
    remaining, decode = iter(blocks), json.JSONDecoder().raw_decode
    text, place, count = "", 0, 0
    while True:
        while place < len(text) and text[place] in " \t\r\n,":
            place += 1
        if text[place : place + 1] == "]":
            if (text[place + 1 :] + "".join(remaining)).strip():
                raise BadInputError(
                    f"{name} has more text after its array", "convert it to JSON Lines"
                )
            return
        try:
            value, end = decode(text, place)
            if end == len(text):  # a number may continue in the next block
                raise ValueError("more")
        except (ValueError, RecursionError) as error:
            more = _more(remaining, len(text) - place)
            if not more or len(text) - place > MAX_ROW_CHARACTERS:
                raise BadInputError(
                    f"{name} is not complete JSON: its element {count + 1} does not end ({error})",
                    "get the file again, or convert it to JSON Lines",
                ) from None
            text, place = text[place:] + more, 0
            continue
        yield value
        place, count = end, count + 1


def _more(blocks: Iterator[str], characters: int) -> str:
    """At least `characters` more text, so that a long element is not parsed over and over."""
    more = ""
    for block in blocks:
        more += block
        if len(more) >= characters:
            break
    return more


def _jq(program: str, name: str) -> str:
    return f"jq -c {quoted(program)} {quoted(name)} > text.jsonl"


def _from_objects(
    values: Iterable[Any], name: str, account: Account, each: str = ""
) -> Iterator[str]:
    """The texts of strings and objects; `each` is the jq program that yields each of them."""
    remaining = iter(values)
    peeked = list(itertools.islice(remaining, PEEKED_ROWS))
    names = {
        key: None
        for value in peeked
        if isinstance(value, dict)
        for key, held in value.items()
        if isinstance(held, str) or (held and _is_strings(held))
    }
    column = ""
    if any(isinstance(value, dict) for value in peeked):
        column = text_column(
            list(names),
            name,
            lambda column: _jq(
                f"{each}{{text: .[{json.dumps(column)}]}}" if column else STRINGS, name
            ),
        )
    for value in itertools.chain(peeked, remaining):
        if isinstance(value, dict) and value.get(column) is None:
            others = (held for held in value.values() if isinstance(held, str))
            account.lose(NO_VALUE, sum(map(size_of, others)), name)
        else:
            yield from text_of(value[column] if isinstance(value, dict) else value, name, account)


def _is_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
