"""From the text of a log to tables: delimited lines, Markdown among prose, or JSON objects.

Each takes linear time: every line belongs to one table, one object or none.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from runner.claims.number import is_number
from runner.claims.sheet import (
    KNOWN_NAMES,
    MAX_CELLS,
    OF_AN_AGENT,
    Bounds,
    Names,
    Row,
    Sheet,
    Table,
    apart,
    is_header,
    short,
)
from runner.claims.words import column_name, is_known

DELIMITERS = ",;\t|"
LINES_OF_A_RUNAWAY_QUOTE = 30  # a quote that nobody closed takes the rest of the file into one cell
HEAD = 100  # lines by which a delimiter is told
LINE_END = re.compile(r"\r\n|\r|\n")


def split(text: str, metric_name: str, bounds: Bounds = OF_AN_AGENT) -> Sheet:
    """The tables of a log.

    Args:
        text: its content.
        metric_name: by which a header may be told.
        bounds: how much is read.
    """
    lines = LINE_END.split(text)
    filled = [line for line in lines if line.strip()]
    said = [line for line in filled if not line.startswith("#")] or filled
    if said and (said[0].lstrip().startswith(("{", "[{")) or said[0].strip() == "["):
        return _json(lines, bounds)
    delimiter = _delimiter(filled, metric_name)
    is_table = delimiter != "|" and is_header(said[0].split(delimiter, MAX_CELLS), metric_name)
    if not is_table and _is_markdown(filled):
        return _markdown(lines, metric_name, bounds)
    return _delimited(lines, delimiter, metric_name, bounds)


# --- JSON -----------------------------------------------------------------------------------------


def _json(lines: Sequence[str], bounds: Bounds) -> Sheet:
    sheet = Sheet(is_json=True, bounds=bounds)
    for number, text in _json_texts(lines):
        try:
            said = json.loads(text) if text.rstrip().endswith(("}", "]")) else None
        except (ValueError, RecursionError):
            sheet.leave(number, text, "no JSON object")
            continue
        for item in said if isinstance(said, list) else [said]:
            if len(sheet.tables) >= bounds.rows:
                sheet.full = True
                return sheet
            if isinstance(item, dict):
                named = _flat(item, bounds)
                row = Row(number, list(named.values()), len(named))
                sheet.tables.append(Table(list(named), len(named), [row]))
            else:
                sheet.leave(number, text, "no JSON object")
    return sheet


def _json_texts(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """What may be JSON: a line, or the lines from one that begins an object to one that ends it."""
    if next((line for line in lines if line.strip()), "").lstrip().startswith("["):
        yield 1, "\n".join(lines)
        return
    began, held = 0, list[str]()
    for number, line in enumerate(lines, 1):
        if held and line.startswith("{"):
            yield began, "\n".join(held)
            held = []
        if held:
            held.append(line)
            if line.startswith("}"):
                yield began, "\n".join(held)
                held = []
        elif line.rstrip().endswith(("}", "},")) or not line.startswith("{"):
            if line.strip():
                yield number, line.strip().removesuffix(",")
        else:
            began, held = number, [line]
    if held:
        yield began, "\n".join(held)


def _flat(item: dict[str, Any], bounds: Bounds) -> dict[str, str]:
    """The object's plain values by name, `a.b` for a nested one, the outermost first."""
    flat: dict[str, str] = {}
    names = Names()
    level = [("", item)]
    for _ in range(bounds.depth):
        below: list[tuple[str, dict[str, Any]]] = []
        for prefix, values in level:
            for key, value in islice(values.items(), bounds.cells):
                if len(flat) >= bounds.cells:
                    return flat
                name = names.free(prefix + column_name(str(key)))
                if isinstance(value, dict):
                    below.append((f"{name}.", value))
                    continue
                names.take(name)
                if value is None or isinstance(value, str):
                    flat[name] = short(value or "", bounds.cell)
                else:
                    flat[name] = short(_plain(value), bounds.cell)
        level = below[: bounds.cells]
    return flat


