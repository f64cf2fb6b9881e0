"""Exact tests of counts: two shares within runs, and a table of contestants.

In both the sums of rows and columns are as they were seen, and every order of the experiments is as
likely as any other. Experiments of a run follow each other and are not independent, so that the
tests tell of these runs, not of a contestant's next one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

Counts = npt.NDArray[np.int64]
AS_FAR = 1e-9  # outcomes this near to each other are equal but for floating point


@dataclass(frozen=True)
class Tested:
    """An effect and how often chance alone gives one as large.

    Attributes:
        effect: as the test defines it; None where it does not exist.
        n: experiments that say something.
        p: None where there is no test.
        smallest: the least p that these sums can give; None where orders were drawn.
        why: why there is no test; empty where there is one.
    """

    effect: float | None
    n: int
    p: float | None = None
    smallest: float | None = None
    why: str = ""


def share_difference(tables: Iterable[tuple[int, int, int, int]]) -> Tested:
    """Two shares that are compared within each run, and the exact p over all runs together.

    The effect is the Mantel-Haenszel difference of the shares. The p is two-sided: the chance of a
    sum of successes on the first side that is as far from what is expected.

    Args:
        tables: successes and tries of the first side, then of the second, a run each.

    Source: Mantel and Haenszel, J. Natl. Cancer Inst. 22 (1959), conditional on the sums; the
        difference of shares: Greenland and Robins, Biometrics 41 (1985).
    """
    used = [row for row in tables if row[1] and row[3] and 0 < row[0] + row[2] < row[1] + row[3]]
    n = sum(row[1] + row[3] for row in used)
    if not used:
        return Tested(None, n, why="no run has both kinds of experiments with both outcomes")
    weights = [tries * others / (tries + others) for _, tries, _, others in used]
    gaps = [won / tries - lost / others for won, tries, lost, others in used]
    effect = float(np.average(gaps, weights=weights))
    chances, least = np.ones(1), 0
    for won, tries, lost, others in used:
        low, high = max(0, won + lost - others), min(tries, won + lost)
        each = stats.hypergeom.pmf(np.arange(low, high + 1), tries + others, won + lost, tries)
        chances, least = np.convolve(chances, each), least + low
    sums = np.arange(least, least + chances.size)
    far = np.abs(sums - float((sums * chances).sum()))
    seen = far[sum(row[0] for row in used) - least]
    p, smallest = (float(chances[far >= limit - AS_FAR].sum()) for limit in (seen, far.max()))
    return Tested(effect, n, min(p, 1.0), min(smallest, 1.0))


def homogeneity(table: Counts, resamples: int, seed: int) -> Tested:
    """Whether the rows of a table of counts have the same shares: Cramér's V and a permutation p.

    The p is the share of random tables with the same sums whose χ² is as large, where the one that
    was seen counts as one of them.

    Args:
        table: of shape [contestants, outcomes].
        resamples: how many random tables are drawn.
        seed: of the random numbers.

    Source: Cramér, Mathematical Methods of Statistics (1946), chapter 21.
    """
    counts = np.asarray(table, dtype=np.int64)
    counts = counts[counts.sum(axis=1) > 0]
    counts = counts[:, counts.sum(axis=0) > 0]
    n = int(counts.sum())
    if min(counts.shape) < 2:
        return Tested(None, n, why="there are not two contestants with two outcomes")
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    expected = np.outer(rows, columns) / n
    drawn = stats.random_table(rows, columns, seed=np.random.default_rng(seed)).rvs(resamples)

    def chi_squared(some: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(((some - expected) ** 2 / expected).sum(axis=(-2, -1)))

    seen = float(chi_squared(counts.astype(np.float64)))
    as_large = int((chi_squared(drawn) >= seen * (1 - AS_FAR)).sum())
    effect = (seen / (n * (min(counts.shape) - 1))) ** 0.5
    return Tested(effect, n, (as_large + 1) / (resamples + 1))
