"""What a user asked of a run, as it was said."""

from __future__ import annotations

from dataclasses import dataclass

from runner import spec


@dataclass(frozen=True)
class RunOptions:
    """The options of `bakeoff run` and `bakeoff baseline`, as the user gave them.

    `trial_seconds` is the training time of one trial, and `space` the file of the knobs that a
    baseline searches; None stands for the task's own. `ask_ahead` is None where the number of
    workers decides. From `provider` to `as_published` they are of a baseline that uses a model;
    None is its own.
    """

    seed: int = 1
    task: str = "pystdlib"
    data: str | None = None
    model: str | None = None
    trial_seconds: float | None = None
    gpu: str | None = None
    gpus: str | None = None
    cpu_sets: int = 1
    runtime: str | None = None
    workers: int = 1
    ask_ahead: bool | None = None
    space: str | None = None
    rehearsal: bool = False
    record: bool = False
    base_url: str | None = None
    allow_unpriced: bool = False
    unsafe: bool = False
    verify: str = "best"
    verify_seeds: int = spec.VERIFY_SEEDS
    retry_disturbed: bool = False
    orphan_minutes: float = spec.ORPHAN_MINUTES
    pruner: str = "none"
    storage: str | None = None
    study: str | None = None
    provider: str | None = None
    inner: str | None = None
    ratio: float | None = None
    first: int | None = None
    as_published: str | None = None
