"""Reads a run's directory: whole, still growing, cut by a crash, or garbage.

Nothing here writes, follows a link, or fails because of what a file holds. What cannot be read
becomes a sentence in `Run.problems`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from runner.claims import reader as claims
from runner.claims.claim import Claims
from runner.claims.fidelity import Fidelity, reconcile
from runner.metrics import VAL_BPB, Metric
from runner.records.best import UNJUDGED, are_judged, best_trial, measured_value, own_trials
from runner.records.containment import Containment, Standing
from runner.records.layout import RunDir
from runner.records.proposal import counts
from runner.records.runtime import label_of
from runner.records.schema import Event, Record, RunResult, TrialRecord, UsageRecord
from runner.records.verification import Verification, Verified
from runner.referee.gain import Gain, gain_of_mean, gain_of_value
from runner.referee.noise import Conditions, NoiseFile, NoiseFloor
from runner.results.asked import bounds_of, fields_of, finite, price_of, searched, whole, word
from runner.results.conditions import setup_of
from runner.results.files import is_there, lines_of, one_record, read_bounded, why_unread
from runner.samplers import Searched

NAME = re.compile(r"(?P<contestant>.+)-s(?P<seed>\d{1,9})")

R = TypeVar("R", bound=Record)
T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """Everything that a run's directory says. Times are in seconds, money is in US dollars.

    `noise` is the noise of its task under its conditions, where it was measured, and
    `compute_usd_per_hour` the price of a device, where one was given.
    """

    path: Path
    contestant: str
    seed: int
    task: str
    metric: Metric
    kind: str
    rehearsed: bool
    result: RunResult | None
    trials: tuple[TrialRecord, ...]
    usage: tuple[UsageRecord, ...]
    claims: Claims | None
    wall_seconds: float
    trial_seconds: float | None = None
    budget: dict[str, float] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    verification: Verification | None = None
    noise: NoiseFloor | None = None
    compute_usd_per_hour: float | None = None
    space: Any = None  # of its spec: the search space that a baseline was given
    setup: dict[str, str] = field(default_factory=dict)  # of its spec: devices, workers, study
    searches: Searched = "given space"  # by its spec: what a baseline searches
    containment: Standing = "not proved"  # what was found of its lock
    runtime: str = ""  # the label of what made its containers, if they are unlike others'

    @property
    def run_id(self) -> str:
        return self.path.name

    @property
    def unsafe(self) -> bool:
        """Whether it went on although its lock was not shown to hold."""
        return self.containment == "unsafe"

    @cached_property
    def judged(self) -> bool:
        """Whether its values are the judge's; those of earlier versions are the trials' own."""
        return are_judged(self.trials, self.metric)

    @property
    def comparison(self) -> tuple[str, str, str, bool, str]:
        """What two runs must have in common for their values to be compared.

        Task, metric, direction, whether their values are unjudged, and what they ran under.
        """
        return self.task, self.metric.name, self.metric.direction, not self.judged, self.runtime

    @property
    def heading(self) -> str:
        """What stands above the runs that have `comparison` in common."""
        unjudged = "" if self.judged else UNJUDGED
        return ", ".join(filter(None, (self.task, self.runtime, unjudged)))

    @cached_property
    def own_trials(self) -> tuple[TrialRecord, ...]:
        """What the contestant asked for; the referee's re-runs are not its work."""
        return own_trials(self.trials)

    @cached_property
    def best(self) -> TrialRecord | None:
        """The contestant's best trial, the earliest of equals."""
        return best_trial(self.trials, self.metric)

    @property
    def best_value(self) -> float | None:
        """What the best trial measured."""
        return self.best.value if self.best else None

    @property
    def claimed_value(self) -> float | None:
        """The best value that the agent's own report claims."""
        best = self.claims.best(self.metric) if self.claims else None
        return best.value(self.metric) if best else None

    @cached_property
    def fidelity(self) -> Fidelity | None:
        """The agent's own report held against the ledger; None of a run without an agent."""
        if self.claims is None and self.kind != "agent":
            return None
        return reconcile(self.claims.rows if self.claims else (), self.trials, self.metric)

    @property
    def verified_value(self) -> float | None:
        """The mean of the best text over the referee's held-out training seeds."""
        verified = self.result.best_verified if self.result else None
        return self.metric.measured(verified.value) if verified else None

    @property
    def verified(self) -> Verified | None:
        """What the referee found about the text that has the verified value, or else the best."""
        best = self.result.best_verified if self.result else None
        trial = best.trial if best else self.best.trial if self.best else None
        if self.verification is None or trial is None:
            return None
        return self.verification.of_trial(trial)

    @property
    def gain(self) -> Gain | None:
        """The gain over the pristine train.py; None where the task's noise is not known.

        It is that of the verified value, or, before there is one, of the measured value.
        """
        found, verified = self.verified, self.verified_value
        if verified is not None and found is not None:
            runs = max(1, sum(one.judged is not None for one in found.held_out))
            return gain_of_mean(
                self.noise, self.metric, found.measured, verified, runs, found.verdicts
            )
        value = self.best_value if verified is None else verified
        verdicts = found.verdicts if found else ()
        return None if value is None else gain_of_value(self.noise, self.metric, value, verdicts)

    def value(self, trial: TrialRecord) -> float | None:
        """What a trial of this run measured, if it counts: see `best_trial`."""
        if self.judged and not trial.judged:
            return None
        return measured_value(trial, self.metric)

    @property
    def train_seconds(self) -> float:
        return math.fsum(trial.train_seconds for trial in self.own_trials)

    @property
    def device_seconds(self) -> float:
        """How long its trials and checks held a device; the wait for one is no part of it.

        The result of an earlier version does not have it, and that of a run under way is not there:
        the trials have it then.
        """
        counted = self.result.spent.device_seconds if self.result else 0.0
        return counted or math.fsum(trial.wall_seconds for trial in self.own_trials)

    @property
    def compute_usd(self) -> float | None:
        """What its device hours cost; None where a device has no price."""
        if self.compute_usd_per_hour is None:
            return None
        return self.compute_usd_per_hour * self.device_seconds / 3600

    @property
    def total_usd(self) -> float | None:
        """Model and devices together, as `TOTAL_USD` counts them, a rehearsal's dollars too."""
        return None if self.compute_usd is None else self.cost_usd + self.compute_usd

    @property
    def cost_usd(self) -> float:
        """What the requests cost, or would have cost if nobody had rehearsed them."""
        return math.fsum(record.cost_usd for record in self.usage)

    @property
    def proposals(self) -> dict[str, int]:
        """Who proposed how many of its trials; empty unless it is a baseline with a model."""
        return counts(trial.proposal for trial in self.own_trials)

    @property
    def ended_by(self) -> str:
        return self.result.ended_by if self.result else "no result yet"

    @property
    def all_problems(self) -> list[str]:
        """What is wrong with the directory, the run itself, and the agent's own report."""
        during = self.result.problems if self.result else []
        reported = self.claims.problems if self.claims else ()
        problems = (*self.problems, *during, *(f"experiments.csv: {each}" for each in reported))
        return list(dict.fromkeys(problems))  # the result of a run repeats the last ones

    def count(self, *statuses: str) -> int:
        return sum(trial.status in statuses for trial in self.own_trials)


