"""The report "space": its tables, figures and findings."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from runner.analysis.report import Context, Finding, Report, Table
from runner.analysis.space import figures
from runner.analysis.space.kept import kept_changes
from runner.analysis.space.parts import CODE, Space, bound_to_space, search_space
from runner.analysis.space.shares import (
    LEAST_CHANGES,
    LEAST_RUNS,
    by_run,
    mean_share,
    order_test,
)
from runner.analysis.statistics import correction

NAME, TITLE = "space", "Inside and outside the search space"
RUNS, KEPT, PARTS = "space-runs", "space-kept-changes", "space-parts"
ALPHA = 0.05


def report(context: Context) -> Report:
    """Which share of the gain came from changes that a baseline could have made.

    Source: the study "AutoResearch vs classical tuning" (Weco): kept changes, and shares of their
    summed gain, inside and outside the space.
    """
    space = search_space(context)
    if space is None:
        text = "cannot be told: what lies inside the search space, because no task and no baseline "
        return Report(NAME, TITLE, findings=(Finding(f"{text}names it.", RUNS, 0, told=False),))
    kept = kept_changes(context, space)
    runs = by_run(context, kept)
    return Report(
        NAME,
        TITLE,
        tables=(_runs_table(runs, space), _kept_table(kept), _parts_table(kept)),
        figures=figures.drawn(context, kept, runs, explorers(context)),
        findings=tuple(_findings(context, kept, runs)),
        left_out=tuple(_left_out(context, kept)),
    )


def explorers(context: Context) -> list[str]:
    """The contestants that can leave the search space, the best first.

    A baseline is inside by its nature, unless it searches whole texts or a space of its own.
    """
    runs = context.frames.runs
    inside = set(runs.loc[bound_to_space(runs), "contestant"])
    return [name for name in context.contestants if name not in inside]


def _runs_table(runs: pd.DataFrame, space: Space) -> Table:
    return Table(
        RUNS,
        "Kept changes and their gain, inside and outside the search space, by run",
        runs,
        (
            f"The space has {len(space.knobs)} knobs: {space.source}.",
            "The gain of a kept change is by how much it is better than the best kept one before.",
            "A change with parts of both kinds is divided evenly among its parts; least and most "
            "give all of it to the outside and to the inside.",
            "An unchanged text that is better than before gained by the noise of training.",
        ),
    )


def _kept_table(kept: pd.DataFrame) -> Table:
    parts = {name: kept[name].map(", ".join) for name in ("parts inside", "parts outside")}
    shown = kept.assign(**parts)
    return Table(
        KEPT,
        "Each kept change: what it is made of, and what it gained",
        shown,
        (
            "Position is the trial's place in its run, from 0 to 1.",
            f"Parts are constants that changed, and “{CODE}”.",
            "A value beyond the range of its knob is outside.",
        ),
    )


def _parts_table(kept: pd.DataFrame) -> Table:
    """A row a contestant and part."""
    given = ["contestant", "gain", "parts inside", "parts outside"]
    rows = [
        {"contestant": name, "part": part, "where": where, "gain": gain / len(inside + outside)}
        for name, gain, inside, outside in kept[given].itertuples(index=False)
        for where, parts in (("inside", inside), ("outside", outside))
        for part in parts
    ]
    columns = ["contestant", "part", "where", "gain"]
    frame = pd.DataFrame(rows, columns=columns).astype({"gain": "float64"})
    grouped = frame.groupby(columns[:3], sort=False)["gain"]
    summed = grouped.agg(["size", "sum"]).reset_index()
    summed.columns = [*columns[:3], "kept changes", "gain"]
    return Table(
        PARTS,
        "What the kept changes were made of, and the gain of each part",
        summed.sort_values("gain", ascending=False, kind="stable", ignore_index=True),
        ("The gain of a change is divided evenly among its parts.",),
    )


def _findings(context: Context, kept: pd.DataFrame, runs: pd.DataFrame) -> Iterator[Finding]:
    names = explorers(context)
    if not names:
        text = "cannot be told: what lies outside the space; all contestants here are baselines "
        text += "that search the space that they are given."
        yield Finding(text, RUNS, 0, told=False)
        return
    for name in names:
        yield _share_found(context, name, runs[runs["contestant"] == name])
    yield from _order_found(context, kept, names)


def _share_found(context: Context, name: str, runs: pd.DataFrame) -> Finding:
    shares = runs["inside share"].dropna()
    kinds = ", ".join(f"{runs[kind].sum()} {kind}" for kind in ("inside", "outside", "both"))
    found = mean_share(shares, context.settings)
    if found:
        mean, low, high = found
        text = (
            f"{name}: {mean:.0%} of the gain came from inside the search space (mean of "
            f"{len(shares)} runs; 95 % bootstrap interval {low:.0%} to {high:.0%}). "
            f"Kept changes: {kinds}."
        )
        return Finding(text, RUNS, len(shares))
    if not len(shares):
        text = f"cannot be told: where the gain of {name} came from; no kept change gained anything"
        if runs["gain unattributed"].sum() > 0:
            text = f"cannot be told: where the gain of {name} came from; nothing says what changed"
        return Finding(f"{text}.", RUNS, 0, told=False)
    seen = " and ".join(f"{share:.0%}" for share in shares)
    text = (
        f"cannot be told: which share of its gain {name} finds inside the space in general; an "
        f"interval needs {LEAST_RUNS} runs with a gain. Here it was {seen}. Kept changes: {kinds}."
    )
    return Finding(text, RUNS, len(shares), told=False)


def _order_found(context: Context, kept: pd.DataFrame, names: list[str]) -> Iterator[Finding]:
    """Whether gains inside come before those outside, of each contestant; p by Holm's method."""
    tests = {n: order_test(kept[kept["contestant"] == n], context.settings) for n in names}
    told = {name: found for name, found in tests.items() if found}
    if not told:
        text = (
            "cannot be told: whether gains inside the space come before those outside; no "
            f"contestant has {LEAST_CHANGES} kept changes with a gain, of both kinds."
        )
        yield Finding(text, KEPT, 0, told=False)
        return
    corrected = correction.holm(p for _, p, _ in told.values())
    for (name, (r, p, n)), holm in zip(told.items(), corrected, strict=True):
        came = "earlier than" if r < 0 else "later than"
        said = (
            f"{name}: gains inside the space came {came} those outside"
            if holm < ALPHA
            else f"{name}: the order of gains inside and outside the space does not differ from "
            "chance"
        )
        text = (
            f"{said} (r = {r:+.2f} within runs, permutation p = {p:.4f}, by Holm over "
            f"{len(told)} contestants {holm:.4f})."
        )
        yield Finding(text, KEPT, n)


def _left_out(context: Context, kept: pd.DataFrame) -> Iterator[str]:
    unknown = kept[kept["kind"] == "unknown"]
    if len(unknown):
        yield (
            f"{len(unknown)} kept changes of {unknown['run'].nunique()} runs are in no share: "
            "their source says neither settings nor code."
        )
    unchanged = kept[(kept["kind"] == "unchanged") & (kept["gain"] > 0)]
    if len(unchanged):
        yield (
            f"{len(unchanged)} kept changes with a gain are in no share: nothing but comments "
            "differs from the text before, so the gain is noise."
        )
    trials = context.frames.trials
    lost = trials["is_best"].fillna(False) & ~trials["kept"].fillna(False)
    if lost.any():
        yield f"{int(lost.sum())} trials were the best so far and were not kept: they are no gain."
