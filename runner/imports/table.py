"""A foreign file as rows of cells under the source's own names of columns.

The reader of agents' logs (runner/claims) takes the file apart; this module gives the columns their
names back, opens cells that hold settings as JSON, and says of each line that is no row why not.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from runner.claims import reader
from runner.claims.claim import Claim, Claims, Unread
from runner.claims.layouts import LINE_END
from runner.claims.number import is_number, read_number
from runner.claims.words import column_name, is_nothing
from runner.errors import UserError
from runner.imports.source import BOUNDS, Source
from runner.records.imported import LeftOut

ANY_METRIC = "metric"  # what the value's column may be called where nobody says it
UNNAMED = "unnamed"  # a column without a name
SAMPLE = 2_000  # cells by which a column is told
MAX_HEAD = 100  # lines before the first row that are searched for what the source says
LEAST_OF_A_SHAPE = 5  # rows that agree on other columns than those of the header
VARIED = 0.2  # share of a column's numbers that differ, where the column may hold values
_COUNTS = re.compile(r"(\d+) cells for (\d+) columns")
_LOST_MARKS = re.compile(r"(?<=\d)(keep|kept|discard|crash|revert|reject)", re.IGNORECASE)
_NESTED = ("summary", "config", "params", "parameters", "hyperparameters", "metrics")


@dataclass(frozen=True)
class ForeignRow:
    """One row.

    Args:
        line: where it begins in the source, from 1.
        cells: what is in it, by the source's name of the column; empty cells are left out.
        problem: what its reader assumed.
        measured: whether its table has the metric's column.
    """

    line: int
    cells: dict[str, str]
    problem: str = ""
    measured: bool = True


@dataclass(frozen=True)
class ForeignTable:
    """All rows of a file.

    Args:
        rows: in order.
        roles: the source's name of a column, by what it is in an agent's log: commit, status, ….
        value_column: what looks most like the metric; empty where nothing does.
        left_out: the lines that are no trials.
        settings: objects between the rows, which say what is measured: line and content.
        prose: the lines that are no rows, and those before the first row.
        layout: what the file was read as.
    """

    rows: tuple[ForeignRow, ...] = ()
    roles: dict[str, str] = field(default_factory=dict)
    value_column: str = ""
    left_out: tuple[LeftOut, ...] = ()
    settings: tuple[tuple[int, dict[str, Any]], ...] = ()
    prose: tuple[str, ...] = ()
    layout: str = ""

    @cached_property
    def filled(self) -> dict[str, list[str]]:
        """The cells that hold something, by column."""
        found: dict[str, list[str]] = {}
        for row in self.rows:
            for name, cell in row.cells.items():
                found.setdefault(name, []).append(cell)
        return found

    @cached_property
    def numeric(self) -> list[str]:
        """The columns whose cells are mostly numbers."""
        return [name for name, cells in self.filled.items() if is_numeric(cells)]


def read_table(source: Source, metric: str = "", *, trusted: bool = False) -> ForeignTable:
    """The rows of a text file.

    Args:
        source: the file.
        metric: the column that was measured, if it is known.
        trusted: whether the file is a table of experiments, whatever its columns are called.

    Raises:
        UserError: it is not text, or has more rows or cells than the bounds allow.
    """
    name = column_name(metric) or ANY_METRIC
    data = _opened(source.data)
    claims = reader.parse(data, name, replace(BOUNDS, trusted=trusted))
    for problem in claims.problems:
        if problem == "not text" or "the rest was left out" in problem:
            raise UserError(
                f"importing {source.path}: it is {problem}"
                if problem == "not text"
                else f"importing {source.path}: {problem.partition(':')[0]}, which is too much",
                hint="name a text file, or split this one",
            )
    return _table(claims, name, data.decode("utf-8-sig", "replace"))


def _opened(data: bytes) -> bytes:
    """A JSON document that holds its experiments in lists, as JSON lines."""
    if not data.lstrip().startswith(b"{"):
        return data
    try:
        whole = json.loads(data)
    except (ValueError, RecursionError):
        return data
    if not isinstance(whole, dict):
        return data
    rows = [item for each in whole.values() if _is_list_of_objects(each) for item in each]
    if not rows:
        return data
    about = {key: value for key, value in whole.items() if not isinstance(value, (dict, list))}
    return "\n".join(json.dumps(item) for item in [about, *rows]).encode()


def _is_list_of_objects(item: Any) -> bool:
    return isinstance(item, list) and bool(item) and all(isinstance(each, dict) for each in item)


def _table(claims: Claims, metric: str, text: str) -> ForeignTable:
    roles = {role: name for name, role in claims.columns.items() if role != "value"}
    value_column = claims.value_column
    own = {**roles, metric: value_column or metric}
    shapes = _other_shapes(claims.unread) if value_column else {}
    rows = [_row(claim, own, metric) for claim in claims.rows]
    rows += [ForeignRow(line, {value_column: cells.pop(""), **cells}, problem)
             for line, (cells, problem) in shapes.items()]  # fmt: skip
    rows = sorted(filter(lambda row: row.cells, rows), key=lambda row: row.line)
    left = [each for each in claims.unread if each.line not in shapes]
    lines = LINE_END.split(text)
    head = lines[: min(rows[0].line - 1 if rows else MAX_HEAD, MAX_HEAD)]
    is_json = text.lstrip().startswith(("{", "["))
    return ForeignTable(
        tuple(rows),
        roles,
        value_column,
        tuple(map(_left_out, left)),
        tuple(_settings(left, lines)) if is_json else (),
        () if is_json else (*head, *(each.raw for each in left if _is_prose(each))),
        _layout(is_json=is_json, lines=lines, rows=rows),
    )


def _layout(*, is_json: bool, lines: Sequence[str], rows: Sequence[ForeignRow]) -> str:
    if is_json:
        return "JSON"
    if not rows:
        return "text"
    first = lines[rows[0].line - 1]
    if first.lstrip().startswith("|"):
        return "Markdown"
    return "table with tabs" if "\t" in first else "CSV"


def _row(claim: Claim, own: dict[str, str], metric: str) -> ForeignRow:
    named = {own.get(role, role): cell for role, cell in claim.cells.items()}
    cells = {**claim.other, **named}
    for name in [name for name in _NESTED if cells.get(name, "").lstrip().startswith("{")]:
        cells.update(_unfolded(name, cells[name]))
    filled = {name or UNNAMED: cell.strip() for name, cell in cells.items() if cell.strip()}
    return ForeignRow(claim.line, filled, claim.problem, metric in claim.cells)


def _unfolded(name: str, cell: str) -> dict[str, str]:
    """A cell's JSON object, or the Python dictionary that programs write instead, as cells."""
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        try:
            found = ast.literal_eval(cell)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            return {}
    if not isinstance(found, dict):
        return {}
    return {
        f"{name}.{key}": value if isinstance(value, str) else json.dumps(value, default=str)
        for key, value in found.items()
    }


