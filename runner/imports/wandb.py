"""Exports of Weights & Biases: a chart's CSV, and which columns of a table of runs are settings.

A chart has a column of steps and three columns a run: `NAME - METRIC`, and the same with `__MIN`
and `__MAX`. Each run is a contestant's, and each step that has a value is a trial of it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runner.claims.words import metric_rank
from runner.errors import UserError
from runner.imports.asked import Asked
from runner.imports.direction import Told, named_direction, stated_in, told
from runner.imports.runs import Key, gather
from runner.imports.source import MAX_ROWS, Source
from runner.imports.statuses import figure_of
from runner.imports.table import ANY_METRIC
from runner.records.imported import ForeignMetric, Imported, ImportedTrial, LeftOut

_SPREAD = ("__MIN", "__MAX")
_OF_A_RUN = frozenset(
    {
        *("name", "state", "notes", "user", "tags", "created", "runtime", "sweep", "id", "group"),
        *("job_type", "host", "entity", "project", "agent", "commit", "github", "url"),
    }
)
_KNOWN_OF_A_RUN = frozenset({"created", "runtime", "sweep", "user"})
_METRIC_WORDS = frozenset({"loss", "acc", "accuracy", "val", "valid", "test", "train", "eval",
                           "epoch", "step", "score", "best", "iteration"})  # fmt: skip


@dataclass(frozen=True)
class _Line:
    """A run's column in a chart."""

    at: int
    run: str
    metric: str


def is_chart(data: bytes) -> bool:
    """Whether a file is a chart's export: columns of a minimum and a maximum beside a run's own."""
    return bool(_lines_of(_header(data)))


def _header(data: bytes) -> list[str]:
    first = data[: 1 << 20].removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0]
    try:
        return next(csv.reader([first.decode("utf-8", "replace").rstrip("\r")]), [])
    except csv.Error:
        return []


def _lines_of(header: Sequence[str]) -> list[_Line]:
    names = set(header)
    lines = []
    for at, name in enumerate(header[1:], 1):
        run, mark, metric = name.rpartition(" - ")
        if mark and {name + end for end in _SPREAD} <= names:
            lines.append(_Line(at, run, metric))
    return lines


def read_chart(source: Source, asked: Asked, name: str) -> tuple[Imported, list[ImportedTrial]]:
    """All values of a chart.

    Raises:
        UserError: it has more values than the bound allows, or not the metric that was asked for.
    """
    header = _header(source.data)
    lines = _lines_of(header)
    if asked.metric:
        known = sorted({each.metric for each in lines})
        lines = [each for each in lines if each.metric == asked.metric]
        if not lines:
            raise UserError(
                f"choosing the metric: the chart does not show {asked.metric!r}",
                hint=f"it shows: {', '.join(known)}",
            )
    text = io.StringIO(source.data.decode("utf-8-sig", "replace"), newline="")
    rows: list[tuple[Key, ImportedTrial]] = []
    left: list[LeftOut] = []
    try:
        reader = csv.reader(text)
        next(reader)
        began = reader.line_num + 1
        for cells in reader:
            found = list(_values(lines, cells, header, began))
            rows += found
            if any(cells) and not found:
                left.append(LeftOut(line=began, raw=",".join(cells)[:4000], reason="no value"))
            if len(rows) > MAX_ROWS:
                raise UserError(f"importing {source.path}: it has more than {MAX_ROWS} values")
            began = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"importing {source.path}: it is no CSV: {error}") from error
    metrics, assumed = _metrics(lines, rows, asked)
    runs, trials, said = gather(rows, metrics, asked, name)
    return Imported(
        name=name,
        source=source.path.name,
        sha256=source.sha256,
        format="Weights & Biases, chart",
        rows=len(trials) + len(left),
        runs=runs,
        assumed=[f"each value at a {header[0]} of a run was taken for a trial", *assumed, *said],
        left_out=left,
    ), trials


def _values(
    lines: Iterable[_Line], cells: Sequence[str], header: Sequence[str], line: int
) -> Iterable[tuple[Key, ImportedTrial]]:
    for each in lines:
        value = figure_of(cells[each.at]) if each.at < len(cells) else None
        if value is not None:
            other = {header[0]: cells[0]}
            trial = ImportedTrial(run="", trial=0, line=line, status="ok", value=value, other=other)
            yield Key(each.run, "", "", each.run, each.metric), trial


def _metrics(
    lines: Sequence[_Line], rows: Sequence[tuple[Key, ImportedTrial]], asked: Asked
) -> tuple[dict[str, ForeignMetric], list[str]]:
    metrics: dict[str, ForeignMetric] = {}
    assumed = []
    of_metric: dict[str, list[float | None]] = {each.metric: [] for each in lines}
    for key, trial in rows:
        of_metric[key.metric].append(trial.value)
    for name, values in of_metric.items():
        found = told(name, values, [None] * len(values))
        if asked.direction is not None:
            found = Told(asked.direction, "asked")
        elif (said := stated_in([name])) is not None:
            found = Told(said, "stated")
        assumed += [found.sentence] if found.sentence else []
        metrics[name] = ForeignMetric(
            name=name, direction=found.direction, by=found.by, column=name
        )
    return metrics, assumed


def settings_of(columns: Iterable[str], metric: str) -> list[str]:
    """The columns of a table of runs that are taken for settings; none of other tables.

    Args:
        columns: of the table.
        metric: the column of the values.
    """
    names = list(columns)
    if not {"name", "state"} <= set(names) or not _KNOWN_OF_A_RUN & set(names):
        return []
    return [name for name in names if name != metric and _may_be_setting(name)]


def _may_be_setting(name: str) -> bool:
    words = set(name.replace("/", "_").replace(".", "_").split("_"))
    is_known = name in _OF_A_RUN or name.startswith("_") or not name
    rank = metric_rank(name, ANY_METRIC)
    measures = words & _METRIC_WORDS or named_direction(name) is not None
    return not (is_known or measures or (rank is not None and rank < 7))
