"""The tables of a log before anybody knows which column is which."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from runner.claims.claim import Unread
from runner.claims.number import is_number
from runner.claims.words import MAX_NAME, is_known

MAX_CELL = 4_000  # characters
MAX_CELLS = 64  # kept of a row
MAX_ROWS = 20_000
MAX_UNREAD = 1_000
MAX_DEPTH = 3  # of a JSON object's values
MAX_BYTES = 8 << 20
MAX_KEPT = 16 << 20  # characters kept of all rows, the names of their columns counted in each
FIRST_NAMES = 16  # by which a header below another one is told
KNOWN_NAMES = 2  # that make a row a header
_MARKUP = " \t\"'`*"


@dataclass(frozen=True)
class Bounds:
    """How much is read of a file; what is beyond is left out, and the file's problems say so.

    Args:
        size: bytes of the file.
        rows: how many of them.
        cells: of a row.
        depth: of a JSON object's values.
        kept: characters of all rows, the names of their columns counted in each.
        unread: lines that are kept although they are no rows.
        cell: characters of one cell.
        whole: whether nothing is read of a file that has more rows.
        trusted: whether it is known to be a table of experiments, whatever its columns are called.
    """

    size: int = MAX_BYTES
    rows: int = MAX_ROWS
    cells: int = MAX_CELLS
    depth: int = MAX_DEPTH
    kept: int = MAX_KEPT
    unread: int = MAX_UNREAD
    cell: int = MAX_CELL
    whole: bool = False
    trusted: bool = False


OF_AN_AGENT = Bounds()


@dataclass(frozen=True)
class Row:
    """A row as it stands in the file.

    Args:
        line: where it begins, from 1.
        cells: the first of them.
        count: how many cells it has.
        delimiter: what stood between them.
        lines: how many lines it takes.
    """

    line: int
    cells: list[str]
    count: int
    delimiter: str = ","
    lines: int = 1


@dataclass
class Table:
    """Rows below one header.

    Args:
        names: of its first columns; None when there is no header.
        columns: how many columns the header has.
    """

    names: list[str] | None
    columns: int = 0
    rows: list[Row] = field(default_factory=list)


@dataclass
class Sheet:
    """The tables of a file and what is in none.

    Args:
        left_out: how many more lines were not read than `unread` tells.
        full: whether rows beyond the bound were left out.
        is_json: whether its rows are JSON objects, each with names of its own.
        bounds: how much of the file is read.
    """

    tables: list[Table] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    left_out: int = 0
    full: bool = False
    is_json: bool = False
    bounds: Bounds = OF_AN_AGENT

    def leave(self, line: int, raw: str, reason: str) -> None:
        """Note what is no row."""
        if len(self.unread) < self.bounds.unread:
            self.unread.append(Unread(line, short(raw, self.bounds.cell), reason))
        else:
            self.left_out += 1


class Names:
    """Gives names that nobody has yet: `x`, then `x_2`, `x_3`. All of n names take O(n) time."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._last: dict[str, int] = {}

    def free(self, name: str) -> str:
        """The name, or with the next number behind it if it is taken."""
        other, count = name, self._last.get(name, 1)
        while other in self._taken:
            count += 1
            other = f"{name}_{count}"
        self._last[name] = count
        return other

    def take(self, name: str) -> None:
        """Let nobody else have this name."""
        self._taken.add(name)


def apart(names: Iterable[str]) -> list[str]:
    """The names, with a number behind each that stood there before: `x`, `x_2`."""
    given, found = Names(), []
    for name in names:
        other = given.free(name)
        given.take(other)
        found.append(other)
    return found


def short(text: str, most: int = MAX_CELL) -> str:
    """The text, cut where it is longer than a cell may be."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


def is_header(cells: Sequence[str], metric_name: str, *, again: bool = False) -> bool:
    """Whether these are names of columns.

    Args:
        cells: of the row.
        metric_name: what the task measures.
        again: whether it may be so only if half of its first names are known, because there was
            a header before, or none for many rows.
    """
    first = cells[: FIRST_NAMES if again else MAX_CELLS]
    quick = {cell[:MAX_NAME].strip(_MARKUP).lower().replace(" ", "_") for cell in first}
    known = sum(is_known(name, metric_name) for name in quick)
    if known < KNOWN_NAMES or (again and known * 2 < len(first)):
        return False
    return not any(is_number(cell) for cell in cells[:MAX_CELLS])
