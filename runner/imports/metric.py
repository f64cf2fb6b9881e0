"""Which column of a foreign table was measured, and what the source itself says of it."""

from __future__ import annotations

import difflib
import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from runner.claims.words import column_name, metric_rank
from runner.errors import UserError
from runner.imports.direction import SURE_NAME, direction_word, named_direction, stated_in
from runner.imports.statuses import figure_of, kept_of
from runner.imports.table import ANY_METRIC, ForeignTable, is_numeric
from runner.metrics import Direction

SAMPLE = 2_000  # rows by which a column of the best so far is told
MOST_COLUMNS = 64  # that are held against one of the best so far; wider tables hold other things
MOST_SO_FAR = 8  # columns of the best so far that are tried
LEAST_FILLED = 0.2  # share of the rows in which such columns have a cell
FOLLOWS = 0.8  # share of its cells that must be the best so far of another column
LEAST_CHANGES = 2  # different values that a column of the best so far must share
SAYS_NOTHING = 7  # the first rank of a name that says nothing
_OF_A_NAME = (ANY_METRIC, "metric_name", "metricname", "objective", "primary_metric", "target")
_OF_A_DIRECTION = ("direction", "bestdirection", "best_direction", "metric_direction", "mode")
_SAID = re.compile(r"\bmetric(?:[_ ]name)?[\"'`*]*\s*[:=]\s*[\"'`*]*([\w./%-]+)", re.IGNORECASE)
_SO_FAR = frozenset({"best", "champion", "incumbent", "so", "before", "prev", "previous"})


@dataclass(frozen=True)
class Stated:
    """What a source says of its metric from one line on.

    Args:
        line: the first for which it holds.
        name: of the metric; empty where it says none.
        direction: which values are better; None where it does not say.
    """

    line: int
    name: str = ""
    direction: Direction | None = None


@dataclass(frozen=True)
class Chosen:
    """The column of the values.

    Args:
        column: its name; empty where none is.
        by: how it was chosen: asked, stated, best so far, or name.
        direction: which values are better, if a column of the best so far shows it.
        so_far: that column.
    """

    column: str = ""
    by: str = "name"
    direction: Direction | None = None
    so_far: str = ""


def choose(table: ForeignTable, asked: str) -> Chosen:
    """The column that was measured.

    Raises:
        UserError: the one that was asked for is not there.
    """
    numeric = table.numeric
    if asked:
        return Chosen(_asked(asked, list(table.filled), numeric), "asked")
    followed = dict.fromkeys(_followed(table, numeric))
    pick = _no_counter(table)
    named = named_by_rows(table) or named_in(table.prose)
    if named and (of_that_name := _of_name(named, numeric)):
        return Chosen(of_that_name, "stated", *_shown(followed, of_that_name))
    if (
        pick
        and pick in numeric
        and (not followed or any(column == pick for column, _, _ in followed))
    ):
        return Chosen(pick, "name", *_shown(followed, pick))
    if followed and pick != ANY_METRIC:
        column, direction, so_far = next(iter(followed))
        return Chosen(column, "best so far", direction, so_far)
    if pick in numeric or (pick and not table.rows):
        return Chosen(pick)
    return Chosen(_by_name(table, numeric))


def _no_counter(table: ForeignTable) -> str:
    """What looks most like the metric; not a count of the rows, whose name nobody knows."""
    pick = table.value_column
    if (_rank_of(pick) or 0) % 10 < SAYS_NOTHING or not _counts(table.filled.get(pick, ())):
        return pick
    others = [name for name in table.numeric if _rank_of(name) is not None]
    return next((name for name in others if not _counts(table.filled[name])), pick)


def _rank_of(name: str) -> int | None:
    return metric_rank(name, ANY_METRIC)


def _counts(cells: Sequence[str]) -> bool:
    """Whether a column holds whole numbers, each higher than the one before."""
    figures = [figure_of(cell) for cell in cells[:SAMPLE]]
    said = [figure for figure in figures if figure is not None]
    rises = all(first < second for first, second in itertools.pairwise(said))
    return len(said) == len(figures) and rises and all(figure.is_integer() for figure in said)


def _shown(
    followed: dict[tuple[str, Direction | None, str], None], column: str
) -> tuple[Direction | None, str]:
    of_it = [each for each in followed if each[0] == column and each[1] is not None]
    return (of_it[0][1], of_it[0][2]) if of_it else (None, "")


def _asked(asked: str, columns: Sequence[str], numeric: Sequence[str]) -> str:
    name = column_name(asked)
    if name in columns:
        return name
    if found := _of_name(name, columns):
        return found
    near = difflib.get_close_matches(name, columns, n=1)
    raise UserError(
        f"choosing the metric: there is no column {asked!r}",
        hint=f"{f'did you mean {near[0]}? ' if near else ''}columns of numbers: "
        f"{', '.join(numeric[:40]) or 'none'}",
    )


def _of_name(name: str, columns: Sequence[str]) -> str:
    """The column of this name, or the first that is a nested one of it."""
    name = column_name(name)
    ends = (f".{name}", f"/{name}")
    found = [each for each in columns if each == name or each.endswith(ends)]
    return min(found, key=len, default="")


