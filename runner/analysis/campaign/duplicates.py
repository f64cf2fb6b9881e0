"""Trials that repeat an earlier one, and what their values tell of the noise of training."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from runner.analysis.campaign.factors import Campaign
from runner.analysis.report import Context

LEVEL = 0.95


@dataclass(frozen=True)
class Noise:
    """The spread of values of equal texts or settings.

    Attributes:
        sd: the pooled standard deviation, in the metric's unit.
        low: the lower end of its 95 % interval, by χ² under normal values.
        high: its upper end.
        degrees: of freedom: values less groups.
        n: how many values.
    """

    sd: float
    low: float
    high: float
    degrees: int
    n: int


def keys(context: Context, campaign: Campaign) -> pd.Series:
    """What makes two trials equal: the digest of the text, else all settings; NA where unknown."""
    trials = campaign.trials
    digests = trials["sha256"].mask(trials["sha256"] == "")
    if digests.notna().all():
        return digests
    said: dict[tuple[str, int], list[tuple[str, str]]] = {}
    for run, trial, name, _, text in context.frames.knobs.itertuples(index=False):
        said.setdefault((run, trial), []).append((name, text))
    settings = [
        _digest(said.get((run, trial)))
        for run, trial in zip(trials["run"], trials["trial"], strict=True)
    ]
    return digests.fillna(pd.Series(settings, index=trials.index, dtype="string"))


def _digest(settings: list[tuple[str, str]] | None) -> str | None:
    if not settings:
        return None
    body = json.dumps(sorted(settings)).encode("utf-8", "replace")
    return hashlib.sha256(body).hexdigest()


def table(context: Context, campaign: Campaign, same: pd.Series) -> pd.DataFrame:
    """A row a contestant: how many of its trials repeat one of the same run, or of another run."""
    frame = pd.DataFrame(
        {"contestant": campaign.trials["contestant"], "run": campaign.trials["run"], "key": same}
    )
    frame["known"] = frame["key"].notna()
    frame["within"] = frame["known"] & frame.duplicated(["run", "key"])
    runs = frame.groupby("key")["run"].transform("nunique")
    frame["across"] = frame["known"] & (runs.fillna(0) > 1)
    sums = frame.groupby("contestant")[["known", "within", "across"]].sum().astype("int64")
    sums = sums.reindex(context.contestants).reset_index()
    sums["share"] = sums["within"] / sums["known"].where(sums["known"] > 0)
    sums.columns = [
        *("contestant", "known trials", "repeats within a run", "also in another run"),
        "share repeated",
    ]
    return sums


def noise(campaign: Campaign, same: pd.Series) -> Noise | None:
    """The pooled spread of equal trials that have a value; None without two that are equal.

    s² = Σ (nᵢ − 1)·sᵢ² / Σ (nᵢ − 1), over the groups of equal trials; the interval is
    s·√(ν/χ²) at the quantiles of χ² with ν degrees of freedom.
    """
    groups = campaign.trials.loc[campaign.trials["known"], "value"].groupby(same)
    found = groups.agg(["size", "var"])
    found = found[found["size"] > 1]
    degrees = int((found["size"] - 1).sum())
    if not degrees:
        return None
    squares = float(((found["size"] - 1) * found["var"]).sum())
    ends = stats.chi2.ppf([(1 + LEVEL) / 2, (1 - LEVEL) / 2], degrees)
    low, high = np.sqrt(squares / ends)
    sd = float(np.sqrt(squares / degrees))
    return Noise(sd, float(low), float(high), degrees, int(found["size"].sum()))
