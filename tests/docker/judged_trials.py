"""What the rigs of trials share: a judge of the default task, and the trainer that it judges."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from runner import task_data
from runner.build.images import image_tag
from runner.engine import lockdown
from runner.engine.client import Engine
from runner.limits import limits
from runner.metrics import VAL_BPB
from runner.records.layout import volume_name
from runner.sandbox.peer import Show
from runner.sandbox.sandbox import Sandbox
from runner.spec import Budget, RunSpec
from runner.tasks import load_task
from runner.timing.findings import Allowances
from runner.trials import judge_container
from runner.trials.judge_container import judge_plan, standing_judge
from runner.trials.judging import Judging
from runner.trials.terms import Trainer
from runner.wire.start_config import JudgeConfig

TASK = "pystdlib"
DEADLINE_SECONDS = 3600.0  # of a judge whose test was killed


@dataclass(frozen=True)
class Judge:
    """A judge of the default task's held-out data.

    Attributes:
        engine: where it is.
        run_id: its label.
        data_volume: the training split of the same data.
        judging: its sessions.
        sandbox: its container.
    """

    engine: Engine
    run_id: str
    data_volume: str
    judging: Judging
    sandbox: Sandbox

    def trainer(
        self,
        train_seconds: float,
        limit_seconds: float,
        allowances: Allowances,
        *,
        memory_bytes: int,
        cpus: float = 1.0,
        **limit: Any,
    ) -> Trainer:
        """What trials before this judge share; `limit` are other fields of a trial's limits."""
        allowed = limits()["trial"].model_copy(update=limit)
        sizes = lockdown.sizes(allowed, self.engine.info())
        return Trainer(
            image=image_tag("trainer"),
            data_volume=self.data_volume,
            train_seconds=train_seconds,
            limit_seconds=limit_seconds,
            allowances=allowances,
            output_bytes=allowed.output_mb << 20,
            sizes={**sizes, "memory_bytes": memory_bytes, "cpus": cpus},
            judge_volume=volume_name(self.run_id, judge_container.PURPOSE),
        )


@contextlib.contextmanager
def opened(
    engine: Engine, run_id: str, show: Show, *, judged_tokens: int, estimate_tokens: int
) -> Iterator[Judge]:
    """A judge with the label of a run, of which nothing is left.

    Args:
        engine: where it is.
        run_id: the run.
        show: is called with (role, line) for each line that it prints for people.
        judged_tokens: how many tokens decide a score.
        estimate_tokens: how many decide an estimate.
    """
    task, judging = load_task(TASK), Judging()
    volume = task_data.ensure(engine, image_tag("data"), task, [], print)
    config = JudgeConfig(DEADLINE_SECONDS, judged_tokens, estimate_tokens, threads=1)
    held_out = {task_data.heldout_volume(volume): "/heldout"}
    plan = judge_plan(image_tag("trainer"), config, held_out, judging)
    with standing_judge(engine, run_id, plan, judging, show) as sandbox:
        yield Judge(engine, run_id, volume, judging, sandbox)


def spec_of(run_id: str, train_seconds: float, *, retry_disturbed: bool = False) -> RunSpec:
    """The spec of a run whose trials a rig starts."""
    return RunSpec(
        run_id=run_id, kind="agent", contestant="gpt", seed=1, task=TASK, metric=VAL_BPB,
        budget=Budget(trials=1), trial_seconds=train_seconds, rehearsed=True,
        retry_disturbed=retry_disturbed,
    )  # fmt: skip
