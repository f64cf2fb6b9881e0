"""The executor of trials on a real engine, fed by a test with short texts instead of a train.py."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runner.engine import Engine
from runner.layout import RunDir
from runner.records import TrialRecord
from runner.spec import Budget, RunSpec, limits
from runner.stage import image_tag
from runner.trials.executor import Executor, Trainer, TrialOrder, Watch
from runner.trials.lease import DeviceLease

MEMORY_BYTES = 512 << 20
TRAIN_SECONDS = 1.0
PRISTINE = "DEPTH = 4\n"
BLOCK = 'print("---\\nval_bpb: 1.5\\ntraining_seconds: 0.01\\nnum_steps: 3")\n'


@dataclass
class TrialRig:
    """An executor of its own run on a device of its own, with an empty data volume."""

    engine: Engine
    folder: Path
    device: str = ""
    run_id: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:8]}")
    lines: list[str] = field(default_factory=list)
    started: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.device = self.device or self.run_id
        self.volume = f"bakeoff-{self.run_id}-data"
        self.engine.create_volume(self.volume, run_id=self.run_id)
        self.run_dir = RunDir(self.folder / self.run_id)
        self.run_dir.path.mkdir(parents=True)
        self._number = 0

    def executor(self, *, limit_seconds: float = 60.0, **limit: Any) -> Executor:
        """An executor; `limit` are fields of the trial's limits, `memory_bytes` among them."""
        memory_bytes = limit.pop("memory_bytes", MEMORY_BYTES)
        trainer = Trainer(
            image=image_tag("trainer"),
            data_volume=self.volume,
            train_seconds=TRAIN_SECONDS,
            allowance_seconds=limit_seconds - TRAIN_SECONDS,
            limit=limits()["trial"].model_copy(update=limit),
            memory_bytes=memory_bytes,
            cpus=1.0,
            gpu=None,
        )
        spec = RunSpec(
            run_id=self.run_id, kind="agent", contestant="gpt", seed=1, task="pystdlib",
            budget=Budget(trials=1), trial_seconds=1.0, rehearsed=True,
        )  # fmt: skip
        lease = DeviceLease("test", self.device, self.folder / "leases")
        return Executor(self.engine, spec, self.run_dir, trainer, lease)

    def order(self, train_py: str) -> TrialOrder:
        self._number += 1
        return TrialOrder(
            self._number, "agent", f"r-{self._number}", train_py, None, PRISTINE,
            hypothesis="a try",
        )  # fmt: skip

    def run(self, train_py: str, executor: Executor | None = None, **limits: Any) -> TrialRecord:
        """Run one text to its end and see its container gone; its lines are in `lines`."""
        self.lines.clear()
        self.started.clear()
        order = self.order(train_py)
        record = (executor or self.executor(**limits)).run(order, self.watch())
        assert record.trial == order.trial
        assert not self.containers()
        return record

    def watch(self) -> Watch:
        """Keeps what the trial prints, and when it has its device."""
        return Watch(lambda: None, self.started.set, self.lines.append)

    def containers(self) -> list[str]:
        """Trial containers of this rig that are on the engine."""
        return [state.name for state in self.engine.containers(self.run_id)]

    def log(self, trial: int) -> bytes:
        return (self.run_dir.trial(trial) / "train.log").read_bytes()

    def beside(self) -> TrialRig:
        """Another run that wants the same device."""
        other: TrialRig = replace(
            self, run_id=f"{self.run_id}-b", lines=[], started=threading.Event()
        )
        return other

    def remove(self) -> None:
        """Leave nothing of this rig on the engine."""
        for state in self.engine.containers(self.run_id):
            self.engine.remove(state.id)
        self.engine.remove_volume(self.volume)
