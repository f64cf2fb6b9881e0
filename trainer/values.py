"""Helpers for the readers of tables and JSON: they find the column of text and a row's text."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from account import Account, BadInputError, NoTextError
from decoding import scrubbed
from pieces import size_of

NAMES = ("text", "content")
PEEKED_ROWS = 100  # the column is chosen from so many rows
MAX_ROW_CHARACTERS = 64 << 20
NO_VALUE = "rows without a text"


def text_column(names: list[str], where: str, way: Callable[[str], str]) -> str:
    """The column of text among the columns that hold strings.

    Args:
        names: the names of the columns that hold strings.
        where: the name of the file.
        way: returns the command that writes one column to a file; for "" it writes all strings.

    Raises:
        NoTextError: there is no such column, or there are several.
    """
    for wanted in NAMES:
        for column in names:
            if column.lower() == wanted:
                return column
    if len(names) == 1:
        return names[0]
    command = way(names[-1] if names else "")
    raise NoTextError(
        f"{where} must have exactly one column of text, or a column named `text`; "
        f"columns that hold strings: {', '.join(names[:10]) or 'none'}",
        "name the column `text`"
        + (f", or set DATA to the file that this command writes: {command}" if command else ""),
    )


def text_of(value: Any, name: str, account: Account) -> Iterator[str]:
    """Yields a row's text; a row without a text is counted as lost."""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        value = "\n".join(value)
    if isinstance(value, str):
        yield scrubbed(value, name, account)
    else:
        account.lose(NO_VALUE, 0 if value is None else size_of(str(value)), name)


def whole_lines(blocks: Iterable[str], name: str) -> Iterator[str]:
    """Yields whole lines; CR and CRLF become LF.

    Raises:
        BadInputError: a line is too long to be a row.
    """
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    held, number = "", 0
    for block in blocks:
        *lines, rest = (held + newlines.decode(block)).split("\n")
        for line in lines:
            number += 1
            yield line + "\n"
        held = rest
        if len(held) > MAX_ROW_CHARACTERS:
            raise BadInputError(
                f"{name}: line {number + 1} is longer than {MAX_ROW_CHARACTERS} characters",
                "a row is one document: put a document of this length into a text file",
            )
    if held:
        yield held
