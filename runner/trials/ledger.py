"""The ledger: what the runner itself measured, one line a trial, appended and fsynced.

A contestant has no way to write here. Read again after a crash, it gives back the same numbers.
"""

from __future__ import annotations

from collections import Counter

from runner.layout import RunDir
from runner.records import Best, TrialRecord, append_line, read_lines


class Ledger:
    """All trials of one run. Not thread-safe: the run's own loop is its only user."""

    def __init__(self, run_dir: RunDir) -> None:
        self._path = run_dir.trials
        self.records: list[TrialRecord] = list(read_lines(self._path, TrialRecord))

    def append(self, record: TrialRecord) -> None:
        append_line(self._path, record)
        self.records.append(record)

    def of_request(self, request: str) -> TrialRecord | None:
        """The trial that was made for a contestant's request, if there is one."""
        return next((r for r in self.records if r.request == request), None)

    def best(self) -> TrialRecord | None:
        """The contestant's ok trial with the lowest val_bpb; of equals, the first."""
        done = [r for r in self.records if r.val_bpb is not None and r.source != "referee"]
        return min(done, key=lambda r: r.val_bpb or 0.0, default=None)

    def best_measured(self) -> Best | None:
        best = self.best()
        if best is None or best.val_bpb is None:
            return None
        return Best(val_bpb=best.val_bpb, trial=best.trial)

    def by_status(self) -> dict[str, int]:
        return dict(Counter(record.status for record in self.records))

    def highest_number(self) -> int:
        return max((record.trial for record in self.records), default=0)
