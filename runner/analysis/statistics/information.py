"""How spread choices are, how far two choosers are apart, and how well two labellers agree.

    H = −Σ pᵢ log₂ pᵢ                          entropy, in bits
    JSD(P, Q) = H((P+Q)/2) − (H(P)+H(Q))/2     0 of equal shares, 1 of nothing in common
    κ = (p_seen − p_chance) / (1 − p_chance)   Cohen's agreement beyond chance

The entropy of n choices is too low by about (k−1)/(2n·ln 2) bits with k kinds (Miller 1955):
windows of equal size can be compared, a short run and a long one only with care.

Source: Shannon (1948); Lin, IEEE Transactions on Information Theory 37 (1991); Cohen, Educational
and Psychological Measurement 20 (1960); the campaign study (arXiv 2603.15916) for the windows.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import signal, special
from scipy.spatial import distance
from sklearn.metrics import cohen_kappa_score

from runner.analysis.statistics.arrays import Array, finite, finite_pairs

LEAST_WINDOW, LEAST_STEP = 200, 50  # the campaign study's
FEWEST_WINDOWS = 3  # a line with two parameters through two windows always fits
CYCLE_BITS = 0.1  # a rise and fall by less is taken for noise


@dataclass(frozen=True)
class Windows:
    """The entropy of the choices in windows that slide over a run.

    Attributes:
        ends: how many choices were made when each window ends.
        bits: the entropy in it.
        window: how many choices it holds.
        why: why there is no window; empty where there is one.
    """

    ends: npt.NDArray[np.int64]
    bits: Array
    window: int
    why: str = ""


@dataclass(frozen=True)
class Decline:
    """H(t) = H₀ − k·ln t through the windows.

    Attributes:
        start_bits: H₀.
        bits_per_e: k, what is lost when t grows e-fold; negative if entropy grows.
        r_squared: of the windows, which overlap and so are not independent.
        n: how many windows.
    """

    start_bits: float
    bits_per_e: float
    r_squared: float
    n: int


def entropy_bits(counts: Any) -> float | None:
    """The entropy of choices by how often each was made; None if none was made.

    Raises:
        ValueError: a count is negative.
    """
    array = finite(counts)
    if (array < 0).any():
        raise ValueError("a count is at least 0")
    if array.sum() == 0:
        return None
    return max(0.0, float(special.entr(array / array.sum()).sum() / np.log(2)))


def jensen_shannon(
    first: Mapping[Hashable, float], second: Mapping[Hashable, float]
) -> float | None:
    """The Jensen–Shannon divergence in bits, 0 to 1; None if one side made no choice.

    Args:
        first: choice → how often.
        second: the same of the other.
    """
    kinds = [*first, *(kind for kind in second if kind not in first)]
    one = np.array([first.get(kind, 0) for kind in kinds], dtype=np.float64)
    other = np.array([second.get(kind, 0) for kind in kinds], dtype=np.float64)
    if one.sum() == 0 or other.sum() == 0:
        return None
    return float(distance.jensenshannon(one, other, base=2) ** 2)  # scipy gives the root


def codes_of(choices: Iterable[Hashable]) -> npt.NDArray[np.int64]:
    """Each choice as a number, from 0 on: equal choices have equal numbers."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(one, len(numbers)) for one in choices], dtype=np.int64)


def mean_jensen_shannon(made: Sequence[npt.NDArray[np.int64]]) -> float:
    """The mean Jensen–Shannon divergence of all pairs, in bits; NaN of fewer than two with choices.

    Args:
        made: the choices of each, as `codes_of` gives them for all together.
    """
    some = [own for own in made if own.size]
    if len(some) < 2:
        return np.nan
    _, together = np.unique(np.concatenate(some), return_inverse=True)
    kinds = int(together.max()) + 1
    ends = np.cumsum([own.size for own in some])[:-1]
    shares = np.array(
        [np.bincount(own, minlength=kinds) / own.size for own in np.split(together, ends)]
    )
    alone = special.entr(shares).sum(axis=1)
    one, other = np.triu_indices(len(some), 1)
    middle = special.entr((shares[one] + shares[other]) / 2).sum(axis=1)
    bits = (middle - (alone[one] + alone[other]) / 2) / np.log(2)
    return float(np.maximum(bits, 0.0).mean())


def _bits(counts: npt.NDArray[np.int64]) -> float:
    """The entropy of counts, of which at least one is above 0."""
    shares = counts[counts > 0] / counts.sum()
    return max(0.0, float(-(shares * np.log2(shares)).sum()))


def kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Cohen's κ of two labellers; None of no label, or if both always give the same one label.

    Args:
        first: a label a thing.
        second: the other's label of the same thing.

    Raises:
        ValueError: there are more of the one than of the other.
    """
    if len(first) != len(second):
        raise ValueError(f"each thing needs two labels: {len(first)} and {len(second)}")
    ours, theirs = [str(label) for label in first], [str(label) for label in second]
    if len({*ours, *theirs}) < 2:
        return None
    return float(cohen_kappa_score(ours, theirs))


def windowed_entropy(
    choices: Sequence[Hashable] | npt.NDArray[np.int64],
    *,
    window: int | None = None,
    step: int | None = None,
) -> Windows:
    """The entropy over a sliding window.

    Args:
        choices: in the order in which they were made; or what `codes_of` gave for them.
        window: choices in a window; None takes the campaign study's max(200, n/10).
        step: choices from one window to the next; None takes its max(50, n/100).

    Raises:
        ValueError: window or step is under 1.
    """
    codes = choices if isinstance(choices, np.ndarray) else codes_of(choices)
    n = len(codes)
    size = max(LEAST_WINDOW, n // 10) if window is None else window
    pace = max(LEAST_STEP, n // 100) if step is None else step
    if min(size, pace) < 1:
        raise ValueError("window and step are at least 1")
    ends = np.arange(size, n + 1, pace, dtype=np.int64)
    bits = [_bits(np.bincount(codes[end - size : end])) for end in ends]
    why = "" if ends.size else f"{n} choices; a window has {size}"
    return Windows(ends, np.array(bits, dtype=np.float64), size, why)


def decline(windows: Windows) -> Decline | None:
    """Lays H₀ − k·ln t through windows, t being where each ends; None of fewer than three.

    The campaign study does not say which point of a window is t; the end is our choice.
    """
    ends, bits = finite_pairs(windows.ends, windows.bits)
    if ends.size < FEWEST_WINDOWS:
        return None
    slope, start = np.polyfit(np.log(ends), bits, 1)
    rest = bits - (start + slope * np.log(ends))
    spread = float(((bits - bits.mean()) ** 2).sum())
    r_squared = 1 - float(rest @ rest) / spread if np.ptp(bits) > 0 else 0.0
    return Decline(float(start), float(-slope), r_squared, int(ends.size))


def peaks(windows: Windows, *, bits: float = CYCLE_BITS) -> npt.NDArray[np.int64]:
    """The windows, by number, where entropy rose and then fell again by at least so many bits.

    Two peaks are a cycle: the search widened, narrowed, and widened again.
    """
    found, _ = signal.find_peaks(windows.bits, prominence=bits)
    return np.asarray(found, dtype=np.int64)
