"""The executor of trials on a real engine, with a real judge, fed by a test with short texts.

The texts that want a score ask for it honestly: `scored` makes one of a model that gives every
token the same chance.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runner.build.images import image_tag
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, Mount
from runner.records.layout import RunDir
from runner.records.schema import TrialRecord
from runner.timing.findings import Allowances
from runner.trials.events import Watch
from runner.trials.executor import Executor
from runner.trials.judging import Judging
from runner.trials.lease import DeviceLease
from runner.trials.orders.order import TrialOrder
from runner.trials.terms import CONTESTANT, Terms

from . import judged_trials
from .judged_trials import spec_of

MEMORY_BYTES = 768 << 20  # torch, and the logits of a batch
TRAIN_SECONDS = 1.0
JUDGED_TOKENS, ESTIMATE_TOKENS = 4096, 6144  # few, so that a test is quick
PRISTINE = "DEPTH = 4\n"
BLOCK = 'print("---\\nval_bpb: 1.5\\ntraining_seconds: 0.01\\nnum_steps: 3")\n'
UNIFORM = "torch.zeros(*tokens.shape, task.vocabulary)"
ASK = """
import torch
from prepare import estimate_bpb, evaluate_bpb, load_task
task, device, batches = load_task(), torch.device("cpu"), 0
def predict(tokens):
    global batches
    batches += 1
    {before}
    return {logits}
{estimate}
value = evaluate_bpb(predict, task, 64, device)
"""
ESTIMATE = "estimate_bpb(predict, task, 64, device, 0.5)"


def scored(logits: str = UNIFORM, *, before: str = "pass", estimate: bool = False) -> str:
    """A train.py that is scored and prints its closing block, with a value that is made up.

    Args:
        logits: an expression of `tokens` [rows, T], `task` and `batches` (the count of calls).
        before: a statement that runs in each call before that.
        estimate: whether it asks for an estimate first.
    """
    asked = ASK.format(logits=logits, before=before, estimate=ESTIMATE if estimate else "")
    return f"{asked}{BLOCK}"


SCORED = scored()
FOREVER = "import time\nwhile True:\n    time.sleep(0.1)\n"


@dataclass
class TrialRig:
    """An executor of its own run on a device of its own, with a judge of the task's own data.

    `volume` is an empty volume, for a test to fill.
    """

    engine: Engine
    folder: Path
    device: str = ""
    run_id: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:8]}")
    lines: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    judge_said: list[str] = field(default_factory=list)
    started: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.device = self.device or self.run_id
        self.volume = f"bakeoff-{self.run_id}-data"
        self._stack = contextlib.ExitStack()
        self._judge = self._stack.enter_context(
            judged_trials.opened(
                self.engine, self.run_id, self._show,
                judged_tokens=JUDGED_TOKENS, estimate_tokens=ESTIMATE_TOKENS,
            )
        )  # fmt: skip
        self.judging, self.sandbox = self._judge.judging, self._judge.sandbox
        self.data_volume = self._judge.data_volume
        self.engine.create_volume(self.volume, run_id=self.run_id)
        owned = ContainerSpec(
            f"bakeoff-{self.run_id}-owner", image_tag("trainer"), self.run_id, "cleanup",
            mounts=(Mount(self.volume, "/input"),),
        )  # fmt: skip
        self.engine.start(self.engine.create(owned))  # makes the volume the user's
        self.engine.remove(owned.name)
        self.run_dir = RunDir(self.folder / self.run_id)
        self.run_dir.path.mkdir(parents=True)
        self._number = 0

    def _show(self, _role: str, line: str) -> None:
        self.judge_said.append(line)

    def executor(
        self,
        *,
        limit_seconds: float = 60.0,
        train_seconds: float = TRAIN_SECONDS,
        allowances: Allowances | None = None,
        retry_disturbed: bool = False,
        data_volume: str = "",
        estimate_at: tuple[float, ...] = (),
        judging: Judging | None = None,
        **limit: Any,
    ) -> Executor:
        """An executor; `limit` are fields of the trial's limits, and `memory_bytes` and `cpus`.

        `limit_seconds` is how long a trial may take until it asks for its score, and its scoring
        may take as long as what this is above `train_seconds`. Its trials mount `data_volume`, if
        there is one, in the place of the judge's own training data. They are told to be estimated
        at `estimate_at`. Another judge than the rig's may be given.
        """
        limit.setdefault("memory_bytes", MEMORY_BYTES)
        beyond = limit_seconds - train_seconds
        trainer = self._judge.trainer(
            train_seconds, beyond, allowances or Allowances(beyond), **limit
        )
        trainer = replace(trainer, estimate_at=estimate_at)
        if data_volume:
            trainer = replace(trainer, data_volume=data_volume)
        spec = spec_of(self.run_id, train_seconds, retry_disturbed=retry_disturbed)
        lease = DeviceLease("test", self.device, self.folder / "leases")
        judging = judging or self.judging
        return Executor(self.engine, spec, self.run_dir, trainer, lease, judging)

    def order(self, train_py: str, terms: Terms = CONTESTANT) -> TrialOrder:
        self._number += 1
        return TrialOrder(
            self._number, "agent", f"r-{self._number}", train_py, None, PRISTINE,
            hypothesis="a try", terms=terms,
        )  # fmt: skip

    def run(self, train_py: str, executor: Executor | None = None, **limits: Any) -> TrialRecord:
        """Run one text to its end and see its container gone; its lines are in `lines`."""
        self.lines.clear()
        self.repeated.clear()
        self.started.clear()
        order = self.order(train_py)
        record = (executor or self.executor(**limits)).run(order, self.watch())
        assert record.trial == order.trial
        assert not self.containers()
        return record

    def asked(self) -> int:
        """How many attempts at the trial that runs now have asked for their final score."""
        now = any(each.requested is not None for each in self.judging.open_sessions())
        return len(self.repeated) + now

    def watch(self) -> Watch:
        """Keeps what the trial prints, and when it has its device."""
        return Watch(lambda: None, self.started.set, self.lines.append, self.repeated.append)

    def containers(self) -> list[str]:
        """Trial containers of this rig that are on the engine."""
        states = self.engine.containers(self.run_id)
        return [state.name for state in states if state.role == "trial"]

    def log(self, trial: int) -> bytes:
        return (self.run_dir.trial(trial) / "train.log").read_bytes()

    def beside(self) -> TrialRig:
        """Another run that wants the same device."""
        other: TrialRig = replace(
            self, run_id=f"{self.run_id}-b", lines=[], repeated=[], judge_said=[],
            started=threading.Event(),
        )  # fmt: skip
        return other

    def remove(self) -> None:
        """Leave nothing of this rig on the engine."""
        self._stack.close()