def named_by_rows(table: ForeignTable) -> str:
    """The one name that a column of names of metrics holds in all rows."""
    for column in _OF_A_NAME:
        names = set(table.filled.get(column, ()))
        if len(names) == 1 and not is_numeric(list(names)):
            return names.pop()
    return ""


def named_in(prose: Sequence[str]) -> str:
    """The name that lines of prose and comments give to the metric; empty where none does."""
    return next((found[1] for line in prose if (found := _SAID.search(line))), "")


def names_by_row(table: ForeignTable) -> str:
    """The column that names the metric of each row; empty where there is none."""
    for column in (ANY_METRIC, "metric_name"):
        names = set(table.filled.get(column, ()))
        if names and not is_numeric(sorted(names)) and len(names) * 2 <= max(len(table.rows), 2):
            return column
    return ""


def _by_name(table: ForeignTable, numeric: Sequence[str]) -> str:
    """The column whose name says most; that of the changes at last."""
    ranked = [(_rank(name), at, name) for at, name in enumerate(numeric)]
    best = min(((rank, at, name) for rank, at, name in ranked if rank is not None), default=None)
    if best is not None:
        return best[2]
    delta = table.roles.get("delta", "")
    return delta if delta in numeric else ""


def _rank(name: str) -> int | None:
    rank = metric_rank(name, ANY_METRIC)
    if rank is not None and rank % 10 < SAYS_NOTHING:
        return rank
    by_name = named_direction(name)
    if rank is None or by_name is None or by_name[1] < SURE_NAME:
        return None
    return rank


def _followed(
    table: ForeignTable, numeric: Sequence[str]
) -> Iterator[tuple[str, Direction | None, str]]:
    """Columns whose best so far, or last kept value, stands in another one.

    Yields:
        The column, which values are better where that shows, and the other column.
    """
    many = [name for name in numeric if len(table.filled[name]) >= LEAST_FILLED * len(table.rows)]
    trackers = [name for name in many if _SO_FAR & set(name.replace(".", "_").split("_"))]
    del trackers[MOST_SO_FAR:]
    if not trackers:
        return
    numeric = list(dict.fromkeys([*trackers, *many[:MOST_COLUMNS]]))
    rows = table.rows[:SAMPLE]
    figures = {name: [figure_of(row.cells.get(name, "")) for row in rows] for name in numeric}
    status = table.roles.get("status", "")
    kept = [kept_of(row.cells.get(status, "")) is True for row in rows]
    for tracker, name in itertools.product(trackers, numeric):
        values = figures[name]
        if name in trackers:
            continue
        for direction in ("minimize", "maximize"):
            if _follows(figures[tracker], _best_so_far(values, direction)):
                yield name, direction, tracker
        if _follows(figures[tracker], _last_kept(values, kept)):
            yield name, None, tracker


def _best_so_far(values: Sequence[float | None], direction: str) -> list[float | None]:
    better = min if direction == "minimize" else max
    best: float | None = None
    found = []
    for value in values:
        best = value if best is None else best if value is None else better(best, value)
        found.append(best)
    return found


def _last_kept(values: Sequence[float | None], kept: Sequence[bool]) -> list[float | None]:
    last: float | None = None
    found = []
    for value, keep in zip(values, kept, strict=True):
        last = value if keep else last
        found.append(last)
    return found


def _follows(tracker: Sequence[float | None], so_far: Sequence[float | None]) -> bool:
    """Whether most cells are what stands up to their row, or up to the row before."""
    return _agree(tracker, so_far) or _agree(tracker[1:], so_far[:-1])


def _agree(tracker: Sequence[float | None], so_far: Sequence[float | None]) -> bool:
    both = [pair for pair in zip(tracker, so_far, strict=True) if None not in pair]
    same = [said for said, value in both if math.isclose(said or 0, value or 0, rel_tol=1e-4)]
    return len(set(same)) >= LEAST_CHANGES and len(same) >= FOLLOWS * len(both)


def stated(table: ForeignTable) -> list[Stated]:
    """What the source says of its metric, in the order of its lines."""
    found = [_of_settings(line, settings) for line, settings in table.settings]
    said = [each for each in found if each.name or each.direction]
    if (direction := stated_in(table.prose)) is not None:
        said.append(Stated(0, direction=direction))
    for column in _OF_A_DIRECTION:
        words = {direction_word(cell) for cell in table.filled.get(column, ())}
        if len(words) == 1 and (word := words.pop()) is not None:
            said.append(Stated(0, direction=word))
    return sorted(said, key=lambda each: each.line)


def _of_settings(line: int, settings: dict[str, object]) -> Stated:
    plain = {key.lower(): value for key, value in settings.items() if isinstance(value, str)}
    name = next((plain[key] for key in _OF_A_NAME if plain.get(key)), "")
    word = next((plain[key] for key in _OF_A_DIRECTION if plain.get(key)), "")
    direction = direction_word(word) if word else None
    higher = settings.get("higher_is_better")
    if direction is None and isinstance(higher, bool):
        direction = "maximize" if higher else "minimize"
    return Stated(line, name, direction)
