"""Pairs rows with trials so that the sum of the weights of the pairs is largest.

Source: successive augmenting paths for the assignment problem (Kuhn 1955; Munkres 1957), each the
longest path in the residual graph (Bellman 1958).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MAX_STEPS = 400_000  # of all searches: about a second; later rows are given the best trial left
EPSILON = 1e-9


@dataclass
class Assignment:
    """Rows and trials, paired so that the sum of the weights of the pairs is largest.

    Args:
        weights: by row, the weight of each trial that it may have.
    """

    weights: Sequence[Mapping[int, float]]
    trial_of: dict[int, int] = field(default_factory=dict)
    row_of: dict[int, int] = field(default_factory=dict)
    steps: int = 0

    def solve(self) -> dict[int, int]:
        """The trial of each row that has one."""
        for row, own in enumerate(self.weights):
            if self.steps < MAX_STEPS:
                self._augment(row)
                continue
            free = {trial: weight for trial, weight in own.items() if trial not in self.row_of}
            if free:
                self._pair(row, max(free, key=free.__getitem__))
        return self.trial_of

    def _augment(self, row: int) -> None:
        """Add a row, along the path that raises the sum most, if one does.

        On a path, a row takes a trial, whose row takes another one, and so on. It ends at a trial
        that was free, or leaves the last one's row without a trial.
        """
        gain = {row: 0.0}  # of the best path to a row that seeks a trial
        reached: dict[int, float] = {}  # of the best path to a trial
        taker: dict[int, int] = {}  # the row that takes a trial on that path
        best: tuple[float, int] | None = None
        waiting = deque([row])
        while waiting and self.steps < MAX_STEPS:
            at = waiting.popleft()
            for trial, weight in self.weights[at].items():
                self.steps += 1
                total, other = gain[at] + weight, self.row_of.get(trial)
                if other == at or total <= reached.get(trial, 0.0) + EPSILON:
                    continue
                reached[trial], taker[trial] = total, at
                if other is not None:
                    total -= self.weights[other][trial]
                    gain[other] = total
                    waiting.append(other)
                if best is None or total > best[0] + EPSILON:
                    best = total, trial
        if best is not None and best[0] > EPSILON:
            self._take(best[1], row, taker)

    def _take(self, trial: int, first: int, taker: Mapping[int, int]) -> None:
        """Pair the rows of a path with their new trials, from its end to the row that began it."""
        if trial in self.row_of:
            del self.trial_of[self.row_of[trial]]
        while True:
            row = taker[trial]
            before = self.trial_of.get(row)
            self._pair(row, trial)
            if row == first or before is None:
                return
            trial = before

    def _pair(self, row: int, trial: int) -> None:
        self.trial_of[row], self.row_of[trial] = trial, row
