"""A run's directory as a reader finds it: whole, still growing, cut by a crash, or garbage.

Nothing here writes, follows a link, or fails because of what a file holds: what cannot be read is a
sentence in `Run.problems`.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from runner.layout import RunDir
from runner.records import Event, Record, RunResult, TrialRecord, UsageRecord
from runner.results import claims
from runner.results.claims import Claims

MAX_BYTES = 256 << 20  # of one file of records
MAX_WORD = 60  # characters of a name
NAME = re.compile(r"(?P<contestant>.+)-s(?P<seed>\d{1,9})")

R = TypeVar("R", bound=Record)
T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """Everything that a run's directory says; times are seconds, money is US dollars."""

    path: Path
    contestant: str
    seed: int
    task: str
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

    @property
    def run_id(self) -> str:
        return self.path.name

    @property
    def own_trials(self) -> tuple[TrialRecord, ...]:
        """What the contestant asked for; the referee's re-runs are not its work."""
        return tuple(trial for trial in self.trials if trial.source != "referee")

    @property
    def best(self) -> TrialRecord | None:
        """The trial with the lowest measured val_bpb, the earliest of equals."""
        measured = [(bpb, trial.trial, trial) for trial in self.own_trials if (bpb := value(trial))]
        return min(measured, key=lambda entry: entry[:2])[2] if measured else None

    @property
    def train_seconds(self) -> float:
        return math.fsum(trial.train_seconds for trial in self.own_trials)

    @property
    def cost_usd(self) -> float:
        """What the requests cost, or would have cost if nobody had rehearsed them."""
        return math.fsum(record.cost_usd for record in self.usage)

    @property
    def ended_by(self) -> str:
        return self.result.ended_by if self.result else "no result yet"

    @property
    def all_problems(self) -> list[str]:
        """What was wrong with the directory, during the run, and with the agent's own report."""
        during = self.result.problems if self.result else []
        told = self.claims.problems if self.claims else ()
        words = (*self.problems, *during, *(f"experiments.csv: {problem}" for problem in told))
        return list(dict.fromkeys(words))  # a run that ended has said the last ones itself

    def count(self, *statuses: str) -> int:
        return sum(trial.status in statuses for trial in self.own_trials)


def value(trial: TrialRecord) -> float | None:
    """The measured val_bpb of a trial that went through to its end."""
    bpb = trial.val_bpb if trial.status == "ok" else None
    return bpb if bpb is not None and math.isfinite(bpb) and bpb > 0 else None


def read_run(path: Path) -> Run:
    """The run in a directory; never raises for what the directory holds."""
    return _Reader(RunDir(path)).run()


@dataclass
class _Reader:
    """Reads one directory and gathers what was wrong with it."""

    files: RunDir
    problems: list[str] = field(default_factory=list)

    def run(self) -> Run:
        spec = self._read(self.files.spec, _json_object) or {}
        result = self._read(self.files.result, RunResult.model_validate_json)
        usage = self._records(self.files.usage, UsageRecord)
        named = NAME.fullmatch(self.files.path.name)
        asked: dict[str, Any] = (named.groupdict() if named else {}) | spec
        return Run(
            path=self.files.path,
            contestant=_word(asked.get("contestant")),
            seed=_whole(asked.get("seed")),
            task=_word(asked.get("task")),
            kind=_word(asked.get("kind")),
            rehearsed=asked.get("rehearsed") is True or any(r.rehearsed for r in usage),
            result=result,
            trials=self._records(self.files.trials, TrialRecord),
            usage=usage,
            claims=self._read(self.files.experiments, claims.parse),
            wall_seconds=result.spent.wall_seconds if result else self._seconds_so_far(),
            trial_seconds=_finite(asked.get("trial_seconds")),
            budget=_budget(asked.get("budget")),
            problems=tuple(self._complaints()),
        )

    def _complaints(self) -> list[str]:
        if not self.files.spec.is_file():
            self.problems.append("no spec.json")
        return self.problems

    def _read(self, path: Path, parse: Callable[[bytes], T]) -> T | None:
        try:
            content = read_bounded(path)
            return None if content is None else parse(content)
        except (OSError, ValidationError, ValueError, RecursionError) as error:
            reason = "not as a run writes it" if isinstance(error, ValueError) else str(error)
            self.problems.append(f"{path.name}: {reason}")
            return None

    def _records(self, path: Path, kind: type[R]) -> tuple[R, ...]:
        """Records line by line; a torn last line is normal, other unreadable lines are counted."""
        lines = self._read(path, _lines) or []
        records = [_record(line, kind) for line in lines]
        if broken := sum(record is None for record in records[:-1]):
            self.problems.append(f"{path.name}: {broken} of {len(lines)} lines are unreadable")
        return tuple(record for record in records if record is not None)

    def _seconds_so_far(self) -> float:
        """From the journal's first event to its last: the wall time of a run without a result."""
        events = self._records(self.files.events, Event)
        try:
            first, last = (datetime.fromisoformat(events[end].at) for end in (0, -1))
            return (last - first).total_seconds()
        except (IndexError, ValueError, TypeError):
            return 0.0


def read_bounded(path: Path) -> bytes | None:
    """The content of a regular file up to `MAX_BYTES`, or None when there is none.

    Raises:
        OSError: it is no regular file, or it cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("is no regular file")
        return file.read(MAX_BYTES)


def _lines(content: bytes) -> list[bytes]:
    return content.removesuffix(b"\n").split(b"\n")


def _record(line: bytes, kind: type[R]) -> R | None:
    """The record in a line, or None: an infinite time or value is no measurement either."""
    try:
        record = kind.model_validate_json(line)
    except ValidationError:
        return None
    numbers = (number for _, number in record if isinstance(number, float))
    return record if all(map(math.isfinite, numbers)) else None


def _json_object(content: bytes) -> dict[str, Any]:
    body = json.loads(content)
    if not isinstance(body, dict):
        raise ValueError("no JSON object")
    return body


def _word(name: Any) -> str:
    """A name as a table and a figure can show it."""
    return " ".join(str(name or "?").split())[:MAX_WORD]


def _finite(number: Any) -> float | None:
    """A number as a table can show it, or None."""
    is_one = isinstance(number, (int, float)) and not isinstance(number, bool)
    return float(number) if is_one and math.isfinite(number) else None


def _budget(asked: Any) -> dict[str, float]:
    """The budgets that were set: name → amount."""
    entries = asked.items() if isinstance(asked, dict) else ()
    amounts = {_word(name): _finite(amount) for name, amount in entries}
    return {name: amount for name, amount in amounts.items() if amount is not None}


def _whole(seed: Any) -> int:
    """A seed; what is none counts as 0."""
    digits = str(seed)[:18]
    return int(digits) if digits.isascii() and digits.isdecimal() else 0
