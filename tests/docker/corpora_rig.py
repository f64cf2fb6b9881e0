"""Runs the texts of the corpora: one judge and one data volume for all, an executor for each."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runner import task_data
from runner.build.images import image_tag
from runner.engine import lockdown
from runner.engine.client import Engine
from runner.limits import limits
from runner.metrics import VAL_BPB
from runner.records.layout import RunDir, volume_name
from runner.records.schema import TrialRecord, Verdict
from runner.spec import Budget, RunSpec
from runner.tasks import load_task
from runner.timing.findings import Allowances
from runner.trials import judge_container
from runner.trials.executor import Executor, Watch
from runner.trials.judge_container import judge_plan, standing_judge
from runner.trials.judging import Judging
from runner.trials.lease import DeviceLease
from runner.trials.order import TrialOrder
from runner.trials.outcome import Trainer
from runner.wire.start_config import JudgeConfig
from tests.corpora import Text, pristine

TRAIN_SECONDS = 1.5
# A training has to be longer than the allowance for a wrong declaration of it to show.
BEYOND_ALLOWANCE = {"declares_little_time": 5.0}  # seconds
MEMORY_BYTES = 2 << 30
LIMIT_SECONDS = 240.0  # beyond that, and again for the scoring
UNMEASURED = Allowances(LIMIT_SECONDS)  # for the pristine text, which measures the others' own
MARGIN = 1.5  # times what the pristine text took beyond its training
JUDGED_TOKENS = 12_288


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
        engine: where they run.
        folder: where their files go.
        judging: the sessions of the judge.
        judge_run: the run that the judge belongs to.
        data_volume: the training split.
    """

    def __init__(
        self, engine: Engine, folder: Path, judging: Judging, judge_run: str, data_volume: str
    ) -> None:
        self.engine, self.folder, self.judging = engine, folder, judging
        self.judge_run, self.data_volume = judge_run, data_volume
        self.allowances = UNMEASURED

    @classmethod
    @contextlib.contextmanager
    def made(cls, engine: Engine, folder: Path) -> Iterator[CorporaRig]:
        """A rig with a judge of the default task's held-out data; nothing is left of it."""
        task, image, run_id = load_task("pystdlib"), image_tag("trainer"), _run_id()
        data = task_data.ensure(engine, image_tag("data"), task, [], print)
        judging = Judging()
        config = JudgeConfig(
            deadline_seconds=3600.0,
            judged_tokens=JUDGED_TOKENS,
            estimate_tokens=1024,
            threads=1,
        )
        held_out = {task_data.heldout_volume(data): "/heldout"}
        plan = judge_plan(image, config, held_out, judging)
        with standing_judge(engine, run_id, plan, judging, lambda _role, _line: None):
            yield cls(engine, folder, judging, run_id, data)

    def run(self, text: Text) -> Judged:
        """One trial of a text, on a device of its own."""
        run_id, lines = _run_id(), list[str]()
        run_dir = RunDir(self.folder / run_id)
        run_dir.path.mkdir(parents=True)
        trainer = self._trainer(text.name)
        spec = RunSpec(
            run_id=run_id, kind="agent", contestant="gpt", seed=1, task="pystdlib", metric=VAL_BPB,
            budget=Budget(trials=1), trial_seconds=trainer.train_seconds, rehearsed=True,
        )  # fmt: skip
        lease = DeviceLease("test", run_id, self.folder)
        executor = Executor(self.engine, spec, run_dir, trainer, lease, self.judging)
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
        allowed, train_seconds = limits()["trial"], TRAIN_SECONDS
        if name in BEYOND_ALLOWANCE:
            train_seconds = self.allowances.start_seconds + BEYOND_ALLOWANCE[name]
        sizes = lockdown.sizes(allowed, self.engine.info())
        sizes["memory_bytes"], sizes["cpus"] = MEMORY_BYTES, 1.0
        return Trainer(
            image=image_tag("trainer"),
            data_volume=self.data_volume,
            train_seconds=train_seconds,
            limit_seconds=LIMIT_SECONDS,
            allowances=self.allowances,
            output_bytes=allowed.output_mb << 20,
            sizes=sizes,
            gpu=None,
            judge_volume=volume_name(self.judge_run, judge_container.PURPOSE),
        )


def _run_id() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"
