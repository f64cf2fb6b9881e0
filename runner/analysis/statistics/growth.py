"""How the best value grows with the number of trials: power law, logarithm, exponential.

    power law     a − b·N^−c         0 ≤ a ≤ 1.5, 0 ≤ b ≤ 2, .01 ≤ c ≤ 5
    logarithm     a + b·ln N
    exponential   a − b·exp(−c·N)    0 ≤ a ≤ 1.5, 0 ≤ b ≤ 2, .001/N_max ≤ c ≤ 1000/N_max

Values are turned so that they grow. The bounds are the campaign study's and suit a score between 0
and 1, so values that leave [0, 1] (a loss does), or that use less than a hundredth of it, are
scaled to it by their least and their largest. R², AIC and BIC are those of the values' own unit:

    R² = 1 − SS_rest / SS_total      AIC = n·ln(SS_rest/n) + 2k      BIC = n·ln(SS_rest/n) + k·ln n

with k the number of a shape's parameters. They treat the points as independent, but each best
holds the one before it: a running best of shuffled values fits well too, and `shuffled_r_squared`
says how well. A difference in AIC ranks shapes; it is no test.

Source: the campaign study (arXiv 2603.15916) for shapes and bounds; Burnham and Anderson, Model
Selection and Multimodel Inference (2002), for AIC and BIC of least squares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize

from runner.analysis.statistics.arrays import Array, as_array, finite, finite_pairs
from runner.analysis.statistics.bootstrap import LEVEL, Interval

FEWEST_POINTS = 5  # a shape of three parameters leaves two to judge it by
FEWEST_LEVELS = 4  # different bests; fewer steps than that have no shape
LOWEST, HIGHEST = (0.0, 0.0, 0.01), (1.5, 2.0, 5.0)  # the campaign study's bounds of a, b, c
FASTEST = 1000.0  # of the exponential: over after a thousandth of the trials
STARTS = (0.05, 0.3, 1.0, 3.0)  # of c, as one start may end in a local minimum
LEAST_RANGE = 0.01  # of unscaled values; the solver's tolerances are no finer
LEAST_STEP = 0.01  # of the scaled values, from which b starts
AT_BOUND = 1e-6  # of the way between two bounds: as near is at one


@dataclass(frozen=True)
class Fit:
    """A shape laid through running bests.

    Attributes:
        shape: "power law", "logarithm" or "exponential".
        formula: the shape as people write it.
        parameters: name → value, in the scaled unit.
        at_bounds: the parameters that ended at a bound, which tells nothing of their value.
        r_squared: of the values.
        aic: less is better; it compares shapes of the same points alone.
        bic: the same, and dearer in parameters.
        n: the points.
        offset: a growing value is `offset + factor * scaled`; 0 where nothing was scaled.
        factor: 1 where nothing was scaled.
    """

    shape: str
    formula: str
    parameters: Mapping[str, float]
    at_bounds: tuple[str, ...]
    r_squared: float
    aic: float
    bic: float
    n: int
    offset: float
    factor: float

    @property
    def scaled(self) -> bool:
        """Whether the values were scaled, so that a, b are not in their unit."""
        return (self.offset, self.factor) != (0.0, 1.0)

    def predict(self, counts: Any) -> Array:
        """The best after so many trials, as it was given: less is better."""
        numbers = np.asarray(counts, dtype=np.float64)
        curve = _SHAPES[self.shape](numbers, *self.parameters.values())
        return np.asarray(-(self.offset + self.factor * curve))


@dataclass(frozen=True)
class Growth:
    """The three shapes, the one with the least AIC first; none with a reason.

    Attributes:
        fits: the shapes.
        n: the points.
        why: why there are none; empty where there are.
    """

    fits: tuple[Fit, ...]
    n: int
    why: str = ""

    def of(self, shape: str) -> Fit | None:
        """The fit of a shape, if there is one."""
        return next((fit for fit in self.fits if fit.shape == shape), None)


def growth(counts: Any, best: Any) -> Growth:
    """Lays the three shapes through a running best.

    Args:
        counts: N, the trials so far, from 1 on.
        best: the best of them, less is better: the negated score of a maximised metric.

    Raises:
        ValueError: there are more counts than bests, or the other way around, or a count under 1.
    """
    numbers, values = finite_pairs(counts, best)
    n = int(values.size)
    if n and numbers.min() < 1:
        raise ValueError("trials are counted from 1")
    why = _why_not(numbers, values)
    if why:
        return Growth((), n, why)
    points = _Points.of(numbers, -values)
    fits = [_bounded(points, "power law"), _logarithm(points), _bounded(points, "exponential")]
    return Growth(tuple(sorted(fits, key=lambda fit: fit.aic)), n)


def spaced(n: int, most: int) -> npt.NDArray[np.int64]:
    """Places in a curve of n points: all, or at most so many at equal distances."""
    return np.linspace(0, n - 1, min(n, most)).astype(np.int64)


def shuffled_r_squared(
    values: Any, *, orders: int = 20, points: int | None = None, seed: int = 0
) -> float | None:
    """The mean R² of the power law over running bests of the same values in random orders.

    The campaign study found .81 where its own order gave .93: what the form of a running best alone
    gives. None where no order could be fitted.

    Args:
        values: of all trials, less is better.
        orders: how many.
        points: of each running best, at equal distances, that are fitted; None takes all.
        seed: of their random numbers.
    """
    known = finite(values)
    rng = np.random.default_rng(seed)
    taken = spaced(known.size, known.size if points is None else points)
    counts = as_array(taken + 1)
    found = []
    for _ in range(orders):
        best = np.minimum.accumulate(rng.permutation(known))[taken] if known.size else known
        if not _why_not(counts, best):
            found.append(_bounded(_Points.of(counts, -best), "power law").r_squared)
    return float(np.mean(found)) if found else None


def exponent_interval(
    counts: Any, best: Any, *, resamples: int = 200, level: float = LEVEL, seed: int = 0
) -> Interval | None:
    """The percentile bootstrap interval of the power law's c, by resampling points.

    The points are not independent, so it is too narrow. The campaign study's reaches from .01 to
    2.0, from bound to bound nearly, which says that c is not known. None where there is no fit.

    Raises:
        ValueError: there are more counts than bests, or the other way around.
    """
    numbers, values = finite_pairs(counts, best)
    if _why_not(numbers, values):
        return None
    start = _bounded(_Points.of(numbers, -values), "power law").parameters["c"]
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        rows = rng.integers(values.size, size=values.size)
        if not _why_not(numbers[rows], values[rows]):
            drawn = _Points.of(numbers[rows], -values[rows])
            fit = _bounded(drawn, "power law", starts=(start,))
            found.append(fit.parameters["c"])
    if len(found) < 2:
        return None
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level, int(values.size))


def _power_law(numbers: Array, a: float, b: float, c: float) -> Array:
    return np.asarray(a - b * numbers**-c)


def _logarithmic(numbers: Array, a: float, b: float) -> Array:
    return np.asarray(a + b * np.log(numbers))


def _exponential(numbers: Array, a: float, b: float, c: float) -> Array:
    return np.asarray(a - b * np.exp(-c * numbers))


_SHAPES: dict[str, Callable[..., Array]] = {
    "power law": _power_law, "logarithm": _logarithmic, "exponential": _exponential,
}  # fmt: skip
_FORMULAS = {
    "power law": "a − b·N^−c", "logarithm": "a + b·ln N", "exponential": "a − b·exp(−c·N)",
}  # fmt: skip


@dataclass(frozen=True)
class _Points:
    """What is fitted: counts, growing values in [0, 1], and how to get back."""

    numbers: Array
    values: Array
    offset: float
    factor: float

    @classmethod
    def of(cls, numbers: Array, growing: Array) -> _Points:
        low, high = float(growing.min()), float(growing.max())
        if low >= 0 and high <= 1 and high - low >= LEAST_RANGE:
            return cls(numbers, growing, 0.0, 1.0)
        return cls(numbers, (growing - low) / (high - low), low, high - low)

    def judged(
        self, shape: str, parameters: Mapping[str, float], at_bounds: tuple[str, ...] = ()
    ) -> Fit:
        """A fit with what it leaves over."""
        rest = self.values - _SHAPES[shape](self.numbers, *parameters.values())
        n, k = self.values.size, len(parameters)
        least = n * np.finfo(float).eps ** 2  # of a perfect fit, so that its logarithm is finite
        left = max(float(rest @ rest), least)
        spread = float(((self.values - self.values.mean()) ** 2).sum())
        likelihood = n * (np.log(left / n) + 2 * np.log(self.factor))
        return Fit(
            shape, _FORMULAS[shape], parameters, at_bounds, float(1 - left / spread),
            float(likelihood + 2 * k), float(likelihood + k * np.log(n)), n, self.offset,
            self.factor,
        )  # fmt: skip


def _bounded(points: _Points, shape: str, starts: Sequence[float] = STARTS) -> Fit:
    """The best of the fits from several starts; c is per N_max in an exponential."""
    low, high, unit = np.array(LOWEST), np.array(HIGHEST), 1.0
    if shape == "exponential":
        low[2], high[2], unit = 1 / FASTEST, FASTEST, float(points.numbers.max())
    first, last = float(points.values[0]), float(points.values.max())
    numbers = points.numbers / unit

    def rest(parameters: Array) -> Array:
        return _SHAPES[shape](numbers, *parameters) - points.values

    found = []
    for c in starts:
        start = np.clip([last, max(last - first, LEAST_STEP), c], low, high)
        found.append(optimize.least_squares(rest, start, bounds=(low, high)))
    best = min(found, key=lambda one: float(one.cost)).x
    near = AT_BOUND * (high - low)
    held = (best <= low + near) | (best >= high - near)
    at_bounds = tuple(name for name, at in zip("abc", held, strict=True) if at)
    a, b, c = (float(value) for value in best)
    return points.judged(shape, {"a": a, "b": b, "c": c / unit}, at_bounds)


def _logarithm(points: _Points) -> Fit:
    b, a = np.polyfit(np.log(points.numbers), points.values, 1)
    return points.judged("logarithm", {"a": float(a), "b": float(b)})


def _why_not(numbers: Array, values: Array) -> str:
    points, levels = np.unique(numbers).size, np.unique(values).size
    if points < FEWEST_POINTS:
        return f"{points} points; a shape needs {FEWEST_POINTS}"
    if levels < FEWEST_LEVELS:
        return f"{levels} different bests; a shape needs {FEWEST_LEVELS}"
    return ""
