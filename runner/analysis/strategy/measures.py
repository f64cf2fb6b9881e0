"""How a run searched, in numbers: by what it tried, and by what it did after a failure.

Each measure is of one run. A contestant's is the mean over its runs, so that one with more runs has
no more of it. Source: the five-agent study, which gives results and no formulas; the formulas are
ours. docs/analysis/strategy.md has each of them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
import pandas as pd

from runner.analysis.statistics.information import entropy_bits, kappa
from runner.analysis.strategy.categories import OTHER, rules

WINDOW = 20  # ours: experiments of the rolling success
FEWEST_AGREED = 10  # ours: labels that a κ takes at least
FEWEST_IN_A_THIRD = 3  # ours: experiments in a third of a run of which a share is said
PER_RUN = {
    "experiments": "int64", "kept": "int64", "success": "float64", "labelled": "int64",
    "breadth": "float64", "entropy_bits": "float64", "after_failure": "int64",
    "pivots": "int64", "pivot_rate": "float64", "pivot_expected": "float64",
    "persistence": "float64", "known": "int64", "repeats": "int64", "repeat_rate": "float64",
    "failures": "int64", "dry_median": "float64", "plateau": "float64", "step": "float64",
    "gain": "float64", "small_early": "float64", "small_late": "float64",
    "small_more": "float64", "kappa": "float64", "agreed": "int64",
}  # fmt: skip


@dataclass(frozen=True)
class Agreement:
    """How the contestants' own labels compare to those of the rules.

    Attributes:
        kappa: Cohen's κ of the first labels; NaN where it cannot be told.
        n: experiments with both labels.
        share: of them whose own label is among those of the rules; NaN without one.
    """

    kappa: float
    n: int
    share: float


def per_run(experiments: pd.DataFrame) -> pd.DataFrame:
    """A row a run with `run`, `contestant`, `kind` and the columns of `PER_RUN`.

    Args:
        experiments: as `experiments.experiments` gives them.
    """
    rows = [
        {"run": run, "contestant": own["contestant"].iloc[0], "kind": own["kind"].iloc[0]}
        | _of_run(own)
        for run, own in experiments.groupby("run", sort=False)
    ]
    names = {"run": "string", "contestant": "string", "kind": "string", **PER_RUN}
    return pd.DataFrame(rows, columns=list(names)).astype(names)


def per_contestant(runs: pd.DataFrame, best: pd.Series) -> pd.DataFrame:
    """The mean over each contestant's runs, with `runs` and `best` beside it; index: contestant.

    Counts are sums, and `success` and `repeat_rate` are of all experiments together.

    Args:
        runs: as `per_run` gives them.
        best: run → its best value.
    """
    counts = [name for name, dtype in PER_RUN.items() if dtype == "int64"]
    means = [name for name, dtype in PER_RUN.items() if dtype == "float64"]
    grouped = runs.assign(best=runs["run"].map(best).astype("float64")).groupby("contestant")
    found = grouped[[*means, "best"]].mean().join(grouped[counts].sum())
    found.insert(0, "runs", grouped.size())
    found["success"] = found["kept"] / found["experiments"]
    found["repeat_rate"] = found["repeats"] / found["known"].where(found["known"] > 0)
    found["kind"] = grouped["kind"].first()
    return found


def shares(experiments: pd.DataFrame) -> pd.DataFrame:
    """Contestant × label → number of experiments with that first label, "other" last."""
    labelled = experiments[experiments["primary"] != ""]
    counted = pd.crosstab(labelled["contestant"], labelled["primary"])
    return counted.reindex(columns=[*rules().labels, OTHER], fill_value=0)


def rolling_success(kept: Sequence[bool], window: int = WINDOW) -> np.ndarray:
    """The share kept of the last `window` experiments; NaN before there are so many."""
    return np.asarray(pd.Series(list(kept), dtype="float64").rolling(window).mean())


def dry_streaks(kept: Sequence[bool]) -> list[int]:
    """The lengths of the runs of experiments of which none was kept, in their order."""
    return [len(list(group)) for was_kept, group in groupby(kept) if not was_kept]


def agreement(experiments: pd.DataFrame) -> Agreement:
    """How often own and our labels are the same, of experiments that have both.

    An own "other" is left out: a run's protocol also writes it where it did not know the word.
    """
    pairs = zip(experiments["own"].tolist(), experiments["labels"].tolist(), strict=True)
    both = [(own, labels) for own, labels in pairs if own and labels and labels[0] != OTHER]
    n = len(both)
    if not n:
        return Agreement(math.nan, 0, math.nan)
    share = sum(own in labels for own, labels in both) / n
    ours, theirs = [labels[0] for _, labels in both], [own for own, _ in both]
    found = kappa(ours, theirs) if n >= FEWEST_AGREED else None
    return Agreement(_or_nan(found), n, share)


def thirds(experiments: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The first and the last third of a run's experiments of which the size is known."""
    known = experiments[experiments["read_from"] != ""]
    third = len(known) // 3
    return known.iloc[:third], known.iloc[len(known) - third :]


