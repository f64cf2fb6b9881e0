"""From the cells of a row to columns: by count where it fits, else by what the cells hold.

A row of another count than its header is taken apart only if its status and its value then stand
where a status and a number stand, and if there is no second way: a guess would put one figure in
another's place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from runner.claims.number import is_number
from runner.claims.sheet import Row
from runner.claims.words import is_nothing, known_status

_COMMIT = re.compile(r"[0-9a-f]{7,40}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?\s*(Z|UTC|[+-]\d\d:?\d\d)?")
_TEXTS = ("hypothesis", "category", "change", "")


def is_commit(cell: str) -> bool:
    """Whether a cell may be the hash of a commit, or its beginning."""
    return _COMMIT.fullmatch(cell.strip().lower()) is not None


def is_time(cell: str) -> bool:
    """Whether a cell is a date or a time as ISO 8601 writes them."""
    return len(cell) < 60 and _TIME.fullmatch(cell.strip()) is not None


def filled(row: Row, columns: int) -> int:
    """How many cells a row has without the empty ones beyond its columns."""
    count = row.count
    if not "".join(row.cells[columns:]).strip() and count == len(row.cells):
        count = min(count, columns)
    while columns < count <= len(row.cells) and not row.cells[count - 1].strip():
        count -= 1
    return count


def align(
    row: Row, names: Sequence[str], columns: int, roles: Mapping[str, str]
) -> tuple[dict[str, str], str] | None:
    """The cells of a row by their columns' names, and what was assumed; None if they do not fit.

    Args:
        row: the cells.
        names: of the columns.
        columns: how many columns the header has.
        roles: what a column is in the protocol, by its name; `value` is the metric's.
    """
    count = filled(row, columns)
    if count == columns:
        return dict(zip(names, row.cells, strict=False)), ""
    if count > len(row.cells) or columns > len(names):
        return None
    if count < columns:
        cells = dict(zip(names, row.cells[:count] + [""] * (columns - count), strict=True))
        present = {roles.get(name) for name in names[:count]}
        if {"status", "value"} <= present and fits(cells, roles):
            return cells, f"{count} cells for {columns} columns: the last ones were taken for empty"
        return None
    return _with_surplus(row, names, roles, count - columns)


def _with_surplus(
    row: Row, names: Sequence[str], roles: Mapping[str, str], surplus: int
) -> tuple[dict[str, str], str] | None:
    """The row with its surplus of cells in one of its columns of text, as if it had been quoted."""
    found: list[tuple[dict[str, str], int]] = []
    for at, alike in _texts(names, roles):
        joined = row.delimiter.join(row.cells[at : at + surplus + 1])
        merged = [*row.cells[:at], joined, *row.cells[at + surplus + 1 :]]
        cells = dict(zip(names, merged, strict=False))
        if fits(cells, roles):
            found.append((cells, alike))
    if len(found) != 1:
        return None
    cells, alike = found[0]
    unsure = "; which text is whose is not sure" if alike > 1 else ""
    said = f"{len(names) + surplus} cells for {len(names)} columns"
    return cells, f"{said}: the surplus was taken for a text{unsure}"


def _texts(names: Sequence[str], roles: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """Runs of columns of text between columns of figures: where each begins, and its length."""
    is_text = [roles.get(name, "") in _TEXTS for name in names]
    for text, run in groupby(range(len(names)), is_text.__getitem__):
        places = list(run)
        if text:
            yield places[0], len(places)


def fits(cells: Mapping[str, str], roles: Mapping[str, str]) -> bool:
    """Whether each cell holds what its column holds: a status, a number, a commit, a time."""
    by_role = {role: cells.get(name, "") for name, role in roles.items() if name in cells}
    status, value = by_role.get("status", ""), by_role.get("value", "")
    if "status" in by_role and known_status(status) is None:
        return False
    if "value" not in by_role or not (is_number(value) or is_nothing(value)):
        return False
    delta = by_role.get("delta", "")
    if not (is_number(delta) or is_nothing(delta)):
        return False
    time, commit = by_role.get("timestamp", ""), by_role.get("commit", "")
    if time and not (is_time(time) or is_nothing(time)):
        return False
    if "status" not in by_role:
        return is_commit(commit)
    return " " not in commit.strip()
