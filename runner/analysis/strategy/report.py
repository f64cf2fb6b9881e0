"""The report on strategy: what kinds of changes contestants try, and what goes with success.

Source: the five-agent study (819 experiments). docs/analysis/strategy.md has the formulas.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from runner.analysis.report import Context, Figure, Finding, Report, Table
from runner.analysis.strategy import figures, hypotheses, measures, timelines
from runner.analysis.strategy.categories import OTHER, rules
from runner.analysis.strategy.drawing import Searches
from runner.analysis.strategy.experiments import experiments
from runner.analysis.strategy.hypotheses import Hypothesis

MOST_DISCOVERIES = 30  # rows of the table
TINY = 1e-4  # a smallest p under this limits no verdict, so that no sentence has it
# Column of `per_contestant`, and what people read.
MEASURES = {
    "runs": "runs", "experiments": "experiments", "kept": "kept", "success": "share kept",
    "best": "best value", "breadth": "breadth", "entropy_bits": "entropy, bits",
    "pivot_rate": "pivot rate after a failure", "pivot_expected": "pivot rate in random order",
    "persistence": "experiments in a row in one category", "repeats": "repeats",
    "repeat_rate": "share of repeats", "dry_median": "median dry streak",
    "plateau": "longest dry streak", "step": "median step, |ln(new/old)|",
    "gain": "median gain of a new best", "small_early": "small steps, first third",
    "small_late": "small steps, last third",
}  # fmt: skip


def report(context: Context) -> Report:
    """What kinds of changes the contestants of a comparison tried, and H1 to H7.

    Args:
        context: the runs whose values compare.
    """
    rows = experiments(context.frames, context.sign)
    if rows.empty:
        why = "cannot be told: no run has an experiment, which is a trial after its baseline"
        return Report("strategy", "Strategy", findings=(Finding(why, "strategy", 0, told=False),))
    runs = measures.per_run(rows)
    best = context.frames.runs.set_index("run")["best"]
    searches = Searches(context, rows, runs, measures.per_contestant(runs, best))
    tests = hypotheses.tested(
        rows, runs, searches.contestants, context.sign, context.noise_sd, context.settings
    )
    return Report(
        "strategy",
        "Strategy",
        tuple(_tables(searches, tests)),
        tuple(_figures(searches, tests)),
        tuple(_findings(searches, tests)),
        tuple(_left_out(searches)),
    )


def _tables(searches: Searches, tests: list[Hypothesis]) -> Iterator[Table]:
    ordered = searches.contestants.loc[searches.all_names]
    shown = ordered[list(MEASURES)].rename(columns=MEASURES)
    yield Table(
        "strategy-measures", "How each contestant searched", _indexed(shown),
        ("Measures of a run are averaged over a contestant's runs; counts are sums.",
         "A repeat is a change that its run tried before; a small step changes numbers alone, "
         "none by more than a quarter."),
    )  # fmt: skip
    counted = measures.shares(searches.experiments).reindex(searches.all_names, fill_value=0)
    yield Table(
        "strategy-categories", "Experiments by category", _indexed(counted),
        (f"By the first label, rules of version {rules().version}; "
         f'"{OTHER}" is a change that no rule knows.',),
    )  # fmt: skip
    yield Table(
        "strategy-hypotheses", "H1 to H7", pd.DataFrame([_row(one) for one in tests]),
        ("p is two-sided, but for H7, which is one-sided; p (Holm) is corrected for the tests here "
         "that can reach .05.",
         "Smallest p is the least that so many observations can give; empty where orders were "
         "drawn at random.",
         "Tests with experiments as observations tell of these runs alone: experiments of a run "
         "follow each other."),
    )  # fmt: skip
    yield _discoveries(searches)
    yield _agreement(searches)


def _figures(searches: Searches, tests: list[Hypothesis]) -> Iterator[Figure]:
    yield figures.convergence(searches)
    yield figures.breadth(searches, tests[0])
    yield figures.categories(searches)
    yield timelines.category_timeline(searches)
    yield timelines.rolling_success(searches)
    yield timelines.improvement_timeline(searches)
    yield timelines.dry_streaks(searches)
    yield figures.dashboard(searches)


def _findings(searches: Searches, tests: list[Hypothesis]) -> Iterator[Finding]:
    for one in tests:
        yield Finding(_sentence(one), "strategy-hypotheses", one.n, one.told)
    for name in searches.names:
        row = searches.contestants.loc[name]
        kept, n = int(row["kept"]), int(row["experiments"])
        low, high = proportion_confint(kept, n, method="wilson")
        yield Finding(
            f"{name} kept {kept} of {n} experiments: {kept / n:.1%} "
            f"(95 % interval {low:.1%} to {high:.1%}).",
            "strategy-measures", n,
        )  # fmt: skip
    agreed = measures.agreement(searches.experiments)
    if pd.isna(agreed.kappa):
        yield Finding(
            "How far the contestants' own categories and ours agree cannot be told: "
            f"{agreed.n} experiments have both, and {measures.FEWEST_AGREED} with two categories "
            "are needed.", "strategy-agreement", agreed.n, told=False,
        )  # fmt: skip
        return
    low, high = proportion_confint(round(agreed.share * agreed.n), agreed.n, method="wilson")
    yield Finding(
        f"The contestants' own categories and ours agree with κ = {agreed.kappa:.2f}; the own one "
        f"is among ours in {agreed.share:.1%} of {agreed.n} experiments "
        f"(95 % interval {low:.1%} to {high:.1%}).", "strategy-agreement", agreed.n,
    )  # fmt: skip


def _sentence(one: Hypothesis) -> str:
    """What a test says, with its numbers."""
    claim = f"{one.name}, {one.claim}: {one.verdict}"
    if one.effect is None:
        return f"{claim}."
    numbers = f"{one.effect_name} = {one.effect:.3g}, n = {one.n} {one.of}"
    if one.p is not None:
        numbers += f", p = {one.p:.3g}"
    if one.holm is not None:
        numbers += f", by Holm {one.holm:.3g}"
    if one.smallest is not None and one.smallest > TINY:
        numbers += f", smallest p {one.smallest:.2g}"
    return f"{claim} ({numbers})."


def _row(one: Hypothesis) -> dict[str, Any]:
    return {
        "hypothesis": one.name, "claim": one.claim, "effect": one.effect_name,
        "size": one.effect, "p": one.p, "p (Holm)": one.holm, "n": one.n, "of": one.of,
        "smallest p": one.smallest, "verdict": one.verdict,
    }  # fmt: skip


def _discoveries(searches: Searches) -> Table:
    """The experiments with the largest gains among the discoveries."""
    noise = searches.context.noise_sd
    found = searches.experiments[hypotheses.discoveries(searches.experiments, noise)]
    order = (-found["gain"]).argsort(kind="stable")
    found = found.iloc[order].head(MOST_DISCOVERIES)
    rule = (
        f"at least {hypotheses.NOISES:.2f} standard deviations ({noise:.3g}) of a training"
        if noise
        else "at least a tenth of all that its run gained; the noise of the task is not known"
    )
    rows = found[["contestant", "run", "trial", "value", "gain"]].assign(
        categories=[", ".join(labels) for labels in found["labels"]]
    )
    return Table(
        "strategy-discoveries", "Discoveries", rows.reset_index(drop=True),
        (f"A discovery is a new best that gained {rule}.",
         f"At most the {MOST_DISCOVERIES} largest are shown."),
    )  # fmt: skip


def _agreement(searches: Searches) -> Table:
    """Own labels against ours, by contestant."""
    rows = []
    for name in searches.all_names:
        own = searches.experiments[searches.experiments["contestant"] == name]
        found = measures.agreement(own)
        rows.append(
            {"contestant": name, "experiments with both labels": found.n, "κ": found.kappa,
             "own label among ours": found.share}
        )  # fmt: skip
    return Table(
        "strategy-agreement", "Own categories against ours", pd.DataFrame(rows),
        (f"κ is Cohen's, of first labels, where at least {measures.FEWEST_AGREED} experiments have "
         "both.", f'An own "{OTHER}" is left out.'),
    )  # fmt: skip


def _left_out(searches: Searches) -> Iterator[str]:
    rows = searches.experiments
    runs = searches.context.frames.runs
    without = sorted(set(runs["run"]) - set(rows["run"]))
    if without:
        yield f"{len(without)} runs have no experiment: {', '.join(without[:10])}."
    unknown, other = int((rows["primary"] == "").sum()), int((rows["primary"] == OTHER).sum())
    if unknown:
        yield f"Of {unknown} of {len(rows)} experiments nothing tells what was changed."
    if other:
        yield f"{other} of {len(rows)} experiments have no category: no rule knows their change."
    baselines = sorted(set(rows.loc[rows["kind"] == "baseline", "contestant"]))
    if baselines:
        yield (
            "Baselines are not in the tests of H1 to H7, because a sampler sets all constants at "
            f"once: {', '.join(baselines[:10])}."
        )


def _indexed(table: pd.DataFrame) -> pd.DataFrame:
    """The index as a first column "contestant"."""
    plain = table.rename_axis(index="contestant", columns=None).reset_index()
    return plain.assign(contestant=plain["contestant"].astype(str))
