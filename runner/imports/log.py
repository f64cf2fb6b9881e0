"""A log, a list of finals or an export as runs and trials."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from runner.claims.words import is_nothing
from runner.imports.asked import Asked
from runner.imports.direction import Told, told
from runner.imports.fields import (
    ended_column,
    knob_of,
    moment_of,
    seconds_column,
    seconds_of,
    setting_of,
    usd_column,
    usd_of,
)
from runner.imports.metric import Chosen, choose, names_by_row, stated
from runner.imports.runs import KeyColumns, gather, key_columns
from runner.imports.source import Source
from runner.imports.statuses import kept_of, status_of, value_of
from runner.imports.table import ForeignRow, ForeignTable, read_table
from runner.imports.wandb import settings_of
from runner.metrics import Direction
from runner.records.imported import ForeignMetric, Imported, ImportedTrial, LeftOut

LEAST_OTHERS = 5  # values by which a 0 is told to be none
FAR = 0.1  # of the median: a 0 is far from the others if none of them is below it
COUNT = 10  # a count of less may well go down to 0
NUMBERED = "column_"  # begins the names of columns that have none
UNKNOWN = "unknown"  # the metric's name where no column holds one


def read_log(source: Source, asked: Asked, name: str) -> tuple[Imported, list[ImportedTrial]]:
    """All that a text file holds.

    Args:
        source: the file.
        asked: what a person says.
        name: of the import.

    Raises:
        UserError: it is not text, is too large, or lacks the column that was asked for.
    """
    table, chosen = _understood(source, asked)
    return _Log(table, chosen, asked, name).read(source)


def _understood(source: Source, asked: Asked) -> tuple[ForeignTable, Chosen]:
    """The rows and the metric's column: as an agent's log, else as any table with a metric."""
    table = read_table(source, asked.metric)
    chosen = Chosen() if not table.rows and asked.metric else choose(table, asked.metric)
    if not chosen.column or not table.rows or chosen.column.startswith(NUMBERED):
        trusted = read_table(source, asked.metric, trusted=True)
        found = choose(trusted, asked.metric) if trusted.rows or not table.rows else Chosen()
        if found.column and trusted.rows:
            table, chosen = trusted, found
            if table.layout == "Markdown":
                table = read_table(source, chosen.column, trusted=True)
    elif table.layout == "Markdown" and not asked.metric:
        table = read_table(source, chosen.column)  # tables that have that column and no status
    without = [row for row in table.rows if not row.measured]
    if chosen.column and chosen.column == table.value_column and table.layout != "JSON" and without:
        left = [_without_metric(row) for row in without]
        table = replace(
            table,
            rows=tuple(row for row in table.rows if row.measured),
            left_out=(*table.left_out, *left),
        )
    return table, chosen


def _without_metric(row: ForeignRow) -> LeftOut:
    raw = " | ".join(row.cells.values())
    return LeftOut(line=row.line, raw=raw, reason="in a table without the metric", row=False)


@dataclass(frozen=True)
class _Read:
    """A row whose status and value are known."""

    row: ForeignRow
    said: str
    metric: str
    value: float | None
    kept: bool | None


class _Log:
    """Makes runs and trials of a table whose metric is known."""

    def __init__(self, table: ForeignTable, chosen: Chosen, asked: Asked, name: str) -> None:
        self._table, self._chosen, self._asked, self._name = table, chosen, asked, name
        self._status = table.roles.get("status", "")
        self._stated = stated(table)
        # The last word on each name; one without a name is said of all.
        self._stated_by_name = {each.name: each.direction for each in self._stated
                                if each.direction}  # fmt: skip
        self._assumed: list[str] = []
        self._settings = frozenset(settings_of(table.filled, chosen.column))
        if self._settings:
            names = ", ".join(sorted(self._settings)[:20])
            self._assumed.append(
                f"the columns that name no figure were taken for settings: {names}"
            )

    def read(self, source: Source) -> tuple[Imported, list[ImportedTrial]]:
        read = self._rows()
        of_metric: dict[str, list[_Read]] = {}
        for each in read:
            of_metric.setdefault(each.metric, []).append(each)
        metrics = {name: self._metric(name, rows) for name, rows in of_metric.items()}
        if not metrics:
            said = next((each.name for each in self._stated if each.name), "")
            name = said or self._chosen.column or UNKNOWN
            metrics = {name: self._metric(name, [])}
        read = self._without_zeros(read, metrics)
        one_search = any(each.kept for each in read) and any(each.kept is False for each in read)
        keys = key_columns(self._table, self._chosen.column, one_search=one_search)
        rows = [(keys.key(each.row.cells, each.metric), self._trial(each, keys)) for each in read]
        runs, trials, assumed = gather(rows, metrics, self._asked, self._name)
        left = sorted(self._table.left_out, key=lambda each: each.line)
        return Imported(
            name=self._name,
            source=source.path.name,
            sha256=source.sha256,
            format=self._table.layout,
            rows=len(trials) + sum(each.row for each in left),
            runs=runs,
            assumed=[*self._column_assumed(), *self._assumed, *assumed, *self._rows_assumed()],
            left_out=left,
        ), trials

    # --- the metric -------------------------------------------------------------------------------

    def _names(self) -> list[str]:
        """What each row measured."""
        column, asked = self._chosen.column, self._asked.metric
        by_row = "" if asked else names_by_row(self._table)
        by_row = "" if by_row == column else by_row
        said = [] if asked else [each for each in self._stated if each.name]
        lines = [each.line for each in said]
        names = []
        for row in self._table.rows:
            above = bisect_right(lines, row.line)
            default = said[above - 1].name if above else column or UNKNOWN
            names.append(row.cells.get(by_row, default) if by_row else default)
        return names

    def _metric(self, name: str, read: Sequence[_Read]) -> ForeignMetric:
        found = self._direction(name, read)
        if found.sentence:
            self._assumed.append(found.sentence)
        return ForeignMetric(
            name=name, direction=found.direction, by=found.by, column=self._chosen.column
        )

    def _direction(self, name: str, read: Sequence[_Read]) -> Told:
        if self._asked.direction is not None:
            return Told(self._asked.direction, "asked")
        if (said := self._stated_direction(name)) is not None:
            return Told(said, "stated")
        if self._chosen.direction is not None:
            word = "lower" if self._chosen.direction == "minimize" else "higher"
            return Told(self._chosen.direction, "best so far",
                        f"{word} {name!r} is better: {self._chosen.so_far!r} holds its best so "
                        "far")  # fmt: skip
        # A 0 of what was not kept may stand where there is nothing.
        said_of = [each for each in read if each.value != 0 or each.kept is not False] or read
        found = told(name, [each.value for each in said_of], [each.kept for each in said_of])
        if found.by == "assumed" and name != self._chosen.column:
            return told(self._chosen.column, [], [])
        return found

    def _stated_direction(self, name: str) -> Direction | None:
        return self._stated_by_name.get(name, self._stated_by_name.get(""))

    def _without_zeros(
        self, read: Sequence[_Read], metrics: Mapping[str, ForeignMetric]
    ) -> list[_Read]:
        """The rows without zeros that would be far better than all others, and were not kept."""
        signs = {name: 1 if metric.direction == "minimize" else -1
                 for name, metric in metrics.items()}  # fmt: skip
        others: dict[str, list[float]] = {name: [] for name in metrics}
        for each in read:
            if each.value:
                others[each.metric].append(signs[each.metric] * each.value)
        empty = {
            name
            for name, values in others.items()
            if len(values) >= LEAST_OTHERS and _is_zero_far_from(values)
        }
        found = [replace(each, value=None) if each.value == 0 and self._status
                 and each.kept is not True and each.metric in empty else each
                 for each in read]  # fmt: skip
        count = sum(new is not old for new, old in zip(found, read, strict=True))
        if count:
            self._assumed.append(
                f"{count} rows have no value but a 0 far better than all others, and not kept"
            )
        return found

    # --- the rows ---------------------------------------------------------------------------------

    def _rows(self) -> list[_Read]:
        read = []
        for row, metric in zip(self._table.rows, self._names(), strict=True):
            said = row.cells.get(self._status, "")
            written = row.cells.get(self._chosen.column, "")
            read.append(_Read(row, said, metric, value_of(said, written), kept_of(said)))
        return read

    def _trial(self, read: _Read, keys: KeyColumns) -> ImportedTrial:
        cells = dict(read.row.cells)
        written = cells.pop(self._chosen.column, "")
        if read.value is None and written:
            cells[self._chosen.column] = written  # such as FAIL, or a crash's 0
        said = cells.pop(self._status, "")
        for name in keys.all:
            cells.pop(name, None)
        change = self._taken(cells, "change") or self._taken(cells, "hypothesis")
        return ImportedTrial(
            run="",
            trial=0,
            line=read.row.line,
            status=status_of(said, written),
            said=said,
            value=read.value,
            kept=read.kept,
            at=self._moment(cells),
            change=change,
            commit=self._taken(cells, "commit"),
            category=self._taken(cells, "category"),
            **_figures(cells),
            knobs=self._knobs(cells),
            other=cells,
        )

    def _taken(self, cells: dict[str, str], role: str) -> str:
        cell = cells.pop(self._table.roles.get(role, ""), "")
        return "" if is_nothing(cell) else cell

    def _moment(self, cells: dict[str, str]) -> str:
        for column in (ended_column(cells), self._table.roles.get("timestamp", "")):
            if column in cells and (moment := moment_of(cells[column])):
                del cells[column]
                return moment
        return ""

    def _knobs(self, cells: dict[str, str]) -> dict[str, Any]:
        """The settings of a trial, taken from the cells."""
        named = {name: name if name in self._settings else knob_of(name) for name in cells}
        return {knob: setting_of(cells.pop(name)) for name, knob in named.items() if knob}

    # --- what was assumed -------------------------------------------------------------------------

    def _column_assumed(self) -> list[str]:
        chosen = self._chosen
        if not chosen.column:
            return ["no column holds a metric: the trials have no values"]
        if chosen.by == "asked":
            return []
        why = {"stated": "the source names it", "name": "by its name",
               "best so far": f"{chosen.so_far!r} holds its best so far"}  # fmt: skip
        return [f"the values are in the column {chosen.column!r}: {why[chosen.by]}"]

    def _rows_assumed(self) -> list[str]:
        problems = Counter(row.problem for row in self._table.rows if row.problem)
        return [f"{count} rows: {problem}" for problem, count in problems.most_common(20)]


def _is_zero_far_from(others: Sequence[float]) -> bool:
    """Whether a 0 is another kind of figure than these; less is better of all of them."""
    least = min(others)
    may_be_counts = least < COUNT and all(value.is_integer() for value in others)
    return least > FAR * median(others) > 0 and not may_be_counts


def _figures(cells: dict[str, str]) -> dict[str, Any]:
    """How long a trial took and what it cost, taken from the cells."""
    found: dict[str, Any] = {}
    column = seconds_column(cells)
    if column and (seconds := seconds_of(column, cells[column])) is not None:
        del cells[column]
        found["seconds"] = seconds
    column = usd_column(cells)
    if column and (usd := usd_of(cells[column])) is not None:
        del cells[column]
        found["usd"] = usd
    return found
