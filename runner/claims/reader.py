"""Reads an agent's log of its experiments, an `experiments.csv` in any sane layout.

The file comes from a stranger. Reading it takes linear time, keeps a bounded number of bytes,
lines, rows and cells, and never raises. What is not understood is kept as it is, with the reason
beside it, and no value is made up: see alignment.py and roles.py. A large file is read by a child
process with a time limit, so that no table can make the run, `stop` or `collect` hang. The child
imports the modules of this folder that need the standard library only.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from runner.claims.alignment import align, filled
from runner.claims.claim import Claim, Claims, Unread
from runner.claims.layouts import LINE_END, split
from runner.claims.number import is_number
from runner.claims.roles import Roles, told_by_cells, told_by_names
from runner.claims.sheet import OF_AN_AGENT, Bounds, Row, Sheet, Table, short
from runner.claims.words import columns, is_nothing

if TYPE_CHECKING:
    from runner.metrics import Metric

LINES_A_ROW = 10  # on the average; a quoted cell may have several
INLINE_BYTES = 128 << 10  # what is read in a tenth of a second is not worth a child
READ_SECONDS = 60.0  # for a child; the worst of 8 MiB takes two on an idle processor
READ_MEMORY_BYTES = 2 << 30
MAX_TABLES = 100  # of one file whose columns are told for each by itself
TEXT_SHARE = 0.9  # of the characters, for a file to count as text
ROOT = Path(__file__).resolve().parents[2]
_CHILD = (
    "import sys; sys.path.insert(0, sys.argv[1]); from runner.claims.reader import answer; answer()"
)


def read(data: bytes, metric: Metric, seconds: float = READ_SECONDS) -> Claims:
    """Everything that can be understood of an `experiments.csv`, or why nothing was in time.

    Args:
        data: the file's content.
        metric: what the task measures.
        seconds: how much wall time a child process may take for it.
    """
    if len(data) <= INLINE_BYTES:
        return parse(data, metric.name)
    command = [sys.executable, "-I", "-c", _CHILD, str(ROOT), metric.name]
    try:
        child = subprocess.run(command, input=data, capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return Claims(problems=(f"not read: it takes over {seconds:g} s",))
    except OSError as error:
        return Claims(problems=(f"not read: no program could be started for it: {error}",))
    if child.returncode != 0:
        return Claims(problems=(f"not read: its reader ended with exit code {child.returncode}",))
    said = json.loads(child.stdout)
    return Claims(
        tuple(Claim(**row) for row in said["rows"]),
        tuple(Unread(**line) for line in said["unread"]),
        tuple(said["problems"]),
        said["value_column"],
        said["columns"],
    )


def answer() -> None:
    """In the child process: read the log from stdin, and print what was understood of it."""
    resource.setrlimit(resource.RLIMIT_AS, (READ_MEMORY_BYTES, READ_MEMORY_BYTES))
    json.dump(asdict(parse(sys.stdin.buffer.read(), sys.argv[2])), sys.stdout)


def parse(data: bytes, metric_name: str, bounds: Bounds = OF_AN_AGENT) -> Claims:
    """Everything that can be understood of the content of an `experiments.csv`."""
    problems = []
    if len(data) > bounds.size:
        problems.append(f"longer than {bounds.size >> 20} MiB: the rest was left out")
        data = data[: bounds.size]
    text = data.decode("utf-8-sig", "replace").replace("\0", "\ufffd")
    if not text.strip():
        return Claims(problems=(*problems, "empty"))
    if _text_share(text) < TEXT_SHARE:
        return Claims(problems=(*problems, "not text"))
    most = LINES_A_ROW * bounds.rows
    if (last := next(islice(LINE_END.finditer(text), most, None), None)) is not None:
        problems.append(f"more than {most} lines: the rest was left out")
        text = text[: last.start()]
    sheet = split(text, metric_name, bounds)
    if sheet.full:
        problems.append(f"more than {bounds.rows} rows: the rest was left out")
        if bounds.whole:
            return Claims(problems=tuple(problems))
    return _Reading(sheet, metric_name, problems).claims()


def _text_share(text: str) -> float:
    head = text[:100_000]
    blanks = sum(map(head.count, "\r\n\t"))  # these are not printable
    readable = sum(map(str.isprintable, head)) + blanks - head.count("\ufffd")
    return readable / len(head)


class _Reading:
    """Turns the tables of a file into claims."""

    def __init__(self, sheet: Sheet, metric_name: str, problems: list[str]) -> None:
        self._sheet = sheet
        self._metric = metric_name
        self._problems = problems
        self._roles = told_by_names(sheet, metric_name)
        self._rows: list[Claim] = []
        self._kept = 0

    def claims(self) -> Claims:
        """All that was understood, and what was not."""
        for table in self._sheet.tables:
            if not all(self._add(claim) for claim in self._claims_of(table)):
                self._problems.append(
                    f"more than {self._sheet.bounds.kept >> 20} MiB of cells: the rest was left out"
                )
                break
        self._complain()
        unread = sorted(self._sheet.unread, key=lambda each: each.line)
        return Claims(
            tuple(self._rows),
            tuple(unread),
            tuple(self._problems),
            self._roles.value_column,
            dict(self._roles.in_order),
        )

    def _add(self, claim: Claim) -> bool:
        for cells in (claim.cells, claim.other):
            self._kept += sum(map(len, cells)) + sum(map(len, cells.values()))
        self._rows.append(claim)
        return self._kept <= self._sheet.bounds.kept

    def _claims_of(self, table: Table) -> Iterator[Claim]:
        if not table.rows:
            return
        names, roles, width, assumed = table.names, self._roles, table.columns, ""
        if names is None:
            told = told_by_cells(table.rows, self._metric)
            if told is None:
                for row in table.rows:
                    self._leave(row, "no header, and its cells do not show what they are")
                return
            names, roles = told
            width, assumed = len(names), "no header: the columns were told by what they hold"
            if not any(each.names for each in self._sheet.tables):
                self._roles = roles
        elif 1 < len(self._sheet.tables) <= MAX_TABLES and not self._sheet.is_json:
            roles = told_by_names(Sheet([table]), self._metric, self._roles.value_column)
        for row in table.rows:
            aligned = align(row, names, width, roles.by_name)
            if aligned is None:
                self._leave(row, f"{filled(row, width)} cells for {width} columns")
            elif self._sheet.is_json and not self._is_experiment(aligned[0], roles):
                self._leave(row, "an object that is no experiment")
            else:
                problem = "; ".join(each for each in (assumed, aligned[1]) if each)
                yield self._claim(row, aligned[0], roles, problem)

    def _claim(self, row: Row, cells: dict[str, str], roles: Roles, problem: str) -> Claim:
        most = self._sheet.bounds.cell
        kept = {name: short(cell, most) for name, cell in cells.items()}
        known = {
            self._metric if role == "value" else role: kept.pop(name)
            for name, role in roles.in_order
            if name in kept
        }
        return Claim(len(self._rows) + 1, known, kept, problem, row.line)

    def _is_experiment(self, cells: dict[str, str], roles: Roles) -> bool:
        """Whether an object has a value or a status; settings have neither."""
        if self._sheet.bounds.trusted:
            return any(map(is_number, cells.values()))
        said = {roles.by_name.get(name) for name, cell in cells.items() if not is_nothing(cell)}
        return bool(said & {"value", "status"})

    def _leave(self, row: Row, reason: str) -> None:
        if row.cells and row.cells[0].startswith("#"):
            reason = "a comment"
        whole = json.dumps(row.cells, ensure_ascii=False) if row.count > 1 else "".join(row.cells)
        self._sheet.leave(row.line, whole, reason)

    def _complain(self) -> None:
        """Say what is wrong with the file as a whole."""
        roles, sheet = self._roles, self._sheet
        if not any(table.names for table in sheet.tables):
            self._problems.append("no header")
        else:
            known = {self._metric if role == "value" else role for role in roles.by_name.values()}
            if missing := [name for name in columns(self._metric) if name not in known]:
                self._problems.append(f"no column {', '.join(missing)}")
        if roles.value_column and not roles.sure:
            self._problems.append(f"{roles.value_column!r} was read as {self._metric}")
        if count := len(sheet.unread) + sheet.left_out:
            reasons = sorted({each.reason for each in sheet.unread})
            said = "; ".join(reasons[:5])
            self._problems.append(
                f"{count} of {count + len(self._rows)} rows were not read: {said}"
            )
