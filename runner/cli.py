"""The `bakeoff` command: argv to an exit code.

The only place that prints errors, with their hints; what is no error of ours is shown whole.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from runner import data, images, log, overview, plan, preflight, results, run, runs, samplers
from runner import spec as specs
from runner.agents import agent_names
from runner.engine import Engine
from runner.errors import BakeoffError
from runner.layout import ROOT
from runner.records import RunResult
from runner.spec import Budget, RunSpec

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Who finds the better model: an LLM research agent or a classical optimiser?",
)
console = Console()
errors = Console(stderr=True)


@dataclass(frozen=True)
class Folders:
    """Where the runs lie, and where their comparison goes."""

    runs: Path
    results: Path


Seed = Annotated[int, typer.Option(help="The replicate: seeds the sampler, part of the run's id.")]
Hours = Annotated[
    str, typer.Option(help="Wall hours, or none; waits and outages do not count.", metavar="FLOAT")
]
TrainHours = Annotated[float | None, typer.Option(help="Hours of training, over all trials.")]
Trials = Annotated[int | None, typer.Option(help="Number of trials.")]
Usd = Annotated[float | None, typer.Option(help="US dollars for model requests.")]
Tokens = Annotated[int | None, typer.Option(help="Tokens of model requests, cached ones too.")]
TaskName = Annotated[str, typer.Option(help="pystdlib, text, tinystories, …: see trainer/tasks.")]
Data = Annotated[
    str | None, typer.Option("--data", help="A text of yours, for TASK=text: file or folder.")
]
Seconds = Annotated[float | None, typer.Option(help="Training seconds of one trial.")]
Gpu = Annotated[str | None, typer.Option(help="The GPU for trials, as the engine numbers it.")]
DEFAULT_HOURS = "8"
STOPPING = {  # by a run's kind
    "agent": "its agent has a grace period for STATUS.md",
    "baseline": "a trial under way is ended with it",
}


@app.callback()
def configure(
    context: typer.Context,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log more.")] = False,
    folder: Annotated[
        Path, typer.Option("--runs", help="Where runs lie; results/ goes beside it.")
    ] = ROOT / "runs",
) -> None:
    log.configure(verbose=verbose)
    context.obj = Folders(folder.absolute(), folder.absolute().parent / "results")


@app.command("run")
def run_agent(
    context: typer.Context,
    agent: Annotated[str, typer.Argument(help=f"One of {', '.join(agent_names())}.")],
    seed: Seed = 1,
    hours: Hours = DEFAULT_HOURS,
    train_hours: TrainHours = None,
    trials: Trials = None,
    usd: Usd = None,
    tokens: Tokens = None,
    task: TaskName = "pystdlib",
    data_path: Data = None,
    model: Annotated[str | None, typer.Option(help="Another model than the agent's own.")] = None,
    trial_seconds: Seconds = None,
    gpu: Gpu = None,
    rehearsal: Annotated[bool, typer.Option(help="A scripted model: no key, no money.")] = False,
    record: Annotated[bool, typer.Option(help="Keep every request and response.")] = False,
    base_url: Annotated[str | None, typer.Option(help="Another server of the same API.")] = None,
    allow_unpriced: Annotated[bool, typer.Option(help="Run a model without a price.")] = False,
) -> None:
    """Let an agent work on the task until a budget is spent."""
    budget = _budget(hours, train_hours, trials, usd, tokens)
    asked = plan.Asked(
        seed=seed, task=task, data=data_path, model=model, trial_seconds=trial_seconds, gpu=gpu,
        rehearsal=rehearsal, record=record, base_url=base_url, allow_unpriced=allow_unpriced,
    )  # fmt: skip
    _start(context.obj, plan.agent_run(agent, asked, budget, plan.environment()))


@app.command()
def baseline(
    context: typer.Context,
    sampler: Annotated[str, typer.Argument(help=f"One of {', '.join(samplers.load())}.")],
    seed: Seed = 1,
    hours: Hours = DEFAULT_HOURS,
    train_hours: TrainHours = None,
    trials: Trials = None,
    usd: Usd = None,
    tokens: Tokens = None,
    task: TaskName = "pystdlib",
    data_path: Data = None,
    trial_seconds: Seconds = None,
    gpu: Gpu = None,
) -> None:
    """Let a classical optimiser work on the task, under the very same conditions."""
    budget = _budget(hours, train_hours, trials, usd, tokens)
    asked = plan.Asked(seed=seed, task=task, data=data_path, trial_seconds=trial_seconds, gpu=gpu)
    _start(context.obj, plan.baseline_run(sampler, asked, budget))


@app.command()
def resume(context: typer.Context, run_id: Annotated[str, typer.Argument(metavar="RUN")]) -> None:
    """Go on with a run whose runner died; its budgets are as they were."""
    folders: Folders = context.obj
    made = runs.read_spec(folders.runs, specs.check_run_id(run_id))
    with _engine() as engine:
        result = run.resume(plan.with_key(made, plan.environment()), engine, folders.runs, _show)
    _finish(folders, result)


@app.command()
def stop(context: typer.Context, run_id: Annotated[str, typer.Argument(metavar="RUN")]) -> None:
    """End a run gracefully; one whose runner died is collected and cleared away."""
    folders: Folders = context.obj
    if runs.request_stop(folders.runs, specs.check_run_id(run_id)):
        kind = runs.read_spec(folders.runs, run_id).kind
        console.print(f"{run_id}: asked to stop; {STOPPING[kind]}; `make ps` says when it is over")
        return
    with _engine() as engine:
        result = run.close_abandoned(engine, folders.runs, run_id)
    console.print(f"{run_id}: ended by {result.ended_by}; collected in {folders.runs / run_id}")


@app.command()
def collect(context: typer.Context) -> None:
    """Compare all runs: a table here; CSV files, a page and a plot in results/."""
    folders: Folders = context.obj
    rows = results.write_results(overview.run_folders(folders.runs), folders.results)
    if not rows:
        console.print("no runs yet: `make demo`, or `make run AGENT=gpt SEED=1 REHEARSAL=1`")
        return
    _print_rows(rows)
    plot = ", convergence.png" if (folders.results / "convergence.png").exists() else ""
    console.print(
        f"files: {folders.results}/summary.md, runs.csv, trials.csv, experiments.csv{plot}"
    )


@app.command()
def ps(context: typer.Context) -> None:
    """All runs, and every container and volume of ours on the engine."""
    with _engine() as engine:
        for table in overview.tables(engine, context.obj.runs):
            console.print(table)


@app.command()
def logs(
    context: typer.Context,
    run_id: Annotated[str, typer.Argument(metavar="RUN")],
    role: Annotated[str, typer.Option(help="agent, optimizer, gateway, rehearsal.")] = "",
    follow: Annotated[bool, typer.Option("--follow/--no-follow")] = True,
) -> None:
    """What a run's contestant prints, or its journal when its containers are gone."""
    with _engine() as engine:
        for line in overview.log_lines(
            engine, context.obj.runs, specs.check_run_id(run_id), role=role, follow=follow
        ):
            console.print(escape(line), highlight=False, soft_wrap=True)


