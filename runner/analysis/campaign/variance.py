"""How much of the variance of the values each factor explains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from runner.analysis.campaign.factors import ARCHITECTURE, COMMON, SETTINGS, Campaign
from runner.analysis.report import Settings
from runner.analysis.statistics import correction
from runner.analysis.statistics.variance import Anova, anova, balanced, share_interval

SHUFFLED = 5_000_000  # numbers a factor: 10,000 orders of 500 trials, fewer of more trials
LEAST_ORDERS = 999  # so that p can be .001; the architecture has all that were asked for
CELLS = 12  # levels of a heatmap on each side


@dataclass(frozen=True)
class Explained:
    """A factor and its analysis of variance.

    Attributes:
        factor: its name.
        anova: over all its groups of ten trials or more.
        even: the same of a subsample with as many trials of each group; None where there is none.
        low: of the 95 % bootstrap interval of the share.
        high: of the same.
    """

    factor: str
    anova: Anova
    even: Anova | None
    low: float
    high: float


def explained(campaign: Campaign, settings: Settings) -> list[Explained]:
    """The analysis of variance of each factor; the most explaining one by ω² first."""
    found = [_of(campaign, name, settings) for name in campaign.factors if name != SETTINGS]
    return sorted(found, key=lambda one: -_or(one.anova.omega_squared, -np.inf))


def _of(campaign: Campaign, name: str, settings: Settings) -> Explained:
    levels = campaign.factors[name]
    used = campaign.trials["known"] & levels.notna()
    values, groups = campaign.trials.loc[used, "cost"].to_numpy(float), list(levels[used])
    orders = settings.resamples
    if name != ARCHITECTURE:
        orders = min(orders, max(LEAST_ORDERS, SHUFFLED // max(1, len(values))))
    found = anova(values, groups, resamples=orders, seed=settings.seed)
    if found.eta_squared is None:
        return Explained(name, found, None, np.nan, np.nan)
    even = anova(*balanced(values, groups, seed=settings.seed), resamples=0)
    ends = share_interval(values, groups, seed=settings.seed)
    low, high = (ends.low, ends.high) if ends else (np.nan, np.nan)
    return Explained(name, found, even, low, high)


def table(found: list[Explained]) -> pd.DataFrame:
    """A row a factor; p by Holm's method over all of them."""
    rows = [
        {
            "factor": one.factor, "groups": one.anova.groups, "n": one.anova.n,
            "groups left out": len(one.anova.left_out), "F": one.anova.f,
            "df between": one.anova.df_between, "df within": one.anova.df_within,
            "η²": one.anova.eta_squared, "ω²": one.anova.omega_squared,
            "share, low": one.low, "share, high": one.high,
            "permutation p": one.anova.permutation_p,
            "even groups: n": one.even.n if one.even else None,
            "even groups: η²": one.even.eta_squared if one.even else None,
            "even groups: ω²": one.even.omega_squared if one.even else None,
            "why not": one.anova.why,
        }
        for one in found
    ]  # fmt: skip
    columns = [
        *("factor", "groups", "n", "groups left out", "F", "df between", "df within"),
        *("η²", "ω²", "share, low", "share, high", "permutation p", "even groups: n"),
        *("even groups: η²", "even groups: ω²", "why not"),
    ]
    frame = pd.DataFrame(rows, columns=columns)
    ps = frame["permutation p"].astype("float64")
    holm = pd.Series(np.nan, index=frame.index)
    if ps.notna().any():
        holm[ps.notna()] = correction.holm(ps.dropna())
    frame.insert(list(frame).index("permutation p") + 1, "p by Holm", holm)
    return frame


def two_factors(found: list[Explained]) -> tuple[str, str] | None:
    """The two knobs that explain most, as the sides of a heatmap; None of fewer than two."""
    names = [one.factor for one in found if one.factor not in COMMON]
    return (names[0], names[1]) if len(names) > 1 else None


def grid(campaign: Campaign, rows: str, columns: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mean cost and number of values at each pair of levels; the most used levels of each."""
    known = campaign.trials["known"]
    frame = pd.DataFrame(
        {"row": campaign.factors[rows], "column": campaign.factors[columns],
         "cost": campaign.trials["cost"]}
    )[known].dropna()  # fmt: skip
    for side in ("row", "column"):
        most = frame[side].value_counts().index[:CELLS]
        frame = frame[frame[side].isin(most)]
    cells = frame.groupby(["row", "column"])["cost"]
    mean, count = cells.mean().unstack(), cells.size().unstack(fill_value=0)
    order = {
        "index": sorted(mean.index, key=_natural),
        "columns": sorted(mean.columns, key=_natural),
    }
    return mean.reindex(**order), count.reindex(**order)


def _natural(level: str) -> tuple[float, str]:
    """Numbers by their size, then texts by the alphabet."""
    try:
        return float(level.split(" to ")[0]), level
    except ValueError:
        return np.inf, level


def _or(value: float | None, other: float) -> float:
    return other if value is None else value