def after_failure(experiments: pd.DataFrame) -> pd.DataFrame:
    """Experiments of one run that follow one that was not kept, both with a label.

    The column `pivot` tells whether the label is another one than before.
    """
    labels, kept = experiments["primary"].tolist(), experiments["kept"].tolist()
    places = [
        at for at in range(1, len(labels)) if labels[at] and labels[at - 1] and not kept[at - 1]
    ]
    pivots = [labels[at] != labels[at - 1] for at in places]
    return experiments.iloc[places].assign(pivot=pivots)


def _of_run(own: pd.DataFrame) -> dict[str, float]:
    """The measures of one run."""
    kept, repeats = own["kept"].tolist(), own["repeat"].tolist()
    labels = [one for one in own["labels"].tolist() if one]
    first = [one[0] for one in labels]
    counts = list(Counter(first).values())
    known, streaks = sum(1 for key in own["key"].tolist() if key), dry_streaks(kept)
    pivots = after_failure(own)["pivot"].tolist()
    early, late = (_share(part["small"].tolist()) for part in thirds(own))
    agreed = agreement(own)
    return {
        "experiments": len(own), "kept": sum(kept), "success": sum(kept) / len(own),
        "labelled": len(labels), "breadth": _breadth(labels),
        "entropy_bits": _or_nan(entropy_bits(counts)), "after_failure": len(pivots),
        "pivots": sum(pivots), "pivot_rate": sum(pivots) / len(pivots) if pivots else math.nan,
        "pivot_expected": _expected(counts), "persistence": _persistence(first),
        "known": known, "repeats": sum(repeats),
        "repeat_rate": sum(repeats) / known if known else math.nan,
        "failures": sum(own["failed"].tolist()),
        "dry_median": float(np.median(streaks)) if streaks else 0.0,
        "plateau": float(max(streaks, default=0)), "step": _median(own["step"]),
        "gain": _median(own["gain"]), "small_early": early, "small_late": late,
        "small_more": late - early, "kappa": agreed.kappa, "agreed": agreed.n,
    }  # fmt: skip


def _breadth(labels: Sequence[tuple[str, ...]]) -> float:
    """In how many categories there was an experiment, by all labels; "other" is none."""
    return float(len({one for each in labels for one in each} - {OTHER})) if labels else math.nan


def _expected(counts: Sequence[int]) -> float:
    """How often the next label were another one in a random order: 1 − Σ n(n−1) / N(N−1)."""
    total = sum(counts)
    if total < 2:
        return math.nan
    return 1 - sum(count * (count - 1) for count in counts) / (total * (total - 1))


def _persistence(first: Sequence[str]) -> float:
    """The mean number of experiments in a row with the same first label."""
    if not first:
        return math.nan
    return len(first) / (1 + sum(one != other for one, other in pairwise(first)))


def _median(values: pd.Series) -> float:
    """The median of the finite ones."""
    known = values.to_numpy()[np.isfinite(values.to_numpy())]
    return float(np.median(known)) if len(known) else math.nan


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if len(flags) >= FEWEST_IN_A_THIRD else math.nan
