"""The agent's own words: rows of an `experiments.csv`, whatever the agent made of it.

The file is a stranger's. Reading it is bounded in bytes, rows and cell lengths and never raises;
what does not fit the protocol's columns is kept as it is, with the reason beside it. A row is taken
apart only when it has a cell for every column of its header: a guess would put one figure in
another's place.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

COLUMNS = (
    "experiment",
    "timestamp",
    "commit",
    "hypothesis",
    "category",
    "change",
    "val_bpb",
    "delta",
    "status",
)
MAX_BYTES = 8 << 20
MAX_ROWS = 20_000
MAX_CELL = 4_000  # characters
MAX_CELLS = 64
DELIMITERS = ",;\t|"
LINES_OF_A_RUNAWAY_QUOTE = 30  # a quote that nobody closed takes the rest of the file into one cell
WORDS_OF_A_HEADER = 2  # known column names that make a row a header
TEXT_SHARE = 0.9  # of the characters, for a file to count as text


@dataclass(frozen=True)
class Claim:
    """One row of the file.

    Args:
        row: its place among the rows that are no header, from 1.
        cells: value by column of the protocol, as written.
        other: value by column that the protocol does not know.
        raw: the whole row, when it could not be taken apart.
        problem: why it could not, or what was assumed; empty when all is well.
    """

    row: int
    cells: dict[str, str] = field(default_factory=dict)
    other: dict[str, str] = field(default_factory=dict)
    raw: str = ""
    problem: str = ""

    @property
    def val_bpb(self) -> float | None:
        """The claimed bits per byte of a row that did not crash, if it is a number above 0."""
        if self.cells.get("status", "").strip().lower() == "crash":
            return None
        return positive(self.cells.get("val_bpb", ""))


@dataclass(frozen=True)
class Claims:
    """All rows of a file, and what is wrong with the file as a whole."""

    rows: tuple[Claim, ...] = ()
    problems: tuple[str, ...] = ()

    def best(self) -> Claim | None:
        """The row with the lowest claimed val_bpb, the earliest of equals."""
        claimed = [(row.val_bpb, row.row, row) for row in self.rows if row.val_bpb is not None]
        return min(claimed, default=(0, 0, None))[2]


def positive(text: str) -> float | None:
    """The number that a cell is, if it is one above 0."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def parse(data: bytes) -> Claims:
    """Everything that can be made of the content of an `experiments.csv`."""
    problems = []
    if len(data) > MAX_BYTES:
        problems.append(f"longer than {MAX_BYTES >> 20} MiB: the rest was left out")
        data = data[:MAX_BYTES]
    text = data.decode("utf-8-sig", "replace").replace("\0", "\ufffd")
    if not text.strip():
        return Claims(problems=(*problems, "empty"))
    if _text_share(text) < TEXT_SHARE:
        return Claims(problems=(*problems, "not text"))
    table = _split(text)
    if len(table) > MAX_ROWS:
        problems.append(f"more than {MAX_ROWS} rows: the rest was left out")
    return _read_table(table[:MAX_ROWS], problems)


def _text_share(text: str) -> float:
    head = text[:100_000]
    readable = (char.isprintable() or char in "\r\n\t" for char in head if char != "\ufffd")
    return sum(readable) / len(head)


# --- from text to rows of cells -------------------------------------------------------------------


def _split(text: str) -> list[list[str]]:
    lines = [line for line in re.split(r"\r\n|\r|\n", text) if line.strip()]
    if sum(line.lstrip().startswith("|") for line in lines) > len(lines) / 2:
        return [_split_markdown(line) for line in lines if not re.fullmatch(r"[\s|:+-]*", line)]
    delimiter = _delimiter(lines)
    whole = _split_csv(text.splitlines(keepends=True), delimiter)
    if whole is None or any(_runs_away(row) for row in whole):
        single = (_split_csv([line], delimiter) for line in lines)
        return [row[0] if row else [line] for row, line in zip(single, lines, strict=True)]
    return [row for row in whole if any(cell.strip() for cell in row)]


def _split_markdown(line: str) -> list[str]:
    cells = re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|"))
    return [cell.strip().replace("\\|", "|") for cell in cells]


def _delimiter(lines: Sequence[str]) -> str:
    """The one that makes most column names out of some line; a comma when none does."""
    return max(
        DELIMITERS, key=lambda mark: max(len(_known(line.split(mark))) for line in lines[:100])
    )


def _split_csv(lines: Iterable[str], delimiter: str) -> list[list[str]] | None:
    try:
        return list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
    except csv.Error:
        return None


def _runs_away(row: list[str]) -> bool:
    return any(cell.count("\n") > LINES_OF_A_RUNAWAY_QUOTE for cell in row)


# --- from rows of cells to claims -----------------------------------------------------------------


def _read_table(table: list[list[str]], problems: list[str]) -> Claims:
    header: list[str] | None = None
    rows: list[Claim] = []
    for cells in table:
        if len(_known(cells)) >= WORDS_OF_A_HEADER:
            header = [_name(cell) for cell in cells]
        else:
            rows.append(_read_row(len(rows) + 1, cells, header))
    if header is None:
        problems.append("no header")
    elif missing := [name for name in COLUMNS if name not in header]:
        problems.append(f"no column {', '.join(missing)}")
    if broken := sum(bool(row.raw) for row in rows):
        problems.append(f"{broken} of {len(rows)} rows do not fit their columns")
    return Claims(tuple(rows), tuple(problems))


def _read_row(number: int, cells: list[str], header: list[str] | None) -> Claim:
    names = header or list(COLUMNS)
    while len(cells) > len(names) and not cells[-1].strip():
        cells = cells[:-1]
    if len(cells) != len(names):
        problem = f"{len(cells)} cells for {len(names)} columns"
        whole = json.dumps(cells[:MAX_CELLS], ensure_ascii=False)
        return Claim(number, raw=_short(whole), problem=problem)
    problem = "" if header else "no header: the protocol's order of columns was assumed"
    named = list(zip(names, map(_short, cells), strict=True))[:MAX_CELLS]
    known = {name: value for name, value in named if name in COLUMNS}
    other = {name: value for name, value in named if name not in COLUMNS}
    return Claim(number, known, other, problem=problem)


def _known(cells: Iterable[str]) -> set[str]:
    return {name for cell in cells if (name := _name(cell)) in COLUMNS}


def _name(cell: str) -> str:
    """A column's name however it is dressed: ` **Val BPB** ` is val_bpb."""
    return re.sub(r"[\s-]+", "_", cell[:100].strip(" \t\"'`*").lower())


def _short(cell: str) -> str:
    return cell if len(cell) <= MAX_CELL else f"{cell[:MAX_CELL]}… ({len(cell)} characters)"
