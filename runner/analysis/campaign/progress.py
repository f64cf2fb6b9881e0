"""How a campaign gets better: the shape of its best, and how often there is a new best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from runner.analysis.campaign.factors import Campaign
from runner.analysis.report import Context
from runner.analysis.statistics import correction
from runner.analysis.statistics.arrays import Array
from runner.analysis.statistics.curves import best_so_far, personal_bests
from runner.analysis.statistics.growth import (
    Growth,
    exponent_interval,
    growth,
    shuffled_r_squared,
    spaced,
)

ALL = "all trials"
POINTS = 1000  # of a curve that is fitted
SHUFFLED_POINTS = 300  # of a curve in a random order
ORDERS = 20  # random ones, whose fit is held against the campaign's own
RESAMPLES = 100  # of the interval of c
MOST = 12  # contestants with a fit of their own


@dataclass(frozen=True)
class Shape:
    """The best so far of a contestant, or of all, and the shapes laid through it.

    Attributes:
        scope: whose.
        counts: N, the trials so far.
        best: the cost of the best so far, a mean over runs where there are several.
        growth: the fits.
        shuffled: the mean R² of the power law where the same values come in random orders; None
            where it was not asked for.
        c_low: the lower end of the 95 % interval of the power law's exponent.
        c_high: its upper end.
    """

    scope: str
    counts: Array
    best: Array
    growth: Growth
    shuffled: float | None = None
    c_low: float = np.nan
    c_high: float = np.nan


def shapes(context: Context, campaign: Campaign) -> list[Shape]:
    """The shape of the whole campaign first, then those of the best contestants."""
    cost = campaign.trials["cost"].to_numpy(float)
    seed = context.settings.seed
    counts, best = _from_first(best_so_far(cost))
    some = spaced(len(counts), POINTS)
    ends = exponent_interval(counts[some], best[some], resamples=RESAMPLES, seed=seed)
    whole = Shape(
        ALL, counts, best, growth(counts[some], best[some]),
        shuffled_r_squared(cost, orders=ORDERS, points=SHUFFLED_POINTS, seed=seed),
        ends.low if ends else np.nan, ends.high if ends else np.nan,
    )  # fmt: skip
    names = context.contestants[:MOST] if len(context.contestants) > 1 else []
    return [whole, *(_of_contestant(campaign, name) for name in names)]


def _of_contestant(campaign: Campaign, name: str) -> Shape:
    """The mean best so far of a contestant's runs, as far as the shortest of them goes."""
    own = campaign.trials[campaign.trials["contestant"] == name].sort_values("trial", kind="stable")
    curves = [best_so_far(run["cost"].to_numpy(float)) for _, run in own.groupby("run")]
    curves = [curve for curve in curves if np.isfinite(curve).any()]
    if not curves:
        return Shape(name, np.zeros(0), np.zeros(0), growth([], []))
    length = min(map(len, curves))
    mean: Array = np.mean([curve[:length] for curve in curves], axis=0)
    counts, best = _from_first(mean)
    some = spaced(len(counts), POINTS)
    return Shape(name, counts, best, growth(counts[some], best[some]))


def _from_first(best: Array) -> tuple[Array, Array]:
    """N and the best so far, from the first value on."""
    known = np.flatnonzero(np.isfinite(best))
    return known + np.float64(1), best[known]


def shapes_table(found: list[Shape]) -> pd.DataFrame:
    """A row a scope and shape."""
    rows = [
        {
            "whose": one.scope, "shape": fit.shape, "formula": fit.formula, "n": fit.n,
            "a": fit.parameters["a"], "b": fit.parameters["b"], "c": fit.parameters.get("c"),
            "at a bound": ", ".join(fit.at_bounds), "R²": fit.r_squared, "AIC": fit.aic,
            "BIC": fit.bic, "why not": "",
        }
        for one in found for fit in one.growth.fits
    ]  # fmt: skip
    rows += [
        {"whose": one.scope, "n": one.growth.n, "why not": one.growth.why}
        for one in found
        if one.growth.why
    ]
    columns = ["whose", "shape", "formula", "n", "a", "b", "c", "at a bound", "R²", "AIC", "BIC"]
    return pd.DataFrame(rows, columns=[*columns, "why not"])


def innovation(context: Context, campaign: Campaign) -> pd.DataFrame:
    """A row a contestant: its new bests, and those that a random order of its values would have.

    In a random order without ties, the i-th value of a run is a new best with probability 1/i,
    independently of the others. So their number has a Poisson binomial distribution, and p is its
    upper tail. Ties make new bests rarer, and p larger.

    Source: Rényi (1962) for the probabilities; the campaign study for the innovation rate.
    """
    rows = [_innovation_of(campaign, name) for name in context.contestants]
    columns = ["contestant", "runs", "trials", "values", "new bests", "expected in random order"]
    columns += ["innovation rate", "p", "p by Holm", "training hours a new best"]
    frame = pd.DataFrame(rows, columns=columns)
    known = frame["p"].notna()
    frame["p by Holm"] = frame["p by Holm"].astype("float64")
    if known.any():
        frame.loc[known, "p by Holm"] = correction.holm(frame.loc[known, "p"])
    return frame


def _innovation_of(campaign: Campaign, name: str) -> dict[str, object]:
    own = campaign.trials[campaign.trials["contestant"] == name].sort_values("trial", kind="stable")
    bests, chances = 0, [np.zeros(0)]
    for _, run in own[own["known"]].groupby("run"):
        bests += int(personal_bests(run["cost"].to_numpy(float)).sum()) - 1
        chances.append(1 / np.arange(2, len(run) + 1))
    chance = np.concatenate(chances)
    hours = float(own["train_seconds"].sum()) / 3600
    return {
        "contestant": name, "runs": own["run"].nunique(), "trials": len(own),
        "values": int(own["known"].sum()), "new bests": bests,
        "expected in random order": float(chance.sum()),
        "innovation rate": bests / len(own) if len(own) else np.nan,
        "p": float(stats.poisson_binom(chance).sf(bests - 1)) if len(chance) > 1 else np.nan,
        "training hours a new best": hours / bests if bests and hours else np.nan,
    }  # fmt: skip


def records_over_time(campaign: Campaign, name: str) -> tuple[Array, Array]:
    """The number of new bests after each value of a contestant's runs, as a mean, and N."""
    own = campaign.trials[(campaign.trials["contestant"] == name) & campaign.trials["known"]]
    curves = [
        np.cumsum(personal_bests(run.sort_values("trial")["cost"].to_numpy(float))) - 1
        for _, run in own.groupby("run")
    ]
    if not curves:
        return np.zeros(0), np.zeros(0)
    length = min(map(len, curves))
    return np.arange(1.0, length + 1), np.mean([curve[:length] for curve in curves], axis=0)
