"""The commands of the referee: verify, retest and noise."""

from __future__ import annotations

import contextlib
from typing import Annotated

import rich
import typer
from rich.markup import escape

from runner import options, spec
from runner.cli.arguments import (
    CpuSets,
    Data,
    Gpu,
    RunId,
    RuntimeName,
    TaskName,
    TrialSeconds,
    VerifyNow,
    VerifySeeds,
)
from runner.cli.context import Folders, connected_engine, log_line
from runner.cli.printing import print_noise, print_verified
from runner.errors import BakeoffError
from runner.records.layout import RunDir
from runner.records.schema import RunResult
from runner.spec import VERIFY_SEEDS, RunSpec
from runner.tasks import load_task
from runner.verification import noise_floor, verify
from runner.verification import retest as longer
from runner.verification.result import NOT_VERIFIED

DEFAULT_SEEDS = 10


def verify_run(
    context: typer.Context,
    run_id: RunId,
    texts: VerifyNow = "best",
    seeds: VerifySeeds = VERIFY_SEEDS,
) -> None:
    """Run the best text of a finished run again, with training seeds that it never saw."""
    folders: Folders = context.obj
    asked = verify.Asked(options.texts_to_verify(texts), seeds)
    run_spec = spec.read_spec(folders.runs, spec.check_run_id(run_id))
    _verify(folders, run_spec, asked)
    print_verified(folders.runs, run_spec)


def retest(
    context: typer.Context,
    run_ids: Annotated[list[str], typer.Argument(help="Finished runs, such as gpt-s1 tpe-s1.")],
    times: Annotated[
        str, typer.Option("--times", help="How many times the run's training time, such as 2,4,8.")
    ] = "2,4,8",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Training seeds.")] = 1,
) -> None:
    """Train the best text of finished runs for longer, to see whether its lead lasts."""
    folders: Folders = context.obj
    asked = longer.Asked(options.retest_times(times), seeds)
    with connected_engine() as engine:
        for run_id in map(spec.check_run_id, run_ids):
            rich.print(f"[bold]{run_id}[/]: its best text, trained for longer")
            longer.retest_run(engine, folders.runs, run_id, asked, log_line, _report)
    rich.print("`make analyse` compares them")


def noise(
    context: typer.Context,
    task: TaskName = "pystdlib",
    seeds: Annotated[int, typer.Option("--seeds", min=2, help="Training seeds.")] = DEFAULT_SEEDS,
    data_path: Data = None,
    trial_seconds: TrialSeconds = None,
    gpu: Gpu = None,
    cpu_sets: CpuSets = 1,
    runtime: RuntimeName = None,
) -> None:
    """Measure how much the pristine train.py differs from training seed to training seed."""
    folders: Folders = context.obj
    asked = noise_floor.Asked(task, data_path, seeds, trial_seconds, gpu, cpu_sets, runtime)
    with connected_engine() as engine:
        floor = noise_floor.measure(engine, folders.results, asked, log_line, _report)
    print_noise(folders.results, floor, load_task(task).metric)


def verify_at_end(folders: Folders, run_spec: RunSpec, result: RunResult) -> RunResult:
    """Verify a run that has just ended, as its spec asks, unless a person ended it.

    A referee that fails costs no run.

    Returns:
        The result as it is now: with the verified value, or with why it has none.
    """
    if run_spec.verify == "none" or result.best_measured is None:
        return result
    if result.cause == "user":  # whoever stopped it does not want to wait for four more trials
        rich.print(f"not verified: `make verify RUN={run_spec.run_id}` does it")
        return result
    rich.print(f"[bold]{run_spec.run_id}[/] has ended; the referee runs its best text again")
    try:
        return _verify(folders, run_spec, verify.Asked(run_spec.verify, run_spec.verify_seeds))
    except BakeoffError as error:
        later = f"`make verify RUN={run_spec.run_id}` does it later"
        said = f"{NOT_VERIFIED}{error.message}; {later}"
        rich.print(f"  [yellow]{escape(said)}[/]")
        with contextlib.suppress(BakeoffError):  # another runner has the run, or the disk is full
            return verify.add_problem(RunDir(folders.runs / run_spec.run_id), said)
    return result


def _verify(folders: Folders, run_spec: RunSpec, asked: verify.Asked) -> RunResult:
    with connected_engine() as engine:
        return verify.verify_run(
            engine, folders.runs, folders.results, run_spec.run_id, asked, log_line, _report
        )


def _report(sentence: str) -> None:
    rich.print(f"  {escape(sentence)}")