def _plain(value: Any) -> str:
    """A number, a truth value or a list as text."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):  # an integer of thousands of digits
        return "…"


# --- Markdown -------------------------------------------------------------------------------------


def _is_markdown(filled: Sequence[str]) -> bool:
    """Whether the file holds a Markdown table, or is one without its rule."""
    pipes = [line.lstrip().startswith("|") for line in filled]
    ruled = any(pipes[at] and _is_rule(line) for at, line in enumerate(filled[1:]))
    return ruled or sum(pipes) > len(filled) / 2


def _markdown(lines: Sequence[str], metric_name: str, bounds: Bounds) -> Sheet:
    sheet = Sheet(bounds=bounds)
    table: Table | None = None  # None: one of another kind, whose rows are no experiments
    count = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if "|" not in line or not line.lstrip().startswith("|"):
            sheet.leave(number, line, "outside a table")
            continue
        if _is_rule(line):
            continue
        cells = _split_markdown(line, bounds)
        follows = lines[number] if number < len(lines) else ""
        ruled = _is_rule(follows)
        again = table is not None and not ruled
        if (ruled and bounds.trusted) or is_header(cells, metric_name, again=again):
            table = Table(apart(map(column_name, cells[: bounds.cells])), len(cells))
            sheet.tables.append(table)
        elif ruled:
            table = None
            sheet.leave(number, line, "the header of a table of other things")
        elif table is None:
            sheet.leave(number, line, "in a table of other things")
        elif count >= bounds.rows:
            sheet.full = True
            break
        else:
            count += 1
            table.rows.append(Row(number, cells[: bounds.cells], len(cells), "|"))
    return sheet


def _is_rule(line: str) -> bool:
    """Whether this is the line of dashes below a header."""
    return "|" in line and "--" in line and not line.strip("|:- \t\r")


def _split_markdown(line: str, bounds: Bounds) -> list[str]:
    bare = line.strip().removeprefix("|").removesuffix("|")
    cells = re.split(r"(?<!\\)\|", bare, maxsplit=bounds.cells)
    return [cell.strip().replace("\\|", "|") for cell in cells]


# --- delimited ------------------------------------------------------------------------------------


def _delimited(lines: Sequence[str], delimiter: str, metric_name: str, bounds: Bounds) -> Sheet:
    sheet = Sheet(tables=[Table(None)], bounds=bounds)
    rows = _rows(lines, delimiter, bounds)
    if bounds.whole and len(rows) > bounds.rows:
        sheet.full = True
        return sheet
    for count, row in enumerate(rows):
        if count >= bounds.rows:
            sheet.full = True
            break
        table = sheet.tables[-1]
        again = table.names is not None or count >= HEAD
        named = bounds.trusted and table.names is None and _may_name(row)
        if not named and not is_header(row.cells, metric_name, again=again):
            table.rows.append(row)
            continue
        names = apart(map(column_name, row.cells))
        if names != table.names:
            sheet.tables.append(Table(names, row.count))
    return sheet


def _may_name(row: Row) -> bool:
    """Whether a row's cells may be names of columns: several, all different, and no numbers."""
    named = [cell.strip() for cell in row.cells if cell.strip()]
    differ = 1 < len(named) == len(set(named)) and len(named) * 2 > row.count
    return differ and not any(map(is_number, named)) and not named[0].startswith("#")


def _delimiter(filled: Sequence[str], metric_name: str) -> str:
    """The mark that splits a line into most known names; else the one that splits lines alike."""
    head = filled[:HEAD]

    def known(mark: str) -> int:
        split = (line.split(mark, MAX_CELLS) for line in head)
        return max(
            (len({c for c in map(column_name, cells) if is_known(c, metric_name)})
             for cells in split),
            default=0,
        )  # fmt: skip

    def alike(mark: str) -> int:
        counts = Counter(line.count(mark) for line in head)
        counts.pop(0, None)
        return max(counts.values(), default=0)

    names = {mark: known(mark) for mark in DELIMITERS}
    if max(names.values()) >= KNOWN_NAMES:
        return max(DELIMITERS, key=names.__getitem__)
    return max(DELIMITERS, key=alike)


def _rows(lines: Sequence[str], delimiter: str, bounds: Bounds) -> list[Row]:
    """The rows of the text; where a quote runs over lines and rows fit worse for it, line by line.

    Many write their rows without a thought of quotes, so a quoted cell of several lines may be one,
    or a quote that nobody closed.
    """
    rows = _read_csv((f"{line}\n" for line in lines), delimiter, bounds)
    longest = max((row.lines for row in rows or ()), default=0)
    if rows is not None and longest <= 1:
        return rows
    each = _line_by_line(lines, delimiter, bounds)
    if rows is None or longest > LINES_OF_A_RUNAWAY_QUOTE or _fitting(each) > _fitting(rows):
        return each
    return rows


def _fitting(rows: Sequence[Row]) -> int:
    """How many rows have as many cells as most have."""
    counts = Counter(row.count for row in rows if row.count > 1)
    return max(counts.values(), default=0)


def _line_by_line(lines: Sequence[str], delimiter: str, bounds: Bounds) -> list[Row]:
    rows: list[Row] = []
    for number, line in enumerate(lines, 1):
        if '"' in line:
            found = _read_csv([line], delimiter, bounds)
            cells = found[0].cells if found else [line]
        else:
            cells = [cell.lstrip(" ") for cell in line.split(delimiter)]
        if _filled(cells):
            rows.append(Row(number, cells[: bounds.cells], len(cells), delimiter))
        if len(rows) > bounds.rows:
            break
    return rows


def _read_csv(lines: Iterable[str], delimiter: str, bounds: Bounds) -> list[Row] | None:
    """The rows that are not empty, one more than the bound at most; None when it is no CSV."""
    rows: list[Row] = []
    line = 1
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    try:
        for cells in reader:
            if _filled(cells):
                span = reader.line_num - line + 1
                rows.append(Row(line, cells[: bounds.cells], len(cells), delimiter, span))
            line = reader.line_num + 1
            if len(rows) > bounds.rows:
                break
    except csv.Error:
        return None
    return rows


def _filled(cells: Sequence[str]) -> bool:
    return any(map(str.strip, cells))
