"""`summary.md`: the comparison on one page, with what a reader must know before believing it.

Names that a directory or an agent could have chosen are made harmless for Markdown and HTML.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from runner.records import now, write_whole
from runner.results.reading import Run
from runner.results.rows import HEADINGS, NOTHING, ordered, to_row

MISMATCH_BPB = 5e-4  # claims are written by hand: a difference in the fourth digit is no rounding
KNOBS_SHOWN = 14


def write_summary(runs: Sequence[Run], folder: Path, *, figure: bool) -> None:
    """Write the page; `figure` says whether convergence.png lies beside it."""
    lines = ["# Results", "", f"{len(runs)} runs, collected at {now()}.", ""]
    if any(run.rehearsed for run in runs):
        lines += [
            "Runs marked *rehearsed* were driven by a scripted model: their trials are real, "
            "their dollars were never spent, and they say nothing about the model they stand for.",
            "",
        ]
    for task, of_task in groupby(ordered(runs), key=lambda run: run.task):
        lines += _task_section(task, list(of_task), folder)
    if figure:
        lines += ["![best val_bpb so far](convergence.png)", ""]
    lines += list(_problems(runs))
    lines += [
        "`val_bpb` measured is what the runner saw in a trial; claimed is what the agent wrote in "
        "its experiments.csv. Lower is better. Everything: `runs.csv`, `trials.csv`, "
        "`experiments.csv`.",
        "",
    ]
    write_whole(folder / "summary.md", "\n".join(lines))


def harmless(text: str) -> str:
    """Text as one cell of a Markdown table, with no markup of its own."""
    line = " ".join(text.split())
    for char, instead in (("&", "&amp;"), ("<", "&lt;"), ("|", "\\|"), ("[", "\\["), ("`", "'")):
        line = line.replace(char, instead)
    return line.encode("utf-8", "replace").decode("utf-8")


def _task_section(task: str, runs: list[Run], folder: Path) -> Iterator[str]:
    yield from (f"## {harmless(task)}", "")
    yield _table_line(HEADINGS)
    yield _table_line(["---"] * len(HEADINGS))
    yield from (_table_line(map(harmless, to_row(run, folder).cells())) for run in runs)
    yield ""
    yield from _unequal_conditions(runs)
    yield from _over_seeds(runs)
    yield from _winning_settings(runs)


def _table_line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _unequal_conditions(runs: Sequence[Run]) -> Iterator[str]:
    """A warning when runs that stand in one table had not the same seconds or budgets."""
    seconds = sorted({run.trial_seconds for run in runs if run.trial_seconds is not None})
    budgets = {tuple(sorted(run.budget.items())) for run in runs if run.budget}
    if len(seconds) > 1:
        words = ", ".join(f"{each:g}" for each in seconds)
        yield from (f"**Not comparable**: their trials trained for {words} seconds.", "")
    if len(budgets) > 1:
        yield from ("**Budgets differ** between these runs: see `budget` in `runs.csv`.", "")


def _over_seeds(runs: Sequence[Run]) -> Iterator[str]:
    """Mean and range of each contestant that ran with two seeds or more."""
    by_name = sorted(runs, key=lambda run: run.contestant)
    grouped = [(name, list(group)) for name, group in groupby(by_name, lambda run: run.contestant)]
    repeated = [(name, group) for name, group in grouped if len(group) > 1]
    if not repeated:
        return
    yield _table_line(("contestant", "seeds", "mean best val_bpb", "lowest", "highest"))
    yield _table_line(["---"] * 5)
    for name, group in repeated:
        bests = [run.best.val_bpb for run in group if run.best and run.best.val_bpb]
        figures = [statistics.fmean(bests), min(bests), max(bests)] if bests else []
        words = [f"{figure:.4f}" for figure in figures] or [NOTHING] * 3
        yield _table_line([harmless(name), f"{len(bests)} of {len(group)}", *words])
    yield ""


def _winning_settings(runs: Sequence[Run]) -> Iterator[str]:
    """What each run's best trial changed against where it started."""
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
    words = run.all_problems
    claimed = run.claims.best() if run.claims else None
    if claimed and claimed.val_bpb and run.best and run.best.val_bpb:
        better = run.best.val_bpb - claimed.val_bpb
        if better > MISMATCH_BPB:
            words.append(f"claims {better:.4f} bits per byte more than any trial of it measured")
    yield from (f"- {harmless(run.run_id)}: {harmless(word)}" for word in words)