@app.command()
def doctor(context: typer.Context) -> None:
    """Check this machine: engine, images, disk, GPU, keys. Starts nothing."""
    findings = preflight.doctor(plan.environment(), context.obj.runs)
    table = Table("", "what", "is so")
    for finding in findings:
        table.add_row("ok" if finding.ok else "[red]no[/]", finding.what, escape(finding.said))
    console.print(table)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


@app.command("clean-runs")
def clean_runs(
    context: typer.Context,
    run_id: Annotated[str | None, typer.Argument(metavar="[RUN]")] = None,
    task_data: Annotated[
        bool, typer.Option("--data", help="Prepared data volumes too; not with RUN.")
    ] = False,
) -> None:
    """Remove what finished runs left on the engine; unfinished ones are named and left.

    With RUN: that run, unless it is under way, and without asking its directory with its results.
    """
    if run_id is not None:
        specs.check_run_id(run_id)
    with _engine() as engine:
        for line in overview.clean(engine, context.obj.runs, run_id, task_data=task_data):
            console.print(escape(line))


@app.command("images")
def build_images(
    names: Annotated[list[str] | None, typer.Argument(help="Default: all.")] = None,
) -> None:
    """Build the images whose inputs changed."""
    with _engine() as engine:
        built = images.ensure(engine, names or images.everyday())
    console.print(f"built: {', '.join(built)}" if built else "all images are up to date")


