"""How a run's result and the comparison of runs look on a terminal."""

from __future__ import annotations

import itertools
from pathlib import Path

import rich
from rich.markup import escape
from rich.table import Table

from runner.cli import terminal
from runner.metrics import Metric
from runner.records.layout import RunDir
from runner.records.proposal import in_words
from runner.records.schema import SPACE, RunResult
from runner.records.verification import read_verification
from runner.referee.noise import NOISE_FILE, NoiseFloor
from runner.results.rows import NOTHING, Row, short_duration
from runner.spec import RunSpec

UNSAFE = "its lock was not shown to hold, and it went on; see containment.json"
ORDERLY_CAUSES = ("budget", "user", SPACE)  # of a run's end; any other one makes the exit code 1


def print_result(runs: Path, result: RunResult) -> None:
    """Print how a run ended, and where its files are.

    Args:
        runs: the folder of all runs.
        result: what `result.json` of the run holds.
    """
    best, metric = result.best_measured, result.metric
    measured = f"{metric.name} {metric.shown(best.value)} (trial {best.trial})" if best else "none"
    marked = " [yellow](rehearsed: a scripted model, no money spent)[/]" if result.rehearsed else ""
    unsafe = f" [red](unsafe: {UNSAFE})[/]" if result.unsafe else ""
    rich.print(f"[bold]{result.run_id}[/] ended by [bold]{result.ended_by}[/]{marked}{unsafe}")
    if result.cause not in ORDERLY_CAUSES:
        rich.print(f"  cause: {result.cause}: {escape(result.detail)}")
    rich.print(f"  best measured: {measured}; trials: {result.trials_by_status}")
    if result.proposals:
        failures = result.model_failures
        failed = f"; {failures} requests failed (not counting HTTP 400 and 422)" if failures else ""
        rich.print(f"  proposed by: {escape(in_words(result.proposals))}{failed}")
    if result.best_verified is not None:
        verified = result.best_verified
        shown = f"{metric.name} {metric.shown(verified.value)} (trial {verified.trial})"
        rich.print(f"  verified: {shown}, {escape(verified.note)}")
    rich.print(f"  files: {runs / result.run_id}")


def print_rows(rows: list[Row]) -> None:
    """Print the comparison, one table for each task and metric.

    results/summary.md has every column.
    """
    for (heading, *_), of_task in itertools.groupby(
        rows, key=lambda row: (row.heading, row.metric, row.direction)
    ):
        rich.print(f"[bold]{escape(heading)}[/]")
        _print_comparison(list(of_task))
    metrics = ", ".join(dict.fromkeys(row.metric for row in rows))
    rich.print(f"trials: all (ok/failed); {metrics}: best measured; claimed: best the agent wrote")
    rich.print("verified: the referee's mean over held-out seeds; gain: over the pristine train.py")
    for row in rows:
        if row.proposed_by != NOTHING:
            rich.print(escape(f"{Path(row.files).name}: proposed by {row.proposed_by}"))
    if any(row.compute_usd is not None for row in rows):
        rich.print("cost: of the model, if there is one, + of the devices")
    if any(row.unsafe for row in rows):
        rich.print(f"! unsafe: {UNSAFE}")
    if any(row.rehearsed and row.cost_usd is not None for row in rows):
        rich.print("* rehearsed: what a scripted model would have cost; no money was spent")


def print_verified(runs: Path, run_spec: RunSpec) -> None:
    """Print what the referee found about a run, a paragraph for each text."""
    run_dir, metric = RunDir(runs / run_spec.run_id), run_spec.metric
    found = read_verification(run_dir)
    if not found.verified:
        rich.print(f"[bold]{run_spec.run_id}[/]: nothing was verified: no trial has a value")
    for one in found.verified:
        spread = "" if one.sd is None else f" ± {metric.shown(one.sd)}"
        mean = "none" if one.mean is None else f"{metric.shown(one.mean)}{spread}"
        sigmas = "" if one.sigmas is None else f" ({one.sigmas:+.1f} σ against the measured value)"
        rich.print(
            f"[bold]{run_spec.run_id}[/] trial {one.trial}: measured {metric.shown(one.measured)}, "
            f"verified {mean} over {len(one.held_out)} held-out seeds{sigmas}"
        )
        if one.test_mean is not None:
            rich.print(f"  test split: {metric.shown(one.test_mean)}")
        if one.standing is not None:
            rich.print(f"  gain over the pristine train.py: {one.standing}")
        rich.print(f"  without memory: {one.memory.state}")
        for verdict in one.verdicts:
            marked = "[red]rejected[/] " if verdict.rejects else ""
            rich.print(f"  {marked}{verdict.by}: {escape(f'{verdict.name}: {verdict.text}')}")
        for problem in one.problems:
            rich.print(f"  problem: {escape(problem)}")
    rich.print(f"  files: {run_dir.verification}")


def print_noise(results: Path, floor: NoiseFloor, metric: Metric) -> None:
    """Print the values of a task's noise, and what they come to."""
    table = Table("training seed", metric.name, "", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for seed, value in floor.values.items():
        slowed = "other load slowed it" if seed in floor.disturbed else ""
        table.add_row(str(seed), metric.shown(value), slowed)
    terminal.print_table(table)
    sample = floor.sample
    if sample is not None and sample.sd is not None:
        rich.print(
            f"{floor.conditions.task}, {floor.conditions.trial_seconds:g} s: {sample.count} seeds, "
            f"mean {metric.shown(sample.mean)}, σ {metric.shown(sample.sd)}"
        )
    rich.print(f"files: {results / NOISE_FILE}")


def _print_comparison(rows: list[Row]) -> None:
    """Within 80 columns."""
    metric = rows[0].metric
    headings = (
        "run", "trials", metric, "claimed", "verified", "gain", "time", "cost", "ended by"
    )  # fmt: skip
    table = Table(*headings, box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for row in rows:
        table.add_row(*map(escape, _cells(row)))
    terminal.print_table(table)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        Path(row.files).name + " !" * row.unsafe,
        row.trials,
        row.best_measured,
        row.best_claimed,
        row.best_verified.split(" ")[0],
        row.gain.split(",")[0],
        short_duration(row.wall_seconds),
        _cost(row),
        row.ended_by,
    )


def _cost(row: Row) -> str:
    """The model's dollars, marked if nobody paid them, and those of devices; a dash for neither."""
    model = "" if row.cost_usd is None else f"${row.cost_usd:.2f}{'*' * row.rehearsed}"
    compute = "" if row.compute_usd is None else f"${row.compute_usd:.2f}"
    return "+".join(filter(None, (model, compute))) or NOTHING
