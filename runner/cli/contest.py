"""The commands that run contestants: run, baseline, resume, resume-all, stop, demo."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, TextIO

import rich
import typer
from rich.markup import escape

from runner import options, run_lock, samplers, spec, task_data, tasks
from runner.agents import agent_names
from runner.cli.arguments import (
    DEFAULT_HOURS,
    AllowUnpriced,
    AskAhead,
    AsPublished,
    BaseUrl,
    ComputeUsd,
    CpuSets,
    Data,
    First,
    Gpu,
    Gpus,
    Hours,
    Inner,
    Model,
    OptimisersModel,
    OrphanMinutes,
    ProviderName,
    PrunerName,
    Ratio,
    Record,
    Rehearsal,
    RetryDisturbed,
    RunId,
    RuntimeName,
    Seed,
    SpaceFile,
    Storage,
    Study,
    TaskName,
    Tokens,
    TotalUsd,
    TrainHours,
    Trials,
    TrialSeconds,
    Unsafe,
    Usd,
    VerifySeeds,
    VerifyTexts,
    Workers,
    budget,
)
from runner.cli.context import Folders, connected_engine, shown_live
from runner.cli.overview import collect
from runner.cli.printing import ORDERLY_CAUSES, print_result
from runner.cli.referee import verify_at_end
from runner.records.containment import is_unsafe
from runner.records.layout import RunDir, run_folders
from runner.records.schema import RunResult
from runner.run import lifecycle
from runner.spec import RunSpec

DEMO_VERIFY_SEEDS = 1  # so that the referee takes two trials of each contestant, not four
STOPPING = {  # what happens next, by a run's kind
    "agent": "its agent has a grace period to write STATUS.md",
    "baseline": "a trial under way is ended with it",
}


def run_agent(
    context: typer.Context,
    agent: Annotated[str, typer.Argument(help=f"One of {', '.join(agent_names())}.")],
    seed: Seed = 1,
    hours: Hours = DEFAULT_HOURS,
    train_hours: TrainHours = None,
    trials: Trials = None,
    usd: Usd = None,
    tokens: Tokens = None,
    total_usd: TotalUsd = None,
    compute_usd_per_hour: ComputeUsd = None,
    task: TaskName = "pystdlib",
    data_path: Data = None,
    model: Model = None,
    trial_seconds: TrialSeconds = None,
    gpu: Gpu = None,
    gpus: Gpus = None,
    cpu_sets: CpuSets = 1,
    runtime: RuntimeName = None,
    retry_disturbed: RetryDisturbed = False,
    rehearsal: Rehearsal = False,
    record: Record = False,
    base_url: BaseUrl = None,
    allow_unpriced: AllowUnpriced = False,
    orphan_minutes: OrphanMinutes = spec.ORPHAN_MINUTES,
    verify: VerifyTexts = "best",
    verify_seeds: VerifySeeds = spec.VERIFY_SEEDS,
    unsafe: Unsafe = False,
) -> None:
    """Let an agent work on the task until a budget is spent."""
    bounds = budget(hours, train_hours, trials, usd, tokens, total_usd, compute_usd_per_hour)
    asked = options.RunOptions(
        seed=seed, task=task, data=data_path, model=model, trial_seconds=trial_seconds, gpu=gpu,
        gpus=gpus, cpu_sets=cpu_sets, runtime=runtime, rehearsal=rehearsal, record=record,
        base_url=base_url, allow_unpriced=allow_unpriced,
        verify=verify, verify_seeds=verify_seeds,
        retry_disturbed=retry_disturbed, orphan_minutes=orphan_minutes, unsafe=unsafe,
    )  # fmt: skip
    _run_to_end(context.obj, options.agent_run(agent, asked, bounds, options.environment()))


def baseline(
    context: typer.Context,
    sampler: Annotated[
        str,
        typer.Argument(
            help=f"One of {', '.join(samplers.load())}; with a model "
            f"{', '.join(samplers.load_methods())}; or your own: file.py:Factory."
        ),
    ],
    seed: Seed = 1,
    hours: Hours = DEFAULT_HOURS,
    train_hours: TrainHours = None,
    trials: Trials = None,
    usd: Usd = None,
    tokens: Tokens = None,
    total_usd: TotalUsd = None,
    compute_usd_per_hour: ComputeUsd = None,
    task: TaskName = "pystdlib",
    data_path: Data = None,
    trial_seconds: TrialSeconds = None,
    gpu: Gpu = None,
    space: SpaceFile = None,
    gpus: Gpus = None,
    cpu_sets: CpuSets = 1,
    runtime: RuntimeName = None,
    workers: Workers = 1,
    ask_ahead: AskAhead = None,
    verify: VerifyTexts = "best",
    verify_seeds: VerifySeeds = spec.VERIFY_SEEDS,
    retry_disturbed: RetryDisturbed = False,
    pruner: PrunerName = "none",
    storage: Storage = None,
    study: Study = None,
    model: OptimisersModel = None,
    provider: ProviderName = None,
    inner: Inner = None,
    ratio: Ratio = None,
    first: First = None,
    as_published: AsPublished = None,
    rehearsal: Rehearsal = False,
    record: Record = False,
    base_url: BaseUrl = None,
    allow_unpriced: AllowUnpriced = False,
    orphan_minutes: OrphanMinutes = spec.ORPHAN_MINUTES,
    unsafe: Unsafe = False,
) -> None:
    """Let an optimiser work on the task, under the same conditions as an agent."""
    bounds = budget(hours, train_hours, trials, usd, tokens, total_usd, compute_usd_per_hour)
    asked = options.RunOptions(
        seed=seed, task=task, data=data_path, trial_seconds=trial_seconds, gpu=gpu,
        space=space, gpus=gpus, cpu_sets=cpu_sets, runtime=runtime, workers=workers,
        ask_ahead=ask_ahead,
        verify=verify, verify_seeds=verify_seeds,
        retry_disturbed=retry_disturbed, pruner=pruner, storage=storage, study=study,
        model=model, provider=provider, inner=inner, ratio=ratio, first=first,
        as_published=as_published, rehearsal=rehearsal, record=record, base_url=base_url,
        allow_unpriced=allow_unpriced, orphan_minutes=orphan_minutes, unsafe=unsafe,
    )  # fmt: skip
    run_spec = options.baseline_run(sampler, asked, bounds, options.environment())
    _run_to_end(context.obj, run_spec)


def samplers_described() -> str:
    """A paragraph on each sampler, for the end of the help of `baseline`."""
    rows: list[samplers.Sampler | samplers.Method] = [
        *samplers.load().values(),
        *samplers.load_methods().values(),
    ]
    return "\n\n".join(f"{row.name}: {row.description}" for row in rows)


def resume(context: typer.Context, run_id: RunId, unsafe: Unsafe = False) -> None:
    """Continue a run that is suspended or whose runner died; what it has spent stays spent."""
    folders: Folders = context.obj
    run_spec = spec.read_spec(folders.runs, spec.check_run_id(run_id))
    unsafe = unsafe or run_spec.unsafe or is_unsafe(RunDir(folders.runs / run_id))
    run_spec = run_spec.model_copy(update={"unsafe": unsafe})
    with connected_engine() as engine, shown_live(folders, run_id) as show:
        result = lifecycle.resume(
            options.with_key(run_spec, options.environment()), engine, folders.runs, show
        )
    _report(folders, verify_at_end(folders, run_spec, result))


def resume_all(context: typer.Context) -> None:
    """Continue all runs that no runner has, each in a process of its own, and wait for them."""
    folders: Folders = context.obj
    waiting = [path.name for path in run_folders(folders.runs) if run_lock.unfinished(RunDir(path))]
    if not waiting:
        rich.print(f"no run in {folders.runs} waits for a runner")
        return
    command = [str(Path(sys.executable).with_name("bakeoff")), "--runs", str(folders.runs)]
    with contextlib.ExitStack() as files:
        runners = []
        for run_id in waiting:
            said = files.enter_context(tempfile.TemporaryFile("w+", errors="replace"))
            runner = subprocess.Popen(
                [*command, _how_to_go_on(folders.runs / run_id), run_id],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
                start_new_session=True,
            )  # fmt: skip
            runners.append((run_id, runner, said))
        rich.print(f"continuing {', '.join(waiting)}; `make ps` shows them, and each has a run.log")
        ended = [_has_succeeded(*one) for one in runners]
        if not all(ended):
            raise typer.Exit(1)


def _how_to_go_on(path: Path) -> str:
    """The command for a run without a runner: whoever asked for its end before gets that."""
    return "stop" if RunDir(path).stop.exists() else "resume"


def _has_succeeded(run_id: str, runner: subprocess.Popen[bytes], said: TextIO) -> bool:
    """Wait for the runner of a run and print how it ended."""
    code = runner.wait()
    said.seek(0)
    words = [line.strip() for line in said if not line.startswith("{")]
    how = "ended" if code == 0 else f"exit code {code}: {' / '.join(words[-2:])}"
    rich.print(f"{run_id}: {escape(how)}")
    return code == 0


def stop(context: typer.Context, run_id: RunId) -> None:
    """End a run in an orderly way. If no runner has it, collect its files and clear it away."""
    folders: Folders = context.obj
    if run_lock.request_stop(folders.runs, spec.check_run_id(run_id)):
        kind = spec.read_spec(folders.runs, run_id).kind
        rich.print(f"{run_id}: asked to stop; {STOPPING[kind]}; `make ps` shows when it has ended")
        return
    with connected_engine() as engine:
        result = lifecycle.close_abandoned(engine, folders.runs, run_id)
    rich.print(f"{run_id}: ended by {result.ended_by}; its files are in {folders.runs / run_id}")


def demo(
    context: typer.Context,
    trials: Annotated[int, typer.Option(help="Trials of each contestant.")] = 6,
    trial_seconds: Annotated[float, typer.Option(help="Training seconds of a trial.")] = 5.0,
    unsafe: Unsafe = False,
) -> None:
    """Run a rehearsed agent and an Optuna baseline on real text, and compare them."""
    folders: Folders = context.obj
    seed = free_seed(folders.runs, ("gpt", "tpe"))
    asked = options.RunOptions(
        seed=seed, trial_seconds=trial_seconds, rehearsal=True, verify_seeds=DEMO_VERIFY_SEEDS,
        unsafe=unsafe,
    )  # fmt: skip
    bounds = spec.budget(hours=1.0, trials=trials)
    _demo_run(
        folders,
        "1/2 a rehearsed agent: the real Codex CLI, a scripted model, real trials",
        options.agent_run("gpt", asked, bounds, options.environment()),
    )
    _demo_run(folders, "2/2 an Optuna baseline: TPE", options.baseline_run("tpe", asked, bounds))
    collect(context)


def _demo_run(folders: Folders, title: str, run_spec: RunSpec) -> None:
    rich.get_console().rule(title, align="left")
    print_result(folders.runs, _start(folders, run_spec))


def _run_to_end(folders: Folders, run_spec: RunSpec) -> None:
    """Start a run, wait for its end and report it.

    Raises:
        UserError: the user's text cannot be read, which is found before an engine is asked.
    """
    task_data.input_files(run_spec.data, tasks.load_task(run_spec.task))
    _report(folders, _start(folders, run_spec))


def _start(folders: Folders, run_spec: RunSpec) -> RunResult:
    with connected_engine() as engine, shown_live(folders, run_spec.run_id) as show:
        result = lifecycle.start(run_spec, engine, folders.runs, show)
    return verify_at_end(folders, run_spec, result)


def _report(folders: Folders, result: RunResult) -> None:
    print_result(folders.runs, result)
    if result.cause not in ORDERLY_CAUSES:
        raise typer.Exit(1)


def free_seed(runs: Path, contestants: Iterable[str]) -> int:
    """The first seed that none of these contestants has used here."""
    names, seed = list(contestants), 1
    while any((runs / f"{name}-s{seed}").exists() for name in names):
        seed += 1
    return seed
