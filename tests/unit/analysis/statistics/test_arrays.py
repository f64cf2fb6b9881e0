"""How numbers are taken: columns of pandas, unknown values, and ties hidden by floating point."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from runner.analysis.statistics.arrays import as_array, differences, finite, finite_pairs


def test_what_is_unknown_becomes_nan() -> None:
    """NA of a nullable column, None of a list and NaN are all NaN."""
    for values in (pd.Series([1, None], dtype="Int64"), [1, None], pd.Series([1.0, None])):
        array = as_array(values)
        assert array[0] == 1
        assert np.isnan(array[1])
    assert as_array(pd.Series([True, None], dtype="boolean"))[0] == 1


def test_infinite_values_are_left_out() -> None:
    """A diverged training's infinity, or 10³⁰⁰, is no value."""
    assert finite([1, np.inf, np.nan, -np.inf, 1e300, 2]).tolist() == [1, 2]


def test_a_pair_needs_both_numbers() -> None:
    """A seed that one contestant lacks is no pair, and unequal lengths are a mistake."""
    one, other = finite_pairs([1, 2, np.nan], [4, np.nan, 6])
    assert (one.tolist(), other.tolist()) == ([1], [4])
    with pytest.raises(ValueError, match="2 and 1"):
        finite_pairs([1, 2], [1])


@pytest.mark.parametrize("scale", [1e-290, 1e-6, 1.0, 1e9])
def test_differences_that_look_equal_are_equal(scale: float) -> None:
    """.3 − .2 and .2 − .1 differ in floating point; here they tie, in any unit."""
    gaps = differences(np.array([0.3, 0.2]) * scale, np.array([0.2, 0.1]) * scale)
    assert gaps[0] == gaps[1]
    assert gaps[0] == pytest.approx(0.1 * scale)


def test_differences_of_nothing_are_nothing() -> None:
    """No pairs, and pairs of zeros, raise nothing."""
    assert differences([], []).size == 0
    assert differences([0.0], [0.0]).tolist() == [0]