def _other_shapes(unread: Sequence[Unread]) -> dict[int, tuple[dict[str, str], str]]:
    """Rows of another count than the header's, where the count is common and one column varies.

    The value is in the only column of numbers that vary and are no whole numbers; a row has it
    under the empty name.
    """
    split: dict[int, list[tuple[int, list[str]]]] = {}
    for each in unread:
        counts = _COUNTS.fullmatch(each.reason)
        if counts is None or int(counts[1]) < 2:
            continue
        try:
            cells = json.loads(each.raw)
        except ValueError:
            continue
        split.setdefault(len(cells), []).append((each.line, cells))
    found: dict[int, tuple[dict[str, str], str]] = {}
    for count, rows in split.items():
        values = [at for at in range(count) if _varies([cells[at] for _, cells in rows])]
        if len(rows) < LEAST_OF_A_SHAPE or len(values) != 1:
            continue
        problem = f"{count} cells, which its header does not fit: column {values[0] + 1} varies"
        for line, cells in rows:
            named = {f"column_{at + 1}": cell for at, cell in enumerate(cells) if at != values[0]}
            found[line] = ({**named, "": cells[values[0]]}, problem)
    return found


def _varies(cells: Sequence[str]) -> bool:
    said = [number for number in map(read_number, cells) if number is not None]
    many = len(said) >= 0.8 * len(cells) and len({each.value for each in said}) > VARIED * len(said)
    return many and sum(number.decimals > 0 for number in said) >= len(said) / 2


def _left_out(each: Unread) -> LeftOut:
    return LeftOut(line=each.line, raw=each.raw, reason=each.reason, row=_is_row(each))


def _is_row(each: Unread) -> bool:
    """Whether a line that was not understood is a row all the same."""
    counts = _COUNTS.fullmatch(each.reason)
    if counts is None:
        return each.reason == "no JSON object" and each.raw.lstrip().startswith("{")
    return int(counts[1]) > 1 or _LOST_MARKS.search(each.raw) is not None


def _is_prose(each: Unread) -> bool:
    return each.reason in ("a comment", "outside a table") or each.reason.startswith("1 cells")


def _settings(left: Sequence[Unread], lines: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Objects of one line that are no experiments."""
    for each in left:
        try:
            found = json.loads(lines[each.line - 1].strip().removesuffix(","))
        except (ValueError, RecursionError, IndexError):
            continue
        if isinstance(found, dict):
            yield each.line, found


def is_numeric(cells: Sequence[str]) -> bool:
    """Whether most of the filled cells are numbers, as a sample shows it."""
    sample = cells[:: max(len(cells) // SAMPLE, 1)]
    filled = [cell for cell in sample if not is_nothing(cell)]
    return bool(filled) and sum(map(is_number, filled)) * 2 >= len(filled)
