"""The ledger: what the runner itself measured, one line a trial, appended and fsynced.

A contestant has no way to write here. Read again after a crash, it gives back the same numbers.
"""

from __future__ import annotations

from collections import Counter

from runner.metrics import Metric
from runner.records.best import best_trial
from runner.records.files import append_line, read_lines
from runner.records.layout import RunDir
from runner.records.schema import Best, TrialRecord


class Ledger:
    """All trials of one run. Not thread-safe: the run's own loop is its only user.

    Args:
        run_dir: where the trials are recorded.
        metric: what they measure.
    """

    def __init__(self, run_dir: RunDir, metric: Metric) -> None:
        self.run_dir = run_dir
        self._path = run_dir.trials
        self.metric = metric
        self.records: list[TrialRecord] = list(read_lines(self._path, TrialRecord))

    def append(self, record: TrialRecord) -> None:
        """Add a trial and write it to the disk.

        Raises:
            HostError: the disk is full or the file is not writable.
        """
        append_line(self._path, record)
        self.records.append(record)

    def of_request(self, request: str) -> TrialRecord | None:
        """The trial that was made for a contestant's request, if there is one."""
        return next((r for r in self.records if r.request == request), None)

    def best(self) -> TrialRecord | None:
        """The contestant's best trial; of equals, the first."""
        return best_trial(self.records, self.metric)

    def best_measured(self) -> Best | None:
        """The value and the number of the contestant's best trial."""
        best = self.best()
        if best is None or best.value is None:
            return None
        return Best(value=best.value, trial=best.trial)

    def by_status(self) -> dict[str, int]:
        """How many trials ended with each status."""
        return dict(Counter(record.status for record in self.records))

    def highest_number(self) -> int:
        """The highest number of a trial; 0 when there is none."""
        return max((record.trial for record in self.records), default=0)
