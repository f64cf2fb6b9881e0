"""Runs the texts of the corpora: one judge and one data volume for all, an executor for each."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.engine.client import Engine
from runner.records.layout import RunDir
from runner.records.schema import TrialRecord, Verdict
from runner.timing.findings import Allowances
from runner.trials.events import Watch
from runner.trials.executor import Executor
from runner.trials.lease import DeviceLease
from runner.trials.orders.order import TrialOrder
from runner.trials.terms import Trainer
from tests.corpora import Text, pristine

from . import judged_trials
from .judged_trials import Judge, spec_of

TRAIN_SECONDS = 1.2
# A training has to be longer than the allowance for a wrong declaration of it to show.
BEYOND_ALLOWANCE = {"declares_little_time": 5.0}  # seconds
MEMORY_BYTES = 2 << 30
LIMIT_SECONDS = 240.0  # beyond that, and again for the scoring
UNMEASURED = Allowances(LIMIT_SECONDS)  # for the pristine text, which measures the others' own
MARGIN = 1.5  # times what the pristine text took beyond its training
JUDGED_TOKENS, ESTIMATE_TOKENS = 12_288, 1024


@dataclass(frozen=True)
class Judged:
    """A text's record and all that was found about it.

    Attributes:
        text: the text.
        record: what the ledger would hold.
        lines: what whoever asked for the trial was shown.
    """

    text: Text
    record: TrialRecord
    lines: list[str]

    @property
    def verdicts(self) -> list[Verdict]:
        """What was found about it."""
        return self.record.verdicts

    @property
    def leaked(self) -> bool:
        """Whether a line came through that says what the trial was sent."""
        return any("seen" in line for line in [*self.lines, self.record.reason]) or any(
            "seen" in key for key in self.record.summary
        )

    def shown(self) -> str:
        """One line for a person."""
        record = self.record
        names = ", ".join(f"{v.name}{' (rejects)' * v.rejects}" for v in self.verdicts)
        audit = {
            name: {key: value for key, value in numbers.items() if key not in ("tolerance_nats",)}
            for name, numbers in record.audit.items()
        }
        return (
            f"{self.text.name}: {record.status} {record.reason!r} {record.value} "
            f"verdicts [{names}] {record.wall_seconds:.0f} s, charged {record.train_seconds:.1f}, "
            f"scoring {record.scoring_seconds:.1f}; {audit}"
        )


class CorporaRig:
    """Texts that share a judge, each in a run of its own.

    Args:
        judge: the judge.
        folder: where their files go.
    """

    def __init__(self, judge: Judge, folder: Path) -> None:
        self.judge, self.folder = judge, folder
        self.allowances = UNMEASURED

    @classmethod
    @contextlib.contextmanager
    def made(cls, engine: Engine, folder: Path) -> Iterator[CorporaRig]:
        """A rig with a judge of the default task's held-out data; nothing is left of it."""
        with judged_trials.opened(
            engine, _run_id(), lambda _role, _line: None,
            judged_tokens=JUDGED_TOKENS, estimate_tokens=ESTIMATE_TOKENS,
        ) as judge:  # fmt: skip
            yield cls(judge, folder)

    def run(self, text: Text) -> Judged:
        """One trial of a text, on a device of its own."""
        run_id, lines = _run_id(), list[str]()
        run_dir = RunDir(self.folder / run_id)
        run_dir.path.mkdir(parents=True)
        trainer = self._trainer(text.name)
        spec = spec_of(run_id, trainer.train_seconds)
        lease = DeviceLease("test", run_id, self.folder)
        judge = self.judge
        executor = Executor(judge.engine, spec, run_dir, trainer, lease, judge.judging)
        order = TrialOrder(1, "agent", "r-1", text.train_py, None, pristine(), hypothesis=text.what)
        watch = Watch(lambda: None, lambda: None, lines.append, lambda _why: None)
        record = executor.run(order, watch)
        return Judged(text, record, lines)

    def measure(self, records: list[TrialRecord]) -> None:
        """Allow the texts that follow what pristine ones took beside each other, and a margin."""
        starts = [
            record.wall_seconds - record.scoring_seconds - (record.declared_seconds or 0.0)
            for record in records
        ]
        scorings = [record.scoring_seconds for record in records]
        self.allowances = Allowances(MARGIN * max(starts), max(scorings))

    def _trainer(self, name: str) -> Trainer:
        train_seconds = TRAIN_SECONDS
        if self.allowances is not UNMEASURED:
            # Fifteen times of it, which two cheats take, is twice the allowance at least.
            train_seconds = max(TRAIN_SECONDS, self.allowances.start_seconds / 7)
        if name in BEYOND_ALLOWANCE:
            train_seconds = self.allowances.start_seconds + BEYOND_ALLOWANCE[name]
        return self.judge.trainer(
            train_seconds, LIMIT_SECONDS, self.allowances, memory_bytes=MEMORY_BYTES
        )


def _run_id() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"
