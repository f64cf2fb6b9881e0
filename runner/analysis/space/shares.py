"""Shares of the gain inside the space: of runs, of contestants, and in the order of a run."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from runner.analysis.report import Context, Settings
from runner.analysis.space.parts import KINDS
from runner.analysis.statistics.bootstrap import interval

LEAST_RUNS = 3  # for an interval over runs
LEAST_CHANGES = 6  # for a test of the order: 5 changes have too few orders


def by_run(context: Context, kept: pd.DataFrame) -> pd.DataFrame:
    """A row a run: how many kept changes of each kind, and the share of the gain inside.

    `inside share` divides a change of both kinds evenly among its parts; `least` and `most` give
    all of it to the outside and to the inside. NaN of a run without a gain that can be attributed.
    """
    runs = context.frames.runs[["run", "contestant", "seed", "kind"]].set_index("run")
    counts = pd.crosstab(kept["run"], kept["kind"]).reindex(columns=list(KINDS), fill_value=0)
    gains = ["gain", "gain inside", "gain outside", "gain unattributed"]
    sums = kept.groupby("run")[gains].sum()
    both = kept[kept["kind"] == "both"].groupby("run")[["gain inside", "gain outside"]].sum()
    both = both.reindex(sums.index, fill_value=0.0)
    attributed = (sums["gain inside"] + sums["gain outside"]).where(lambda gain: gain > 0)
    sums["inside share"] = sums["gain inside"] / attributed
    sums["least"] = (sums["gain inside"] - both["gain inside"]) / attributed
    sums["most"] = (sums["gain inside"] + both["gain outside"]) / attributed
    whole = runs.join(counts).join(sums).reset_index()
    filled = [*KINDS, *gains]
    whole[filled] = whole[filled].astype("float64").fillna(0.0)
    return whole.astype(dict.fromkeys(KINDS, "int64"))


def mean_share(shares: pd.Series, settings: Settings) -> tuple[float, float, float] | None:
    """Mean over runs, and the ends of its 95 % bootstrap interval; None of fewer than 3 runs."""
    known = shares.dropna().to_numpy(float)
    if len(known) < LEAST_RUNS:
        return None
    ends = interval(known, resamples=settings.resamples, seed=settings.seed)
    return None if ends is None else (float(known.mean()), ends.low, ends.high)


def order_test(kept: pd.DataFrame, settings: Settings) -> tuple[float, float, int] | None:
    """Whether changes inside come earlier: r of position and inside share within runs, p, n.

    p is two-sided, by permutation of the shares within each run. None of fewer than 6 changes, or
    where all are alike.
    """
    known = kept.dropna(subset=["inside share"])
    known = known[known["gain"] > 0]
    if len(known) < LEAST_CHANGES:
        return None
    groups = known.groupby("run")
    place = (known["position"] - groups["position"].transform("mean")).to_numpy(float)
    share = (known["inside share"] - groups["inside share"].transform("mean")).to_numpy(float)
    scale = math.sqrt(float(place @ place) * float(share @ share))
    if not scale > 1e-12:
        return None
    random = np.random.default_rng(settings.seed)
    sums = np.zeros(settings.resamples)
    for at in groups.indices.values():
        shuffled = random.permuted(np.tile(share[at], (settings.resamples, 1)), axis=1)
        sums += shuffled @ place[at]
    observed = float(place @ share)
    extreme = int((np.abs(sums) >= abs(observed) * (1 - 1e-9)).sum())
    return observed / scale, (extreme + 1) / (settings.resamples + 1), len(known)
