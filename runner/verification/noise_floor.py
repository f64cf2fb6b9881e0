"""Measures the noise of a task: the pristine train.py over several training seeds.

`bakeoff noise`. Every value is kept as it is measured, so a measurement that was stopped goes on
where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from runner import task_data
from runner.build import images
from runner.build.images import image_tag
from runner.devices.choice import chosen
from runner.devices.names import core_sets
from runner.engine.client import Engine
from runner.engine.kinds import runtime_record
from runner.errors import HostError, SandboxError
from runner.preflight import checks
from runner.records.files import explained
from runner.records.layout import RunDir
from runner.records.runtime import RUNTIME
from runner.records.schema import now
from runner.referee.noise import Conditions, NoiseFloor, keep_value, read_noise
from runner.referee.seeds import derived_seeds
from runner.run.context import RunContext, open_context
from runner.run_lock import held, stop_signals
from runner.sandbox.peer import Show
from runner.sandbox.removal import remove_run
from runner.spec import Budget, RunSpec
from runner.tasks import Task, load_task
from runner.trials.orders.order import TrialOrder
from runner.trials.terms import Terms
from runner.verification.bench import Bench, opened

FOLDER = "noise"  # of results/: the logs of the trials


@dataclass(frozen=True)
class Asked:
    """What is to be measured.

    Attributes:
        task: the task's name.
        data: the user's own text, for a task that needs it.
        seeds: how many training seeds, those that were measured before included.
        trial_seconds: the training seconds of a trial; None for the task's own.
        gpu: the GPU of trials; None for the CPU.
        cpu_sets: into how many sets the cores are divided; a trial has one.
        runtime: what makes the containers; None for the engine's own.
    """

    task: str
    data: str | None
    seeds: int
    trial_seconds: float | None
    gpu: str | None
    cpu_sets: int = 1
    runtime: str | None = None


def measure(
    engine: Engine, results: Path, asked: Asked, show: Show, report: Callable[[str], None]
) -> NoiseFloor:
    """Train the pristine train.py with as many seeds as are asked for, and keep their values.

    Args:
        engine: where the trials run.
        results: the folder with `noise.json`.
        asked: what is to be measured.
        show: is given (role, line) of what containers print.
        report: is given a sentence for each trial, for people.

    Raises:
        UserError: an unknown task, a text that is missing, or somebody asked to stop.
        BakeoffError: the engine or the disk failed. What was measured until then is kept.
    """
    task = load_task(asked.task)
    chosen(asked.gpu, None, asked.cpu_sets)
    core_sets(engine.info().cpus, asked.cpu_sets)
    files = task_data.input_files(asked.data, task, partial(show, "prepare"))
    images.ensure(engine, ["trainer", "data"])
    image = image_tag("trainer")
    volume = task_data.ensure(engine, image_tag("data"), task, files, partial(show, "prepare"))
    versions: dict[str, Any] = {
        "images": {"trainer": engine.image_digest(image)},
        "data": volume,
        "machine": engine.info().id,
        RUNTIME: runtime_record(engine.info(), asked.runtime).model_dump(mode="json"),
    }
    spec = _spec(asked, task, versions)
    checks.check_runtime(spec, engine)
    conditions = Conditions.of_run(task.name, versions, spec.trial_seconds, spec.gpu, spec.cpu_sets)
    if conditions is None:
        raise HostError("measuring noise: the engine names no image or no machine of its own")
    run_dir = RunDir(results / FOLDER / spec.run_id)
    with explained(run_dir.path):
        run_dir.path.mkdir(parents=True, exist_ok=True)
    with held(run_dir), stop_signals(run_dir) as asked_to_stop:
        run_dir.stop.unlink(missing_ok=True)
        run_dir.pristine.unlink(missing_ok=True)  # an earlier measurement's; ours may be newer
        remove_run(engine, spec.run_id)  # left by a measurement that was killed
        context = open_context(spec, engine, run_dir, task, volume, show)
        return _measured(context, results, conditions, asked_to_stop, asked.seeds, report)


def _measured(
    context: RunContext,
    results: Path,
    conditions: Conditions,
    asked_to_stop: Callable[[], str | None],
    number: int,
    report: Callable[[str], None],
) -> NoiseFloor:
    """Measure the seeds that are missing."""
    floor = read_noise(results).floor(conditions) or NoiseFloor(conditions=conditions)
    seeds = derived_seeds(f"noise of {context.task.name}", number, context.task.seed)
    missing = [seed for seed in seeds if seed not in floor.values]
    if not missing:
        return floor
    metric = context.spec.metric.name
    with opened(context, asked_to_stop, referee=False) as bench:
        for place, seed in enumerate(seeds, start=1):
            if seed in missing:
                value, disturbed = _value(bench, place, seed)
                if disturbed:
                    report(f"{place} of {number}: other load slowed it, so it is trained again")
                    value, disturbed = _value(bench, place, seed)
                floor = keep_value(results, conditions, seed, value, disturbed=disturbed)
                shown = context.spec.metric.shown(value)
                slowed = " (other load slowed it)" * disturbed
                report(f"{place} of {number}: seed {seed}, {metric} {shown}{slowed}")
    return floor


def _value(bench: Bench, number: int, seed: int) -> tuple[float, bool]:
    """The value of the pristine train.py with one training seed, and whether it was disturbed.

    Raises:
        SandboxError: our own text has no value, so something is wrong with this machine.
    """
    context = bench.context
    record = bench.run(
        TrialOrder(
            trial=number,
            source="referee",
            request=f"noise-{seed}",
            train_py=context.pristine,
            parent=None,
            parent_train_py=context.pristine,
            queued_at=now(),
            terms=Terms(seed=seed),
        )
    )
    if record.value is None:
        log = context.run_dir.trial(number) / "train.log"
        raise SandboxError(
            f"measuring noise: the pristine train.py has no value: {record.status}, "
            f"{record.reason}",
            hint=f"its log is {log}",
        )
    return record.value, record.disturbed


def _spec(asked: Asked, task: Task, versions: dict[str, Any]) -> RunSpec:
    """A run in name only: it has the task's conditions, and nobody contests in it."""
    return RunSpec(
        run_id=f"noise-{task.name}",
        kind="baseline",
        contestant="pristine",
        seed=0,
        task=task.name,
        metric=task.metric,
        data=asked.data,
        budget=Budget(),
        trial_seconds=task.train_seconds if asked.trial_seconds is None else asked.trial_seconds,
        gpu=asked.gpu,
        cpu_sets=asked.cpu_sets,
        runtime=asked.runtime,
        verify="none",
        versions=versions,
    )
