"""What a row and a trial have in common: a commit, a value, a time, a number, a failure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from runner.claims.alignment import is_commit
from runner.claims.claim import Claim
from runner.claims.number import Number, read_number
from runner.metrics import Metric
from runner.records.best import measured_value
from runner.records.schema import TrialRecord

MOST = 8  # candidates of a row, and those looked at for each kind of evidence
LEAST = 2.0  # evidence below which a row and a trial have nothing to do with each other
SAME_COMMIT, OTHER_COMMIT = 4.0, -1.0
NEAR = timedelta(minutes=10)  # a clock that a model read once and then guessed
FIGURES_THAT_TELL, FIGURES_THAT_HINT = 5, 3  # significant figures of a value
PLACE = 0.1  # at most, for standing at the same place: less than any evidence


@dataclass(frozen=True)
class Said:
    """What a row says of its trial."""

    commit: str
    at: datetime | None
    number: Number | None
    experiment: int | None
    crashed: bool


@dataclass(frozen=True)
class Evidence:
    """How much speaks for a row and a trial, and what does."""

    weight: float
    by: tuple[str, ...]


def differs_by(written: Number, measured: float) -> float:
    """How far a claimed value is from a measured one; of a percentage, from a hundred times it."""
    plain = written.value - measured
    percent = written.value / 100 - measured
    return percent if written.percent and abs(percent) < abs(plain) else plain


def same_as_written(written: Number, measured: float) -> bool:
    """Whether the measured value, rounded to the digits that were written, is the claimed one."""
    off = differs_by(written, measured)
    decimals = written.decimals + (2 if off != written.value - measured else 0)
    half = 0.5 * 10.0**-decimals
    return abs(off) <= half * (1 + 1e-6) + abs(measured) * 1e-12


def figures(written: Number) -> int:
    """The significant figures of a written number."""
    whole = f"{abs(written.value):.{max(written.decimals, 0)}f}".replace(".", "").lstrip("0")
    return len(whole)


def may_be(commit: str, of_trial: str) -> bool:
    """Whether a commit that a row names, if it names one, is the trial's."""
    return not commit or not of_trial or of_trial.lower().startswith(commit)


def what_is_said(claim: Claim, metric: Metric) -> Said:
    """What a row says of its trial."""
    commit = claim.cells.get("commit", "").strip().lower()
    experiment = read_number(claim.cells.get("experiment", ""))
    whole = experiment is not None and experiment.value.is_integer() and experiment.decimals == 0
    return Said(
        commit=commit if is_commit(commit) else "",
        at=_time(claim.cells.get("timestamp", "")),
        number=claim.number(metric),
        experiment=int(experiment.value) if experiment is not None and whole else None,
        crashed=claim.outcome == "crash",
    )


def _time(text: str) -> datetime | None:
    """A time as ISO 8601; UTC where it names no zone."""
    try:
        at = datetime.fromisoformat(text.strip())
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


@dataclass
class Finder:
    """Finds what a row may speak of, by what the trials have: commits, values, times, numbers."""

    trials: Sequence[TrialRecord]
    metric: Metric
    _values: list[tuple[float, int]] = field(init=False)
    _starts: list[tuple[datetime, int]] = field(init=False)
    _commits: dict[str, list[int]] = field(init=False)
    _numbers: dict[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self._measured = [measured_value(trial, self.metric) for trial in self.trials]
        values = ((value, at) for at, value in enumerate(self._measured) if value is not None)
        self._values = sorted(values)
        asked = (
            (_time(trial.queued_at or trial.started_at), at) for at, trial in enumerate(self.trials)
        )
        self._starts = sorted((when, at) for when, at in asked if when is not None)
        self._commits = defaultdict(list)
        for at, trial in enumerate(self.trials):
            if trial.commit:
                self._commits[trial.commit.lower()[:7]].append(at)
        self._numbers = {trial.trial: at for at, trial in enumerate(self.trials)}

    def candidates(self, said: Said, place: float) -> dict[int, Evidence]:
        """The trials for which enough speaks, the best `MOST`."""
        times = dict(self._by_time(said))
        near = {*self._by_commit(said, place), *self._by_value(said, place), *times}
        if said.experiment in self._numbers:
            near.add(self._numbers[said.experiment])
        found = {at: self._evidence(said, at, times.get(at, 0.0), place) for at in near}
        found = {at: each for at, each in found.items() if each.weight >= LEAST}
        best = sorted(found, key=lambda at: (-found[at].weight, at))[:MOST]
        return {at: found[at] for at in best}

    def _evidence(self, said: Said, at: int, time: float, place: float) -> Evidence:
        trial, measured = self.trials[at], self._measured[at]
        weights = {"time": time, "number": float(said.experiment == trial.trial)}
        if said.commit and trial.commit:
            same = may_be(said.commit, trial.commit)
            weights["commit"] = SAME_COMMIT if same else OTHER_COMMIT
        if said.number is not None and measured is not None:
            weights["value"] = _weight(said.number) * same_as_written(said.number, measured)
        elif said.crashed and measured is None:
            weights["crash"] = 1.0
        by = tuple(
            name
            for name in ("commit", "value", "time", "number", "crash")
            if weights.get(name, 0) > 0
        )
        total = sum(weights.values())
        if total >= LEAST:
            total += PLACE * (1 - abs(at - place) / (len(self.trials) + 1))
        return Evidence(total, by)

    def _by_commit(self, said: Said, place: float) -> Sequence[int]:
        same = self._commits.get(said.commit[:7], []) if said.commit else []
        first = bisect_left(same, place) - MOST // 2
        return same[max(first, 0) : max(first, 0) + MOST]

    def _by_value(self, said: Said, place: float) -> Sequence[int]:
        if said.number is None:
            return ()
        found: list[int] = []
        for value in {said.number.value, said.number.value / (100 if said.number.percent else 1)}:
            half = 10.0**-said.number.decimals
            first = bisect_left(self._values, (value - half, -1))
            last = bisect_right(self._values, (value + half, len(self.trials)))
            middle = bisect_left(self._values, (value, -1))
            alike = bisect_left(self._values, (value, round(place)))
            for centre in {middle, alike}:
                low = max(first, centre - MOST // 2)
                found += [at for _, at in self._values[low : min(last, low + MOST)]]
        return found

    def _by_time(self, said: Said) -> Iterator[tuple[int, float]]:
        """Trials that were asked for before the row's time, by how well the time fits."""
        if said.at is None:
            return
        after = bisect_right(self._starts, (said.at, len(self.trials)))
        for index in range(max(after - 2, 0), min(after + 1, len(self._starts))):
            start, at = self._starts[index]
            if index == after - 1 and said.at - start < timedelta(days=1):
                yield at, 2.0
            elif abs(said.at - start) < NEAR:
                yield at, 1.0


def _weight(written: Number) -> float:
    """How much an equal value tells: six figures are hardly equal by chance, two often are."""
    count = figures(written)
    return 4.0 if count >= FIGURES_THAT_TELL else 3.0 if count >= FIGURES_THAT_HINT else 1.0