def read_run(
    path: Path, noise: NoiseFile | None = None, compute_usd_per_hour: float | None = None
) -> Run:
    """The run in a directory; never raises for what the directory holds.

    Args:
        path: the directory.
        noise: the noise of tasks, as far as it was measured.
        compute_usd_per_hour: the price of a device, for a run whose spec has none.
    """
    return _Reader(RunDir(path), noise or NoiseFile(), compute_usd_per_hour).run()


@dataclass
class _Reader:
    """Reads one directory and collects what is wrong with it."""

    files: RunDir
    noise: NoiseFile
    price: float | None = None  # of a device
    problems: list[str] = field(default_factory=list)

    def run(self) -> Run:
        spec = self._read(self.files.spec, fields_of) or {}
        result = self._read(self.files.result, RunResult.model_validate_json)
        proved = self._read(self.files.containment, Containment.model_validate_json)
        metric = self._metric(spec, result)
        usage = self._records(self.files.usage, UsageRecord)
        if result is not None:
            self._check_journal()
        named = NAME.fullmatch(self.files.path.name)
        asked: dict[str, Any] = (named.groupdict() if named else {}) | spec
        return Run(
            path=self.files.path,
            contestant=word(asked.get("contestant")),
            seed=whole(asked.get("seed")),
            task=word(asked.get("task")),
            metric=metric,
            kind=word(asked.get("kind")),
            rehearsed=asked.get("rehearsed") is True or any(r.rehearsed for r in usage),
            result=result,
            trials=self._records(self.files.trials, TrialRecord),
            usage=usage,
            claims=self._read(self.files.experiments, partial(claims.read, metric=metric)),
            wall_seconds=result.spent.wall_seconds if result else self._seconds_so_far(),
            trial_seconds=finite(asked.get("trial_seconds")),
            budget=bounds_of(asked.get("budget")),
            verification=self._read(self.files.verification, Verification.model_validate_json),
            noise=self._floor(spec),
            compute_usd_per_hour=price_of(asked.get("budget"), self.price),
            space=asked.get("space"),
            setup=setup_of(spec),
            searches=searched(asked.get("proposer")),
            containment=_standing(proved, result),
            runtime=label_of(spec.get("versions")),
            problems=tuple(self._complaints()),
        )

    def _floor(self, spec: dict[str, Any]) -> NoiseFloor | None:
        versions, seconds = spec.get("versions"), finite(spec.get("trial_seconds"))
        if not isinstance(versions, dict) or seconds is None:
            return None
        conditions = Conditions.of_run(
            spec.get("task"), versions, seconds, spec.get("gpu"), spec.get("cpu_sets", 1)
        )
        return self.noise.floor(conditions) if conditions else None

    def _metric(self, spec: dict[str, Any], result: RunResult | None) -> Metric:
        """The run's metric; where nothing names it, the one that the first tasks had."""
        try:
            return Metric.model_validate(spec["metric"])
        except (KeyError, ValidationError):
            assumed = result.metric if result else VAL_BPB
            if spec:
                self.problems.append(f"spec.json: no readable metric; {assumed.name} is assumed")
            return assumed

    def _complaints(self) -> list[str]:
        if not is_there(self.files.spec):
            self.problems.append("no spec.json")
        return self.problems

    def _read(self, path: Path, parse: Callable[[bytes], T]) -> T | None:
        try:
            content = read_bounded(path)
            return None if content is None else parse(content)
        except OSError as error:
            self.problems.append(f"{path.name}: {why_unread(error)}")
        except (ValueError, RecursionError):
            self.problems.append(f"{path.name}: is not in the format that a run writes")
        return None

    def _records(self, path: Path, kind: type[R]) -> tuple[R, ...]:
        """Records line by line; unreadable lines are counted."""
        lines = self._read(path, lines_of) or []
        records = [one_record(line, kind) for line in lines]
        if broken := sum(record is None for record in records[:-1]):
            self.problems.append(f"{path.name}: {broken} of {len(lines)} lines are unreadable")
        if lines != [b""] and records[-1:] == [None]:
            self._say_cut(path, len(lines))
        return tuple(record for record in records if record is not None)

    def _say_cut(self, path: Path, lines: int) -> None:
        """Say that a file's last line is cut, unless the run may be writing it just now."""
        if is_there(self.files.result):
            self.problems.append(
                f"{path.name}: the last of {lines} lines is cut off, and what it held is lost"
            )

    def _check_journal(self) -> None:
        """See whether the last event of a run that has ended is whole; the others are not read."""
        lines = self._read(self.files.events, lines_of) or [b""]
        if lines != [b""] and one_record(lines[-1], Event) is None:
            self._say_cut(self.files.events, len(lines))

    def _seconds_so_far(self) -> float:
        """From the journal's first event to its last: the wall time of a run without a result."""
        events = self._records(self.files.events, Event)
        try:
            first, last = (datetime.fromisoformat(events[end].at) for end in (0, -1))
            return (last - first).total_seconds()
        except (IndexError, ValueError, TypeError):
            return 0.0


def _standing(proved: Containment | None, result: RunResult | None) -> Standing:
    """What was found of a run's lock; the result repeats it where it was unsafe."""
    if result is not None and result.unsafe:
        return "unsafe"
    return "not proved" if proved is None else proved.standing
