"""Exact permutation tests: of a correlation, of two means, and of two shares.

All orders are counted where they are few enough; else `resamples` of them are drawn, and the
order that was seen counts as one of them, so that p is never 0 (Phipson and Smyth, Statistical
Applications in Genetics and Molecular Biology 9 (2010)). Ties need no correction: the tied orders
are counted as often as they occur.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from runner.analysis.statistics.arrays import Array, finite, finite_pairs
from runner.analysis.statistics.bootstrap import RESAMPLES

MOST_ENUMERATED = 8  # 8! = 40,320 orders take milliseconds
FEWEST_PAIRS = 3  # two points always lie on a line
FEWEST_A_SIDE = 2
AS_FAR = 1e-9  # statistics this near to each other, relatively, are equal but for floating point
BATCH_NUMBERS = 2_000_000  # shuffled at a time, which bounds the memory


@dataclass(frozen=True)
class Permuted:
    """A statistic and how often a random order gives one as far.

    Attributes:
        statistic: r, or the difference; None where it does not exist.
        n: the observations.
        p_less: the share of orders whose statistic is as low; None where there is no test.
        p_greater: the share whose statistic is as high.
        p: two-sided, the share whose statistic is as far from 0.
        smallest: the least two-sided p that these observations can give, ties included; None where
            orders were drawn.
        orders: how many orders were counted.
        exact: whether these were all.
        why: why there is no test; empty where there is one.
    """

    statistic: float | None
    n: int
    p_less: float | None = None
    p_greater: float | None = None
    p: float | None = None
    smallest: float | None = None
    orders: int = 0
    exact: bool = False
    why: str = ""


def correlation(x: Any, y: Any, *, resamples: int = RESAMPLES, seed: int = 0) -> Permuted:
    """Pearson's r and its p over the orders of y: all of them up to 8 pairs, drawn ones beyond.

    Args:
        x: a number an observation.
        y: another of the same observation, in the same order.
        resamples: how many orders are drawn of more than 8 pairs.
        seed: of their random numbers.

    Raises:
        ValueError: there are more of x than of y, or the other way around.
    """
    first, second = finite_pairs(x, y)
    n = int(first.size)
    if n < FEWEST_PAIRS:
        return Permuted(None, n, why=f"{n} pairs; a correlation needs {FEWEST_PAIRS}")
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return Permuted(None, n, why=f"one side of the {n} pairs is constant")
    one, other = _unit(first), _unit(second)
    rng = np.random.default_rng(seed)
    exact = n <= MOST_ENUMERATED
    if exact:
        found = other[np.array(list(permutations(range(n))))] @ one
    else:
        found = np.concatenate([part @ one for part in shuffles(other, resamples, rng)])
    return _counted(float(one @ other), n, found, exact=exact)


def rank_correlation(x: Any, y: Any, *, resamples: int = RESAMPLES, seed: int = 0) -> Permuted:
    """Spearman's ρ, which is Pearson's r of the ranks (ties share a rank), and its p.

    Raises:
        ValueError: there are more of x than of y, or the other way around.
    """
    first, second = finite_pairs(x, y)
    return correlation(
        stats.rankdata(first), stats.rankdata(second), resamples=resamples, seed=seed
    )


def mean_difference(
    values: Any, reference: Any, *, resamples: int = RESAMPLES, seed: int = 0
) -> Permuted:
    """The mean of values minus that of a reference, unpaired, and its p over who is on which side.

    All divisions are counted if they are no more than `resamples`.

    Args:
        values: a number an observation.
        reference: a number an observation.
        resamples: how many divisions are counted at most.
        seed: of the random numbers.
    """
    one, other = finite(values), finite(reference)
    n = int(one.size + other.size)
    fewer = min(one.size, other.size)
    if fewer == 0:
        return Permuted(None, n, why="one side has no value")
    gap = float(one.mean() - other.mean())
    if fewer < FEWEST_A_SIDE:
        return Permuted(gap, n, why=f"one side has 1 value; the test needs {FEWEST_A_SIDE}")
    test = stats.permutation_test(
        (one, other), _gap, permutation_type="independent", vectorized=True,
        n_resamples=resamples, batch=max(1, BATCH_NUMBERS // n), rng=np.random.default_rng(seed),
    )  # fmt: skip
    exact = math.comb(n, int(one.size)) <= resamples
    return _counted(gap, n, test.null_distribution, exact=exact)


def share_difference(
    successes: int, tries: int, other_successes: int, other_tries: int
) -> Permuted:
    """The difference of two shares, and its exact p over who is on which side (Fisher's test).

    The orders are summed up by the hypergeometric distribution, so any n is exact. The two-sided p
    counts differences as far from 0, as in the other tests here; `scipy.stats.fisher_exact` counts
    tables that are as improbable.

    Raises:
        ValueError: there are more successes than tries, or fewer than none.
    """
    if not (0 <= successes <= tries and 0 <= other_successes <= other_tries):
        raise ValueError("a share needs 0 ≤ successes ≤ tries")
    n = tries + other_tries
    if min(tries, other_tries) == 0:
        return Permuted(None, n, why="one side has no try")
    gap = successes / tries - other_successes / other_tries
    if min(tries, other_tries) < FEWEST_A_SIDE:
        return Permuted(gap, n, why=f"one side has 1 try; the test needs {FEWEST_A_SIDE}")
    total = successes + other_successes
    mine = np.arange(max(0, total - other_tries), min(tries, total) + 1)
    chance = np.asarray(stats.hypergeom.pmf(mine, n, total, tries), dtype=np.float64)
    found = mine / tries - (total - mine) / other_tries
    return _counted(gap, n, found, exact=True, weights=chance, orders=math.comb(n, tries))


def shuffles(values: Array, orders: int, rng: np.random.Generator) -> Iterator[Array]:
    """Random orders of some values, in parts of shape [some, values] that fit into memory.

    Args:
        values: what is put in order.
        orders: how many orders in all.
        rng: the random numbers.
    """
    rows = max(1, BATCH_NUMBERS // max(1, values.size))
    for start in range(0, orders, rows):
        yield rng.permuted(np.tile(values, (min(rows, orders - start), 1)), axis=1)


def _unit(values: Array) -> Array:
    """Values with mean 0 and length 1: r is the product of two of these."""
    centred = values - values.mean()
    centred = centred / np.abs(centred).max()  # the square of a tiny number would be 0
    return np.asarray(centred / np.linalg.norm(centred))


def _gap(one: Array, other: Array, axis: int = -1) -> Array:
    return np.asarray(one.mean(axis=axis) - other.mean(axis=axis))


def _counted(
    statistic: float, n: int, found: Array, *, exact: bool, weights: Array | None = None,
    orders: int | None = None,
) -> Permuted:  # fmt: skip
    """The shares of orders that are as low, as high, and as far from 0."""
    slack = AS_FAR * max(abs(statistic), float(np.abs(found).max()))
    weights = np.ones(found.size) if weights is None else weights
    seen = 0 if exact else 1  # the order that was seen is one of all, but not one of the drawn

    def share(which: npt.NDArray[np.bool_]) -> float:
        return float(min(1.0, (weights[which].sum() + seen) / (weights.sum() + seen)))

    farthest = np.abs(found) >= np.abs(found).max() - slack
    return Permuted(
        statistic,
        n,
        p_less=share(found <= statistic + slack),
        p_greater=share(found >= statistic - slack),
        p=share(np.abs(found) >= abs(statistic) - slack),
        smallest=share(farthest) if exact else None,
        orders=orders or int(found.size),
        exact=exact,
    )
