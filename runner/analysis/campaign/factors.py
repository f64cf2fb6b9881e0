"""The trials of all runs in one order, and the factors by which they differ.

A factor gives each trial a level, a text: a knob's value, its range, the contestant, the agent's
own category, or the architecture, which is the levels of all structural knobs together.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from runner.analysis.report import Context

MOST_LEVELS = 12  # a number with more different values is divided into ranges
RANGES = 5  # with about as many trials each
MOST_KNOBS = 40  # an import may have hundreds of columns
LEAST_KNOWN = 0.5  # share of the trials that have a knob
ARCHITECTURE, CONTESTANT, CATEGORY = "architecture", "contestant", "category"
SETTINGS = "all settings"
# Names of knobs that shape the model, as train.py and other trainers have them.
STRUCTURAL = re.compile(
    r"(^|[_\W])(arch\w*|model|backbone|encoder|decoder|n?_?layers?|depth|width|dim|d_?model|n?_?embd"
    r"|heads?|hidden\w*|channels?|kernel\w*|activation|norm|pattern|aspect|units|blocks?|experts?)"
    r"([_\W]|$|\d)",
    re.IGNORECASE,
)
NOT_STRUCTURAL = re.compile(r"lr|rate|decay|batch|optim|warm|seed|dropout|eps|beta", re.IGNORECASE)


@dataclass(frozen=True)
class Campaign:
    """All trials of a comparison, one after another.

    Attributes:
        trials: `Frames.trials` in the order in which they ended, with `cost` (sign · value, less is
            better) and `known` (whether it is finite).
        ordered_by: how the order is known, for a reader.
        factors: name → level of each trial, in the order of `trials`; NA where it is not known.
        structural: the knobs that make up the architecture.
        legend: a row a level of the architecture: its name, and the levels of its knobs.
    """

    trials: pd.DataFrame
    ordered_by: str
    factors: Mapping[str, pd.Series]
    structural: tuple[str, ...]
    legend: pd.DataFrame

    @property
    def knobs(self) -> list[str]:
        """The factors that are knobs."""
        return [name for name in self.factors if name not in COMMON]

    @property
    def choice(self) -> str | None:
        """The factor that says what a trial tried: the first of several that has two levels."""
        for name in (ARCHITECTURE, SETTINGS, CATEGORY):
            if name in self.factors and self.factors[name].nunique() > 1:
                return name
        return None


COMMON = (ARCHITECTURE, SETTINGS, CONTESTANT, CATEGORY)


def campaign(context: Context) -> Campaign:
    """The campaign of a comparison."""
    trials, ordered_by = in_order(context)
    knobs = dict(_knob_factors(context, trials))
    structural = tuple(name for name in knobs if is_structural(name))
    factors: dict[str, pd.Series] = {}
    legend = pd.DataFrame({ARCHITECTURE: [], "trials": []})
    if structural:
        factors[ARCHITECTURE], legend = _combined({name: knobs[name] for name in structural})
    if knobs:
        factors[SETTINGS], _ = _combined(knobs)
    factors[CONTESTANT] = trials["contestant"]
    factors[CATEGORY] = trials["category"].mask(trials["category"].str.strip() == "")
    factors |= knobs
    varied = {name: levels for name, levels in factors.items() if levels.nunique() > 1}
    return Campaign(trials, ordered_by, varied, structural, legend)


def in_order(context: Context) -> tuple[pd.DataFrame, str]:
    """All trials by the time at which they ended, or by their number in their run."""
    runs = context.frames.runs.set_index("run")
    trials = context.frames.trials.copy()
    trials["cost"] = context.sign * trials["value"].where(np.isfinite(trials["value"]))
    trials["known"] = trials["cost"].notna()
    began = pd.to_datetime(runs["began_at"], utc=True, errors="coerce", format="ISO8601")
    moments = trials["run"].map(began) + pd.to_timedelta(trials["elapsed_seconds"], unit="s")
    if moments.notna().all():
        keys, ordered_by = moments, "the time at which they ended"
    else:
        keys, ordered_by = trials["trial"], "their number in their run, as not all times are known"
    order = keys.argsort(kind="stable")
    return trials.iloc[order].reset_index(drop=True), ordered_by


def is_structural(knob: str) -> bool:
    """Whether a knob's name says that it shapes the model."""
    return bool(STRUCTURAL.search(knob)) and not NOT_STRUCTURAL.search(knob)


def _knob_factors(context: Context, trials: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    """Each knob that most trials have and that takes at least two values."""
    rows = context.frames.knobs.drop_duplicates(["run", "trial", "knob"], keep="last")
    counts = rows["knob"].value_counts()
    wanted = counts[counts >= LEAST_KNOWN * len(trials)].index[:MOST_KNOBS]
    rows = rows[rows["knob"].isin(wanted)]
    if rows.empty:
        return
    places = pd.MultiIndex.from_frame(trials[["run", "trial"]])
    wide = rows.set_index(["run", "trial", "knob"])[["number", "text"]].unstack("knob")
    wide = wide.reindex(places)
    for name in sorted(wanted):
        numbers, texts = wide[("number", name)], wide[("text", name)]
        levels = _levels(numbers.reset_index(drop=True), texts.reset_index(drop=True))
        if levels.nunique() > 1:
            yield str(name), levels


def _levels(numbers: pd.Series, texts: pd.Series) -> pd.Series:
    """A knob's values as levels; many different numbers become ranges."""
    if numbers[texts.notna()].isna().any() or texts.nunique() <= MOST_LEVELS:
        return texts
    ranges = pd.qcut(numbers, RANGES, duplicates="drop", precision=3)
    return ranges.map(_range, na_action="ignore").astype("string")


def _range(interval: pd.Interval) -> str:
    return f"{interval.left:.3g} to {interval.right:.3g}"


def _combined(knobs: Mapping[str, pd.Series]) -> tuple[pd.Series, pd.DataFrame]:
    """One factor of several, whose levels are named by a digest; and what the names stand for."""
    frame = pd.DataFrame(knobs)
    groups = frame.groupby(list(knobs), sort=False, dropna=True).size()
    said = [" · ".join(map(str, at if isinstance(at, tuple) else (at,))) for at in groups.index]
    names = [hashlib.sha256(one.encode("utf-8", "replace")).hexdigest()[:8] for one in said]
    legend = groups.rename("trials").reset_index()
    legend.insert(0, ARCHITECTURE, names)
    numbers = frame.groupby(list(knobs), sort=False, dropna=True).ngroup()
    levels = numbers.map(dict(enumerate(names))).astype("string")
    return levels, legend.sort_values("trials", ascending=False, kind="stable", ignore_index=True)
