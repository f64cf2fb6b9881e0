"""The rows of an agent's log, as they were understood."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.claims.number import Number, read_number
from runner.claims.words import Outcome, known_status

if TYPE_CHECKING:
    from runner.metrics import Metric


@dataclass(frozen=True)
class Claim:
    """One row that was understood.

    Args:
        row: its place among these rows, from 1.
        cells: by column of the protocol, as written, whatever the log calls the column.
        other: by column that the protocol does not know.
        problem: what was assumed; empty when all is well.
        line: where it begins in the file, from 1.
    """

    row: int
    cells: dict[str, str] = field(default_factory=dict)
    other: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    line: int = 0

    @property
    def outcome(self) -> Outcome:
        """What its status means; empty when the status is unknown or there is none."""
        return known_status(self.cells.get("status", "")) or ""

    def number(self, metric: Metric) -> Number | None:
        """The claimed value as written, if it is one that the metric can have.

        A crash has no value, nor has what was skipped. A 0 below a status that nobody knows has
        none either: it is what programs write where there is nothing.
        """
        outcome = self.outcome
        if outcome in ("crash", "skip"):
            return None
        written = read_number(self.cells.get(metric.name, ""))
        if written is None or (written.value == 0 and self.cells.get("status") and not outcome):
            return None
        return written if metric.measured(written.value) is not None else None

    def value(self, metric: Metric) -> float | None:
        """The claimed value, if it is one that the metric can have."""
        written = self.number(metric)
        return written.value if written else None


@dataclass(frozen=True)
class Unread:
    """A line or a row that was not understood.

    Args:
        line: where it begins in the file, from 1.
        raw: what stands there, shortened.
        reason: why it is no row of the log.
    """

    line: int
    raw: str
    reason: str


@dataclass(frozen=True)
class Claims:
    """All rows of a file.

    Args:
        rows: what was understood.
        unread: what was not, with the reason.
        problems: what is wrong with the file as a whole.
        value_column: what the log calls the column that was read as the metric; empty without one.
        columns: the column of the protocol (`value` for the metric's), by the log's own name.
    """

    rows: tuple[Claim, ...] = ()
    unread: tuple[Unread, ...] = ()
    problems: tuple[str, ...] = ()
    value_column: str = ""
    columns: dict[str, str] = field(default_factory=dict)

    def best(self, metric: Metric) -> Claim | None:
        """The row with the best claimed value, the first of equals."""
        return metric.best(self.rows, lambda row: row.value(metric))
