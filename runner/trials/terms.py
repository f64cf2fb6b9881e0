"""How a trial runs and is scored, and what it may take.

The terms of a contestant's trials are the defaults.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from runner.devices.names import cpuset_of, gpu_of
from runner.engine import lockdown
from runner.engine.containers import ContainerSpec, Mount
from runner.engine.lockdown import Sizes
from runner.records.layout import trial_container_name
from runner.timing.findings import Allowances
from runner.wire.judge_terms import JUDGE_FOLDER

HAND_OUT_FOLDER = "/handout"  # in a trial that hands out its model


@dataclass(frozen=True)
class Terms:
    """What is asked of one trial beyond its text.

    Attributes:
        mode: how the judge scores it, as in `ScoreOpen`; so are the next two.
        splits: what is scored.
        hidden: how many hidden rows; 0 for the judge's own number.
        seed: another training seed than the task's; None for the task's.
        max_steps: the training ends after so many steps; None for no such bound.
        hand_out: the volume that the trained model is saved to; empty for none.
    """

    mode: str = "trial"
    splits: tuple[str, ...] = ("val",)
    hidden: int = 0
    seed: int | None = None
    max_steps: int | None = None
    hand_out: str = ""

    @property
    def is_check(self) -> bool:
        """Whether this is a check and no trial."""
        return self.mode == "check"


CONTESTANT = Terms()
CHECK_STEPS = 3
CHECK_SECONDS = 30.0  # beyond the allowance: what a check may take
CHECK = Terms(mode="check", max_steps=CHECK_STEPS)


@dataclass(frozen=True)
class Trainer:
    """What all trials of a run share. Times in seconds.

    Attributes:
        image: the trainer's image.
        data_volume: the volume with the training split.
        train_seconds: the training budget, which train.py keeps itself.
        limit_seconds: what a trial may take beyond it until it asks for its score, and again what
            its scoring may take.
        allowances: what the pristine train.py takes beyond its training.
        output_bytes: how much it may print.
        sizes: what its container may use.
        judge_volume: the volume with the judge's socket; "" for trials that nobody scores.
        estimate_at: the shares of its training at which a contestant's trial is estimated; none
            for those that train.py names.
        runtime: what makes the containers; None for the engine's own.
    """

    image: str
    data_volume: str
    train_seconds: float
    limit_seconds: float
    allowances: Allowances
    output_bytes: int
    sizes: Sizes
    judge_volume: str = ""
    estimate_at: tuple[float, ...] = ()
    runtime: str | None = None

    def on(self, terms: Terms) -> Trainer:
        """The same with the limits of a trial on these terms.

        A check has `CHECK_SECONDS` and the allowance: two parts until it asks for its one batch,
        one of them for its steps, and a part for that batch.
        """
        if not terms.is_check:
            return self if terms == CONTESTANT else replace(self, estimate_at=())
        part = CHECK_SECONDS / 3
        rest = part + self.allowances.start_seconds / 2
        return replace(self, train_seconds=part, limit_seconds=rest, estimate_at=())

    def container(self, run_id: str, trial: int, device: str, hand_out: str = "") -> ContainerSpec:
        """The container of a trial.

        Args:
            run_id: the run.
            trial: its number.
            device: the name of what it trains on (runner/devices/names.py).
            hand_out: the volume that the trained model is saved to; empty for none.
        """
        mounts = [Mount(self.data_volume, "/data", read_only=True)]
        if self.judge_volume:
            mounts.append(Mount(self.judge_volume, JUDGE_FOLDER, read_only=True))
        if hand_out:
            mounts.append(Mount(hand_out, HAND_OUT_FOLDER))
        return ContainerSpec(
            name=trial_container_name(run_id, trial),
            image=self.image,
            run_id=run_id,
            role="trial",
            mounts=tuple(mounts),
            gpu=gpu_of(device),
            cpuset=cpuset_of(device),
            runtime=self.runtime,
            **self.sizes,
        )

    @property
    def threads(self) -> int:
        """How many threads train.py is told to use on a CPU."""
        return lockdown.threads(self.sizes)

    @property
    def training_limit(self) -> float:
        """When a trial is ended that has not asked for its final score."""
        return self.train_seconds + self.limit_seconds

    @property
    def whole_limit(self) -> float:
        """When a trial is ended in any case."""
        return self.training_limit + self.limit_seconds
