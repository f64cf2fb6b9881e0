"""How far the trial under way is, by the log that it writes.

Its lines are a claim of a train.py that a contestant wrote: of a line of progress only the numbers
are read, and the last other line is kept as text.
"""

from __future__ import annotations

from collections.abc import Mapping

from runner.records.layout import RunDir
from runner.trials.output import LONGEST_LINE, PAIR, number
from runner.watch.ends import Growing

PROGRESS = b"progress:"
MOST_BYTES = 1 << 20  # of the log that are read in one look


class Training:
    """The log of one trial.

    Attributes:
        number: the trial's.
        progress: the numbers of the last line of progress, by their names.
        line: the last line that is none of progress.
    """

    def __init__(self, run_dir: RunDir, trial: int) -> None:
        self.number = trial
        self.progress: Mapping[str, float] = {}
        self.line = ""
        self._log = Growing(run_dir.trial(trial) / "train.log", MOST_BYTES)

    def look(self) -> None:
        """Read what the trial has printed since the last look."""
        lines = self._log.lines()
        told = next((line for line in reversed(lines) if line.startswith(PROGRESS)), None)
        if told is not None:
            pairs = PAIR.findall(told[:LONGEST_LINE].decode("utf-8", "replace"))
            found = {name: number(text) for name, text in pairs}
            self.progress = {name: value for name, value in found.items() if value is not None}
        other = (line for line in reversed(lines) if line.strip() and not line.startswith(PROGRESS))
        if (line := next(other, None)) is not None:
            self.line = line[:LONGEST_LINE].decode("utf-8", "replace")

    def part(self, trial_seconds: float) -> float | None:
        """The part of its training time that is over, by its own word; None before it says one."""
        seconds = self.progress.get("train_seconds")
        return None if seconds is None else min(1.0, max(0.0, seconds / trial_seconds))
