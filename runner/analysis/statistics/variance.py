"""How much of the variance lies between groups: one-way analysis of variance and its shares.

    η² = SS_between / SS_total = F·df₁ / (F·df₁ + df₂)
    ω² = (SS_between − df₁·MS_within) / (SS_total + MS_within) = df₁·(F − 1) / (df₁·(F − 1) + N)

η² grows with the number of groups even if they do not differ, to df₁/(N−1) on average; ω² takes
that off, and is negative where F < 1. The campaign study reports η²; both are shown here.

Source: Fisher; Hays, Statistics for Psychologists (1963), for ω²; the campaign study
(arXiv 2603.15916) for the groups of 10 or more and the 10,000 permutations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from runner.analysis.statistics.arrays import Array, as_array
from runner.analysis.statistics.bootstrap import LEVEL, RESAMPLES, Interval
from runner.analysis.statistics.permutation import AS_FAR, BATCH_NUMBERS, shuffles

FEWEST_IN_A_GROUP = 10  # the campaign study's
BOOTSTRAPS = 1000  # of η²; each resamples every row


@dataclass(frozen=True)
class Anova:
    """A one-way analysis of variance.

    Attributes:
        groups: how many groups were used.
        n: how many values in them.
        left_out: the groups that have too few values, in alphabetical order.
        df_between: df₁, groups − 1.
        df_within: df₂, n − groups.
        f: Fisher's F; None where there is no test or no variance within the groups.
        p: of F under normal values; None where F is.
        permutation_p: the share of random assignments to groups with an F as high.
        eta_squared: η², the share of the variance between groups.
        omega_squared: ω², the same without what chance adds.
        why: why there is no test; empty where there is one.
    """

    groups: int
    n: int
    left_out: tuple[str, ...] = ()
    df_between: int = 0
    df_within: int = 0
    f: float | None = None
    p: float | None = None
    permutation_p: float | None = None
    eta_squared: float | None = None
    omega_squared: float | None = None
    why: str = ""


def anova(
    values: Any, groups: Sequence[object], *, fewest: int = FEWEST_IN_A_GROUP,
    resamples: int = RESAMPLES, seed: int = 0,
) -> Anova:  # fmt: skip
    """The analysis of variance of values in groups.

    Args:
        values: a number an observation; those that are not finite are left out.
        groups: the group of each, in the same order.
        fewest: the least number of values that a group needs.
        resamples: how many random assignments give `permutation_p`; 0 leaves it out.
        seed: of their random numbers.

    Raises:
        ValueError: there are more values than groups, or the other way around.
    """
    used = _used(values, groups, fewest)
    count, n = len(used.names), int(used.values.size)
    found = Anova(count, n, used.left_out, why=_why_not(used, fewest))
    if found.why:
        return found
    between, total = used.between, float((used.scaled**2).sum())
    found = replace(
        found,
        df_between=count - 1,
        df_within=n - count,
        eta_squared=min(1.0, between / total),
        permutation_p=_permutation_p(used, resamples, seed) if resamples else None,
    )
    if total - between <= AS_FAR * total:
        why = "the values within each group are equal, so F is not finite"
        return replace(found, omega_squared=1.0, why=why)
    f, p = stats.f_oneway(*np.split(used.scaled, used.starts[1:]))
    f = max(0.0, float(f))  # of equal means it is a little below 0, by the errors of floating point
    omega = omega_squared_from_f(f, count - 1, n - count)
    return replace(found, f=f, p=float(p), omega_squared=omega)


def eta_squared_from_f(f: float, df_between: int, df_within: int) -> float:
    """η² of a published F: F·df₁ / (F·df₁ + df₂).

    Raises:
        ValueError: F is negative or there are no degrees of freedom.
    """
    _check(f, df_between, df_within)
    return f * df_between / (f * df_between + df_within)


def omega_squared_from_f(f: float, df_between: int, df_within: int) -> float:
    """ω² of a published F: df₁·(F − 1) / (df₁·(F − 1) + N), with N = df₁ + df₂ + 1.

    Raises:
        ValueError: F is negative or there are no degrees of freedom.
    """
    _check(f, df_between, df_within)
    n = df_between + df_within + 1
    return df_between * (f - 1) / (df_between * (f - 1) + n)


def balanced(
    values: Any, groups: Sequence[object], *, fewest: int = FEWEST_IN_A_GROUP, seed: int = 0
) -> tuple[Array, list[str]]:
    """A random subsample with as many values of each group as the least of them has.

    With unequal groups, η² leans to what the largest ones do. Groups under `fewest` are left out.

    Raises:
        ValueError: there are more values than groups, or the other way around.
    """
    used = _used(values, groups, fewest)
    if not used.names:
        return used.values, []
    rng = np.random.default_rng(seed)
    size = int(used.sizes.min())
    parts = np.split(used.values, used.starts[1:])
    drawn = [rng.choice(part, size, replace=False) for part in parts]
    return np.concatenate(drawn), [name for name in used.names for _ in range(size)]


def share_interval(
    values: Any, groups: Sequence[object], *, fewest: int = FEWEST_IN_A_GROUP, level: float = LEVEL,
    resamples: int = BOOTSTRAPS, seed: int = 0,
) -> Interval | None:  # fmt: skip
    """The bootstrap interval of the share of the variance that truly lies between the groups.

    Values are resampled within each group. A resampled η² is too high by as much as η² itself is,
    so the interval is the basic one, 2·η² less the resampled quantiles, cut to [0, 1] (Davison and
    Hinkley, Bootstrap Methods and Their Application (1997), 5.2). With many groups it holds ω²
    rather than η².

    Returns:
        None where `anova` would give no η².

    Raises:
        ValueError: there are more values than groups, or the other way around.
    """
    used = _used(values, groups, fewest)
    if _why_not(used, fewest):
        return None
    rng = np.random.default_rng(seed)
    sums, squares = np.zeros((resamples, len(used.names))), np.zeros(resamples)
    for number, group in enumerate(np.split(used.scaled, used.starts[1:])):
        sums[:, number], of_squares = _resampled_sums(group, resamples, rng)
        squares += of_squares
    correction = sums.sum(axis=1) ** 2 / used.values.size
    between = (sums**2 / used.sizes).sum(axis=1) - correction
    total = squares - correction
    etas = np.divide(between, total, out=np.ones(resamples), where=total > 0)
    seen = used.between / float((used.scaled**2).sum())
    ends = 2 * seen - np.quantile(etas, [(1 + level) / 2, (1 - level) / 2])
    low, high = np.clip(ends, 0, 1)
    return Interval(float(low), float(high), level, int(used.values.size))


@dataclass(frozen=True)
class _Groups:
    """Values sorted by group.

    Attributes:
        values: those of the first group, then those of the second, and so on.
        names: of the groups, in alphabetical order.
        sizes: how many values each has.
        left_out: the names of groups with too few values.
    """

    values: Array
    names: tuple[str, ...]
    sizes: npt.NDArray[np.int64]
    left_out: tuple[str, ...]

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        """Where each group begins in `values`."""
        return np.asarray(np.cumsum(self.sizes) - self.sizes)

    @cached_property
    def scaled(self) -> Array:
        """The values with mean 0 and range 1, so that no square is lost; F does not change."""
        return np.asarray((self.values - self.values.mean()) / np.ptp(self.values))

    @property
    def between(self) -> float:
        """The sum of squares between the groups, of the scaled values."""
        return float((np.add.reduceat(self.scaled, self.starts) ** 2 / self.sizes).sum())


def _used(values: Any, groups: Sequence[object], fewest: int) -> _Groups:
    """The finite values of the groups that have enough of them."""
    array = as_array(values)
    if array.size != len(groups):
        raise ValueError(f"each value needs its group: {array.size} and {len(groups)}")
    names = np.array([str(group) for group in groups], dtype=object)
    known = np.isfinite(array)
    found, codes, sizes = np.unique(names[known], return_inverse=True, return_counts=True)
    enough = sizes >= max(fewest, 1)
    order = np.argsort(codes, kind="stable")
    order = order[enough[codes[order]]]
    return _Groups(
        array[known][order],
        tuple(str(name) for name in found[enough]),
        sizes[enough].astype(np.int64),
        tuple(str(name) for name in found[~enough]),
    )


def _why_not(used: _Groups, fewest: int) -> str:
    count, n = len(used.names), used.values.size
    if count < 2:
        groups = "group has" if count == 1 else "groups have"
        return f"{count} {groups} {fewest} values or more; the analysis of variance needs two"
    if n <= count:
        return f"{n} values in {count} groups; one group needs more than one"
    if np.ptp(used.values) == 0:
        return f"all {n} values are equal"
    return ""


def _permutation_p(used: _Groups, resamples: int, seed: int) -> float:
    """The share of random assignments with as much between groups: F, η² and SS order alike."""
    rng = np.random.default_rng(seed)
    as_much = 0
    for part in shuffles(used.scaled, resamples, rng):
        sums = np.add.reduceat(part, used.starts, axis=1)
        as_much += int(((sums**2 / used.sizes).sum(axis=1) >= used.between * (1 - AS_FAR)).sum())
    return (as_much + 1) / (resamples + 1)


def _resampled_sums(group: Array, resamples: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """The sum of each resample of a group, and the sum of its squares."""
    sums, squares = np.zeros(resamples), np.zeros(resamples)
    rows = max(1, BATCH_NUMBERS // group.size)
    for start in range(0, resamples, rows):
        part = slice(start, min(start + rows, resamples))
        drawn = group[rng.integers(group.size, size=(part.stop - start, group.size))]
        sums[part] = drawn.sum(axis=1)
        squares[part] = (drawn**2).sum(axis=1)
    return sums, squares


def _check(f: float, df_between: int, df_within: int) -> None:
    if not f >= 0 or df_between < 1 or df_within < 1:
        raise ValueError("F is at least 0 and has at least one degree of freedom on each side")
