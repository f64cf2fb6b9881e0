"""Which column is which: the metric, the status, the commit, by their names and what they hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from runner.claims.alignment import filled, is_commit, is_time
from runner.claims.number import is_number, read_number
from runner.claims.sheet import MAX_CELLS, Row, Sheet, Table
from runner.claims.words import (
    NAMES,
    columns,
    is_nothing,
    is_plain_status,
    known_status,
    metric_rank,
    role_of,
    share,
)

SAMPLE = 400  # rows by which columns are told
LEAST = 0.5  # share of a column's filled cells that must be numbers, or statuses
MOST = 0.8  # the same for a column whose name says nothing
FEW = 0.2  # share of its numbers that differ, for a column that may be a setting
SAYS_NOTHING = 7  # the first rank of a name that says nothing
SURE = 2  # the last rank of `metric_rank` that names the metric


@dataclass(frozen=True)
class Roles:
    """What each column of a file is.

    Args:
        by_name: the column of the protocol (`value` for the metric's), by the log's own name.
        value_column: which one was read as the metric; empty without one.
        sure: whether its name says that it is the metric.
    """

    by_name: dict[str, str] = field(default_factory=dict)
    value_column: str = ""
    sure: bool = True

    @cached_property
    def in_order(self) -> tuple[tuple[str, str], ...]:
        """Names and roles, in the protocol's order of columns."""
        order = columns("value")
        return tuple(sorted(self.by_name.items(), key=lambda pair: order.index(pair[1])))


def told_by_names(sheet: Sheet, metric_name: str, value_column: str | None = None) -> Roles:
    """The roles of the columns of all tables that have a header.

    Args:
        sheet: the tables.
        metric_name: what the task measures.
        value_column: the metric's column in the whole file, when the sheet is one table of it: a
            column of another name is then taken only if the name says that it is the metric.
    """
    cells = _columns(sheet)
    value = _value_column(cells, metric_name)
    if value_column is not None and value != value_column:
        rank = metric_rank(value, metric_name) if value else None
        if value_column in cells:
            value = value_column
        elif rank is None or rank > SURE:
            value = None
    status = _status_column(cells, value)
    rank = metric_rank(value, metric_name) if value else None
    if rank is not None and rank >= SAYS_NOTHING and not status:
        value = rank = None  # nothing says that these are experiments, let alone what was measured
    roles = {name: role for name, role in ((value, "value"), (status, "status")) if name}
    for role, known in NAMES.items():
        if role == "status":
            continue
        name = next((each for each in known if each in cells and each not in roles), None)
        if name is not None:
            roles[name] = role
    return Roles(roles, value or "", rank is not None and rank <= SURE)


def told_by_cells(rows: Sequence[Row], metric_name: str) -> tuple[list[str], Roles] | None:
    """Names and roles of rows without a header, when their cells show them.

    Cells that fit the protocol's columns are read in its order. Others are read when one column
    holds statuses; the value is then the one column of numbers that vary and are no whole numbers.
    """
    count = _usual_count(rows)
    table = [row for row in rows if filled(row, count) == count]
    if not table or count > MAX_CELLS:
        return None
    cells = [[row.cells[at].strip() for row in table[:SAMPLE]] for at in range(count)]
    named = columns(metric_name)
    if count == len(named) and _in_the_protocols_order(cells):
        roles = {name: "value" if name == metric_name else name for name in named}
        return list(named), Roles(roles, metric_name)
    statuses = [at for at in range(count) if share(map(is_plain_status, cells[at])) >= MOST]
    if len(statuses) != 1 or count < 3:
        return None
    names = [f"column_{at + 1}" for at in range(count)]
    roles = {names[statuses[0]]: "status"}
    commits = [at for at in range(count) if share(map(is_commit, cells[at])) >= LEAST]
    if len(commits) == 1:
        roles[names[commits[0]]] = "commit"
    times = [at for at in range(count) if share(map(is_time, cells[at])) >= MOST]
    if len(times) == 1:
        roles[names[times[0]]] = "timestamp"
    values = [at for at in range(count) if names[at] not in roles and _varies(cells[at])]
    if len(values) == 1:
        roles[names[values[0]]] = "value"
    return names, Roles(roles, names[values[0]] if len(values) == 1 else "", sure=False)


def _usual_count(rows: Iterable[Row]) -> int:
    counts: dict[int, int] = {}
    for row in rows:
        if row.count > 1:
            counts[row.count] = counts.get(row.count, 0) + 1
    return max(counts, key=counts.__getitem__, default=0)


def _in_the_protocols_order(cells: Sequence[Sequence[str]]) -> bool:
    """Whether nine columns hold a time, a commit, a value and a status where the protocol does."""
    _, time, commit, _, _, _, value, delta, status = cells
    return (
        share(map(is_time, time)) >= MOST
        and share(is_commit(cell) or cell == "HEAD" for cell in commit) >= LEAST
        and share(is_number(cell) or is_nothing(cell) for cell in value) >= MOST
        and share(is_number(cell) or is_nothing(cell) for cell in delta) >= MOST
        and share(known_status(cell) is not None for cell in status) >= MOST
    )


def _varies(cells: Sequence[str]) -> bool:
    """Whether a column holds many different numbers that are not all whole."""
    numbers = [read_number(cell) for cell in cells]
    said = [number for number in numbers if number is not None]
    return (
        len(said) >= MOST * len(cells)
        and len({number.value for number in said}) > max(1, FEW * len(said))
        and share(number.decimals > 0 for number in said) >= LEAST
    )


def _columns(sheet: Sheet) -> dict[str, list[str]]:
    """A sample of the filled cells of each column that a header names, in the headers' order."""
    cells: dict[str, list[str]] = {}
    for table in islice(_spread(sheet.tables), SAMPLE):
        for name in table.names or ():
            cells.setdefault(name, [])
        for row in table.rows[: max(SAMPLE // len(sheet.tables), 1)]:
            if filled(row, table.columns) == table.columns:
                for name, cell in zip(table.names or (), row.cells, strict=False):
                    if not is_nothing(cell.strip()):
                        cells[name].append(cell.strip())
    return cells


def _spread(tables: Sequence[Table]) -> Iterable[Table]:
    """Tables with a header, from the whole of the file."""
    named = [table for table in tables if table.names]
    return named[:: max(len(named) // SAMPLE, 1)]


def _value_column(cells: Mapping[str, Sequence[str]], metric_name: str) -> str | None:
    best: tuple[int, str] | None = None
    is_empty = not any(cells.values())
    for name, sample in cells.items():
        rank = metric_rank(name, metric_name)
        if rank is None or (best is not None and rank >= best[0]):
            continue
        if rank > SURE and not is_empty and share(map(is_number, sample)) < LEAST:
            continue
        best = rank, name
    return best[1] if best else None


def _status_column(cells: Mapping[str, Sequence[str]], value: str | None) -> str | None:
    for name in NAMES["status"]:
        if name in cells and name != value:
            said = share(known_status(cell) is not None for cell in cells[name])
            if name == "status" or said >= LEAST:
                return name
    plain = (
        name
        for name, sample in cells.items()
        if name != value and not role_of(name) and share(map(is_plain_status, sample)) >= MOST
    )
    return next(plain, None)