@app.command()
def demo(
    context: typer.Context,
    trials: Annotated[int, typer.Option(help="Trials of each contestant.")] = 6,
    trial_seconds: Annotated[float, typer.Option(help="Training seconds of a trial.")] = 5.0,
) -> None:
    """A rehearsed agent and an Optuna baseline on real text, and their comparison."""
    folders: Folders = context.obj
    seed = overview.free_seed(folders.runs, ("gpt", "tpe"))
    asked = plan.Asked(seed=seed, trial_seconds=trial_seconds, rehearsal=True)
    budget = specs.budget(hours=1.0, trials=trials)
    _demo_run(
        folders,
        "1/2 a rehearsed agent: the real Codex CLI, a scripted model, real trials",
        plan.agent_run("gpt", asked, budget, plan.environment()),
    )
    _demo_run(folders, "2/2 an Optuna baseline: TPE", plan.baseline_run("tpe", asked, budget))
    collect(context)


def _demo_run(folders: Folders, title: str, made: RunSpec) -> None:
    console.rule(title, align="left")
    with _engine() as engine:
        result = run.start(made, engine, folders.runs, _show)
    _print_result(folders, result)


# --- shared by the commands ---------------------------------------------------------------------


def _budget(
    hours: str,
    train_hours: float | None,
    trials: int | None,
    usd: float | None,
    tokens: int | None,
) -> Budget:
    wall = None if hours.strip().lower() == "none" else hours
    return specs.budget(hours=wall, train_hours=train_hours, trials=trials, usd=usd, tokens=tokens)


def _start(folders: Folders, made: RunSpec) -> None:
    data.input_files(made.data, specs.load_task(made.task))
    with _engine() as engine:
        result = run.start(made, engine, folders.runs, _show)
    _finish(folders, result)


def _finish(folders: Folders, result: RunResult) -> None:
    _print_result(folders, result)
    if result.cause not in ("budget", "user"):
        raise typer.Exit(1)


def _print_result(folders: Folders, result: RunResult) -> None:
    best = result.best_measured
    said = f"val_bpb {best.val_bpb:.4f} (trial {best.trial})" if best else "none"
    marked = " [yellow](rehearsed: a scripted model, no money spent)[/]" if result.rehearsed else ""
    console.print(f"[bold]{result.run_id}[/] ended by [bold]{result.ended_by}[/]{marked}")
    if result.cause not in ("budget", "user"):
        console.print(f"  cause: {result.cause}: {escape(result.detail)}")
    console.print(f"  best measured: {said}; trials: {result.trials_by_status}")
    console.print(f"  files: {folders.runs / result.run_id}")


def _print_rows(rows: list[results.Row]) -> None:
    """The comparison, a table a task; results/summary.md has every column."""
    for task, of_task in itertools.groupby(rows, key=lambda row: row.task):
        console.print(f"[bold]{escape(task)}[/]")
        _print_table(list(of_task))
    console.print("trials: all (ok/failed); val_bpb: the best one measured; claimed: by the agent")
    if any("rehearsed" in row.cost for row in rows):
        console.print("* rehearsed: what a scripted model would have cost; nobody spent it")


def _print_table(rows: list[results.Row]) -> None:
    """Within 80 columns."""
    headings = ("contestant", "trials", "val_bpb", "claimed", "time", "cost", "ended by", "files")
    table = Table(*headings, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in table.columns:
        column.no_wrap = True
    for row in rows:
        dollars, *rehearsed = row.cost.split(maxsplit=1)
        cost = f"{dollars}*" if rehearsed else dollars
        time = row.wall_time.replace(" h", "h").replace(" min", "m").replace(" s", "s")
        cells = (row.contestant, row.trials, row.best_measured, row.best_claimed, time, cost)
        table.add_row(*(escape(cell) for cell in (*cells, row.ended_by, row.files)))
    console.print(table)


def _show(role: str, line: str) -> None:
    """What containers print for people goes to the log, at a level of its own."""
    logger = structlog.get_logger()
    if role == "prepare":
        logger.info("data.said", line=line)
    else:
        logger.debug("container.said", role=role, line=line)


@contextmanager
def _engine() -> Iterator[Engine]:
    engine = Engine.connect()
    try:
        yield engine
    finally:
        engine.close()


def main() -> None:
    """Run the command; 0 when it did what was asked, 1 or 2 with one error line when not.

    Typer shows wrong options and arguments itself, and ends the process with their exit code.
    """
    try:
        app()
    except BakeoffError as error:
        errors.print(f"[red]error:[/] {escape(error.message)}", highlight=False, soft_wrap=True)
        if error.hint:
            errors.print(f"[cyan]hint:[/] {escape(error.hint)}", highlight=False, soft_wrap=True)
        sys.exit(2 if error.cause == "user" else 1)
