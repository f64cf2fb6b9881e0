"""Which knobs the values depend on: fANOVA, by Optuna's evaluator on a study rebuilt from a table.

Source: Hutter, Hoos and Leyton-Brown, An Efficient Approach for Assessing Hyperparameter
Importance, ICML 2014. A random forest is fitted to the values, and the variance of its prediction
over the unit cube is divided among the knobs. The shares are as good as the forest: its R² on
trials that it did not see stands beside them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import create_trial
from pandas.api.types import is_numeric_dtype
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_predict

from runner.analysis.knobs.cube import Cube

FEWEST = 20  # values; ours: a forest of fewer fits anything
MOST = 400  # values; of more, this many are drawn: the time grows with their square
TREES, DEPTH = 24, 8  # Optuna's 64 and 64 give nearly the same shares in seven times the time
FOLDS = 5


@dataclass(frozen=True)
class Importance:
    """What share of the variance of the values each knob accounts for by itself.

    Attributes:
        shares: a row a knob, the largest first: `knob`, `share`, `low`, `high`. The share is of all
            trials; low and high are the least and the most of bootstrap samples, NaN without.
        n: of how many trials.
        r_squared: of a forest on trials that it did not see, in five folds; None if not told.
        why: why there are no shares; empty where there are.
    """

    shares: pd.DataFrame
    n: int
    r_squared: float | None = None
    why: str = ""


def importance(found: Cube, rows: pd.Index, samples: int = 0, seed: int = 0) -> Importance:
    """The importance of all knobs for the values of some trials.

    Args:
        found: the knobs.
        rows: which rows of `found.points`; those without a value or without a knob do not count.
        samples: how many bootstrap samples of the trials are looked at too.
        seed: of the forests and of the samples.
    """
    knobs = pd.concat(
        [found.unit(), found.values[[one.name for one in found.dimensions if one.choices]]], axis=1
    )
    values = found.points["value"].astype("float64")
    whole = knobs.loc[rows].dropna().index.intersection(values.dropna().index)
    n, empty = len(whole), pd.DataFrame(columns=["knob", "share", "low", "high"])
    if knobs.shape[1] < 2:
        return Importance(empty, n, why="fewer than two knobs vary")
    if n < FEWEST:
        return Importance(empty, n, why=f"{n} trials have a value and all knobs; {FEWEST} needed")
    if values.loc[whole].nunique() < 2:
        return Importance(empty, n, why="all values are equal")
    rng = np.random.default_rng(seed)
    if n > MOST:
        whole = whole[np.sort(rng.choice(n, MOST, replace=False))]
        n = MOST
    knobs, values = knobs.loc[whole], values.loc[whole]
    names = list(knobs.columns)
    distributions = {name: _distribution(knobs[name]) for name in names}
    share = _shares(knobs, values, distributions, seed)
    if not share:
        return Importance(empty, n, why="the forest predicts the same value everywhere")
    seen = [[np.nan] * len(names)]
    for number in range(samples):
        drawn = rng.integers(0, len(whole), len(whole))
        sample = _shares(knobs.iloc[drawn], values.iloc[drawn], distributions, seed + number)
        seen.append([sample.get(name, 0.0) for name in names])
    table = pd.DataFrame(
        {
            "knob": names,
            "share": [share.get(name, 0.0) for name in names],
            "low": pd.DataFrame(seen).min().to_numpy(),
            "high": pd.DataFrame(seen).max().to_numpy(),
        }
    ).sort_values(["share", "knob"], ascending=[False, True], kind="stable")
    r_squared = _r_squared(knobs, values, seed)
    return Importance(table.reset_index(drop=True), n, r_squared)


def _distribution(column: pd.Series) -> BaseDistribution:
    if not is_numeric_dtype(column):
        return CategoricalDistribution(sorted(map(str, column.unique())))
    return FloatDistribution(min(0.0, float(column.min())), max(1.0, float(column.max())))


def _shares(
    knobs: pd.DataFrame, values: pd.Series, distributions: dict[str, BaseDistribution], seed: int
) -> dict[str, float]:
    """The share of each knob; empty if the forest sees no variance."""
    with _quiet():
        study = optuna.create_study()
    study.add_trials(
        [
            create_trial(params=params, distributions=distributions, value=float(value))
            for params, value in zip(knobs.to_dict("records"), values, strict=True)
        ]
    )
    evaluator = FanovaImportanceEvaluator(n_trees=TREES, max_depth=DEPTH, seed=seed)
    try:
        return dict(evaluator.evaluate(study))
    except RuntimeError:  # "zero total variance in all trees": a sample of equal values
        return {}


def _r_squared(knobs: pd.DataFrame, values: pd.Series, seed: int) -> float:
    """R² of predictions for trials that the forest did not see."""
    coded = pd.get_dummies(knobs, dtype=float).to_numpy()
    forest = RandomForestRegressor(TREES, random_state=seed)
    order = np.random.default_rng(seed).permutation(len(values))
    seen = values.to_numpy()[order]
    return float(r2_score(seen, cross_val_predict(forest, coded[order], seen, cv=FOLDS)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna says nothing of a study that is made in memory."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
