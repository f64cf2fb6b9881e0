"""`summary.md`: the comparison on one page, with what a reader must know before believing it.

Names that a directory or an agent can have chosen are made harmless for Markdown and HTML.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from runner.metrics import Metric
from runner.records.files import write_whole
from runner.records.schema import now
from runner.results.conditions import differences, shares_a_study
from runner.results.markdown import harmless, table_line
from runner.results.reading import Run
from runner.results.reported import reported
from runner.results.rows import headings, to_row, value_shown
from runner.samplers import Searched

KNOBS_SHOWN = 14
GIVEN: Searched = "given space"
FIGURE = "convergence.png"
EXPLAIN_UNJUDGED = (
    "These runs are of a version without a judge: their values are what the trials printed, on "
    "other rows than today's, and do not compare with judged ones."
)


def write_summary(runs: Sequence[Run], folder: Path, *, figure: bool) -> None:
    """Write the page on `ordered` runs; `figure` says whether the figure lies beside it."""
    lines = ["# Results", "", f"{len(runs)} runs, collected at {now()}.", ""]
    if any(run.rehearsed for run in runs):
        lines += [
            "Runs marked *rehearsed* were driven by a scripted model: their trials are real, "
            "their dollars were never spent, and they say nothing about the model they stand for.",
            "",
        ]
    if any(run.unsafe for run in runs):
        lines += [
            "Runs marked *unsafe* went on (`UNSAFE=1`) although their lock was not shown to hold: "
            "what they measured may owe something to what is outside of it. Their "
            "`containment.json` says which probes failed.",
            "",
        ]
    for _, compared in groupby(runs, key=lambda run: run.comparison):
        lines += _task_section(list(compared), folder)
    metrics = list({run.comparison[1:3]: run.metric for run in runs}.values())
    if figure:
        names = " and ".join(metric.name for metric in metrics)
        lines += [f"![best {names} so far]({FIGURE})", ""]
    lines += reported(runs)
    lines += _problems(runs)
    lines += map(_explanation, metrics)
    lines += ["Everything: `runs.csv`, `trials.csv`, `experiments.csv`, `fidelity.csv`.", ""]
    write_whole(folder / "summary.md", "\n".join(lines))


def _explanation(metric: Metric) -> str:
    return (
        f"`{metric.name}` measured is what the judge found in a trial; claimed is what the agent "
        "wrote in its experiments.csv; verified is the mean of the referee's own runs of the best "
        "text, over training seeds that no contestant saw. A gain is over the pristine train.py, "
        f"in standard deviations of the task (`make noise`). {metric.lower.capitalize()} is better."
        " Device time is that of a run's trials on their device, with scoring, without waits; at "
        "`COMPUTE_USD_PER_HOUR` it makes the compute cost, and the total is that and the model's."
    )


def _task_section(runs: list[Run], folder: Path) -> Iterator[str]:
    """The section of runs that have a task and a metric in common."""
    names = headings(runs[0].metric.name)
    yield from (f"## {harmless(runs[0].heading)}", "")
    if not runs[0].judged:
        yield from (EXPLAIN_UNJUDGED, "")
    yield table_line(names)
    yield table_line(["---"] * len(names))
    yield from (table_line(map(harmless, to_row(run, folder).cells())) for run in runs)
    yield ""
    yield from _proposed(runs)
    yield from _unequal_conditions(runs)
    yield from _over_seeds(runs)
    yield from _winning_settings(runs)


def _proposed(runs: Sequence[Run]) -> Iterator[str]:
    """What the sources of proposals mean, where a baseline with a model is among the runs."""
    if any(run.proposals for run in runs):
        yield from (
            "Proposed by: the default (trial 0), a sampler by its name, the model (warm: before "
            "the sampler searches), or a fallback, because the model gave nothing usable.",
            "",
        )


def _unequal_conditions(runs: Sequence[Run]) -> Iterator[str]:
    """A warning when runs in one table had different seconds, budgets, devices or workers."""
    seconds = sorted({run.trial_seconds for run in runs if run.trial_seconds is not None})
    budgets = {tuple(sorted(run.budget.items())) for run in runs if run.budget}
    if len(seconds) > 1:
        words = ", ".join(f"{each:g}" for each in seconds)
        yield from (f"**Not comparable**: their trials trained for {words} seconds.", "")
    yield from _unequal_spaces([run for run in runs if run.kind == "baseline"])
    for each in differences(run.setup for run in runs):
        yield from (f"**Conditions differ** between these runs: {harmless(each)}.", "")
    if sharing := [run.run_id for run in runs if shares_a_study(run.setup)]:
        yield from (f"**A shared study**: others' trials guided {_named(sharing)}.", "")
    if len(budgets) > 1:
        yield from ("**Budgets differ** between these runs: see `budget` in `runs.csv`.", "")


def _unequal_spaces(baselines: Sequence[Run]) -> Iterator[str]:
    """A warning when baselines in one table did not search the same space."""
    given = {json.dumps(run.space, sort_keys=True) for run in baselines if run.searches == GIVEN}
    own = [run.run_id for run in baselines if run.searches == "own space"]
    texts = [run.run_id for run in baselines if run.searches == "texts"]
    if len(given) + len(own) + bool(texts) < 2:
        return
    differ = "**Search spaces differ** between these baselines: see their spec.json."
    if own:
        differ += f" Each of these searched a space that its model proposed: {_named(own)}."
    if texts:
        differ += f" These rewrote the whole train.py, and have no space: {_named(texts)}."
    yield from (differ, "")


def _named(run_ids: Sequence[str]) -> str:
    return ", ".join(harmless(run_id) for run_id in run_ids)


def _over_seeds(runs: Sequence[Run]) -> Iterator[str]:
    """Mean and range of each contestant that ran with two seeds or more."""
    metric = runs[0].metric
    by_name = sorted(runs, key=lambda run: run.contestant)
    grouped = [(name, list(group)) for name, group in groupby(by_name, lambda run: run.contestant)]
    repeated = [(name, group) for name, group in grouped if len(group) > 1]
    if not repeated:
        return
    yield table_line(("contestant", "seeds", f"mean best {metric.name}", "lowest", "highest"))
    yield table_line(["---"] * 5)
    for name, group in repeated:
        bests = [run.best_value for run in group if run.best_value is not None]
        mean = statistics.fmean(bests) if bests else None
        figures = (mean, min(bests, default=None), max(bests, default=None))
        words = (value_shown(metric, figure) for figure in figures)
        yield table_line([harmless(name), f"{len(bests)} of {len(group)}", *words])
    yield ""


def _winning_settings(runs: Sequence[Run]) -> Iterator[str]:
    """The settings that each run's best trial changed from its parent's."""
    for run in runs:
        if run.best is None:
            continue
        changed = [f"{name} {old} → {new}" for name, (old, new) in run.best.knobs_changed.items()]
        more = ["other changes to train.py"] if run.best.other_changes else []
        words = ", ".join(changed[:KNOBS_SHOWN] + more) or "the defaults"
        yield f"- {harmless(run.run_id)}, trial {run.best.trial}: {harmless(words)}"
    yield ""


def _problems(runs: Sequence[Run]) -> Iterator[str]:
    said = [line for run in runs for line in _run_problems(run)]
    if said:
        yield from ("## What to mind", "", *said, "")


def _run_problems(run: Run) -> Iterator[str]:
    yield from (f"- {harmless(run.run_id)}: {harmless(each)}" for each in run.all_problems)
