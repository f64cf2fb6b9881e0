"""How the functions of this folder take numbers: any sequence or column, NaN where unknown."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

LARGEST = 1e100  # a larger value is a diverged training's, and its square would be infinite
DIGITS = 12  # beyond them a difference of two values is an error of floating point
MOST_PLACES = 300  # behind the point; numpy rounds by 10 to this power, and 10³⁰⁹ is infinite


def as_array(values: Any) -> Array:
    """Numbers as an array of float64; NaN for what is unknown (NA, None) or beyond `LARGEST`."""
    if hasattr(values, "to_numpy"):
        values = values.to_numpy(dtype=np.float64, na_value=np.nan)
    array = np.asarray(values, dtype=np.float64)
    return np.where(np.abs(array) <= LARGEST, array, np.nan)


def finite(values: Any) -> Array:
    """The finite ones of some numbers, in their order."""
    array = as_array(values)
    return array[np.isfinite(array)]


def finite_pairs(first: Any, second: Any) -> tuple[Array, Array]:
    """The pairs of which both numbers are finite, in their order.

    Raises:
        ValueError: there are more of the one than of the other.
    """
    one, other = as_array(first), as_array(second)
    if one.shape != other.shape:
        raise ValueError(f"pairs need as many of each: {one.size} and {other.size}")
    both = np.isfinite(one) & np.isfinite(other)
    return one[both], other[both]


def differences(values: Any, reference: Any) -> Array:
    """`values - reference` of the finite pairs, without the errors of floating point.

    .3 - .2 and .2 - .1 are equal here: differences are rounded at the twelfth digit of the largest
    value, so that ties are ties.
    """
    one, other = finite_pairs(values, reference)
    largest = max(np.abs(one).max(initial=0), np.abs(other).max(initial=0))
    if largest == 0:
        return one - other
    places = DIGITS - 1 - int(np.floor(np.log10(largest)))
    return np.asarray(np.round(one - other, min(places, MOST_PLACES)))
