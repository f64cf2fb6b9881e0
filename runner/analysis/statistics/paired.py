"""Two contestants over the same seeds: the exact one-sided signed-rank test, and effect sizes.

With n pairs no test of signs gives less than 2⁻ⁿ, so n stands beside every p, and so does that
smallest value: three seeds cannot tell what .05 asks for.

Source: Wilcoxon, Biometrics Bulletin 1 (1945); Holm, Scandinavian Journal of Statistics 6 (1979);
Kerby, Comprehensive Psychology 3 (2014), for the rank-biserial correlation; Cohen, Statistical
Power Analysis (1988), for dz. The automl study tests by seed in this way, without a correction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from runner.analysis.statistics import correction
from runner.analysis.statistics.arrays import Array, differences
from runner.analysis.statistics.bootstrap import RESAMPLES, Interval, interval

FEWEST_PAIRS = 3  # the automl study's least number of common seeds


@dataclass(frozen=True)
class Paired:
    """How the values of one contestant lie to those of another, seed by seed.

    Attributes:
        n: the pairs, ties included.
        wins: pairs in which the value is less than the reference, so better.
        losses: pairs in which it is more.
        mean_difference: of value minus reference, negative if better; None of no pair.
        interval: its 95 % bootstrap interval; None of fewer than two pairs.
        w_plus: W⁺, the sum of the ranks of the losses; None where there is no test.
        p: of the exact one-sided test that the values are less; None where there is no test.
        smallest: the least p that so many differing pairs can give; None where there is no test.
        holm: p after Holm's correction, once `holm` was called; None before.
        rank_biserial: (W⁻ − W⁺) / (W⁻ + W⁺), 1 if every pair is a win; None if none differs.
        cohens_dz: mean over standard deviation of the differences, negative if better; None of
            fewer than two pairs, or if all differences are equal.
        why: why there is no test; empty where there is one.
    """

    n: int
    wins: int
    losses: int
    mean_difference: float | None
    interval: Interval | None
    w_plus: float | None
    p: float | None
    smallest: float | None
    rank_biserial: float | None
    cohens_dz: float | None
    holm: float | None = None
    why: str = ""

    @property
    def ties(self) -> int:
        """Pairs whose values are equal; the test leaves them out, as Wilcoxon's does."""
        return self.n - self.wins - self.losses


def smallest_p(n: int) -> float:
    """The least one-sided p that n pairs can give, 2⁻ⁿ: .125 of 3, .03125 of 5, .0039 of 8."""
    return float(2.0**-n)


def paired_less(
    values: Any, reference: Any, *, resamples: int = RESAMPLES, seed: int = 0
) -> Paired:
    """Whether values are less than a reference, pair by pair.

    The test is exact for any n, with ties too: W⁺ is set against all 2ⁿ choices of signs.

    Args:
        values: a number a seed, less is better; NaN where that seed has none.
        reference: the numbers of the same seeds in the same order.
        resamples: of the interval of the mean difference.
        seed: of their random numbers.

    Raises:
        ValueError: there are more values than references, or the other way around.
    """
    gaps = differences(values, reference)
    differing = gaps[gaps != 0]
    ranks = stats.rankdata(np.abs(differing))
    w_plus = float(ranks[differing > 0].sum())
    why = _why_not(gaps.size, differing.size)
    return Paired(
        n=int(gaps.size),
        wins=int((gaps < 0).sum()),
        losses=int((gaps > 0).sum()),
        mean_difference=float(gaps.mean()) if gaps.size else None,
        interval=interval(gaps, resamples=resamples, seed=seed),
        w_plus=None if why else w_plus,
        p=None if why else _exact_p(differing, ranks, w_plus),
        smallest=None if why else smallest_p(differing.size),
        rank_biserial=float(1 - 2 * w_plus / ranks.sum()) if differing.size else None,
        cohens_dz=_cohens_dz(gaps),
        why=why,
    )


def holm(family: Sequence[Paired]) -> list[Paired]:
    """The same comparisons with `holm` filled; those without a p stay as they are.

    Args:
        family: all comparisons of which one would be reported if it were small.
    """
    tested = [one.p for one in family if one.p is not None]
    if not tested:
        return list(family)
    corrected = iter(correction.holm(tested))
    return [one if one.p is None else replace(one, holm=float(next(corrected))) for one in family]


def _why_not(n: int, differing: int) -> str:
    if n < FEWEST_PAIRS:
        return f"{n} common {'seed' if n == 1 else 'seeds'}; the test needs {FEWEST_PAIRS}"
    if differing < FEWEST_PAIRS:
        return f"only {differing} of {n} pairs differ; the test needs {FEWEST_PAIRS}"
    return ""


def _exact_p(differing: Array, ranks: Array, w_plus: float) -> float:
    """P(W⁺ ≤ w) if each sign is as likely as the other; scipy is exact only without ties."""
    if np.unique(ranks).size == ranks.size:
        return float(stats.wilcoxon(differing, alternative="less", method="exact").pvalue)
    doubled = np.rint(2 * ranks).astype(int)  # ranks of ties are halves
    chance = np.array([1.0])  # chance[s] = P(2 W⁺ = s) of the ranks so far
    for rank in doubled:
        longer = np.zeros(chance.size + rank)
        longer[: chance.size] += chance / 2
        longer[rank:] += chance / 2
        chance = longer
    return float(min(1.0, chance[: round(2 * w_plus) + 1].sum()))


def _cohens_dz(gaps: Array) -> float | None:
    if gaps.size < 2 or np.ptp(gaps) == 0:
        return None
    gaps = gaps / np.abs(gaps).max()  # the square of a tiny number would be 0
    return float(gaps.mean() / gaps.std(ddof=1))
