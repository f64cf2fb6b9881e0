"""Entropy, divergence and agreement, against values worked out by hand."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from runner.analysis.statistics.information import (
    Windows,
    codes_of,
    decline,
    entropy_bits,
    jensen_shannon,
    kappa,
    mean_jensen_shannon,
    peaks,
    windowed_entropy,
)


@pytest.mark.parametrize(
    ("counts", "bits"),
    [
        ([7], 0),
        ([5, 5], 1),
        ([1, 1, 1, 1], 2),
        ([2, 1, 1], 1.5),
        ([3, 0, 3], 1),
        ([9, 1], 0.468996),
    ],
)
def test_entropy_is_that_of_the_shares(counts: list[int], bits: float) -> None:
    """One kind is 0 bits, two equal ones 1, four 2, a half and two quarters 1.5."""
    assert entropy_bits(counts) == pytest.approx(bits, abs=1e-6)


def test_no_choice_has_no_entropy() -> None:
    """Nothing chosen is not the same as always the same choice."""
    assert entropy_bits([]) is None
    assert entropy_bits([0, 0]) is None
    with pytest.raises(ValueError, match="at least 0"):
        entropy_bits([1, -1])


def test_divergence_goes_from_nothing_to_one_bit() -> None:
    """The same shares are 0, nothing in common 1, and 1:0 against 1:1 is H(¾) − ½."""
    assert jensen_shannon({"a": 1, "b": 3}, {"b": 30, "a": 10}) == pytest.approx(0, abs=1e-12)
    assert jensen_shannon({"a": 2}, {"b": 5}) == pytest.approx(1)
    assert jensen_shannon({"a": 4}, {"a": 1, "b": 1}) == pytest.approx(0.811278 - 0.5, abs=1e-6)
    assert jensen_shannon({}, {"a": 1}) is None


def test_kappa_is_agreement_beyond_chance() -> None:
    """20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: .7 seen, .5 by chance, κ = .4."""
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert kappa(first, second) == pytest.approx(0.4)
    assert kappa(["a", "b"], ["a", "b"]) == pytest.approx(1)
    assert kappa(["a", "b"], ["b", "a"]) == pytest.approx(-1)


def test_kappa_of_one_label_cannot_be_told() -> None:
    """If both always say the same word there is no agreement beyond chance; nor of nothing."""
    assert kappa(["a", "a"], ["a", "a"]) is None
    assert kappa([], []) is None
    with pytest.raises(ValueError, match="1 and 0"):
        kappa(["a"], [])


def test_windows_slide_over_the_choices() -> None:
    """Windows of 4 in steps of 2 over aaaabbbb: 0, 1 and 0 bits."""
    found = windowed_entropy("aaaabbbb", window=4, step=2)
    assert found.ends.tolist() == [4, 6, 8]
    assert found.bits.tolist() == pytest.approx([0, 1, 0])


def test_the_window_of_the_campaign_study_is_a_tenth() -> None:
    """10,469 choices: windows of 1046 in steps of 104; 1000 of them: 200 and 50."""
    many = windowed_entropy(["a", "b"] * 5234 + ["a"])
    assert (many.window, int(many.ends[0]), int(many.ends[1])) == (1046, 1046, 1150)
    few = windowed_entropy(["a", "b"] * 500)
    assert (few.window, int(few.ends[1] - few.ends[0])) == (200, 50)


def test_a_short_run_has_no_window() -> None:
    """Twenty choices do not fill a window of 200."""
    found = windowed_entropy(["a"] * 20)
    assert (found.ends.size, found.why) == (0, "20 choices; a window has 200")
    assert decline(found) is None
    with pytest.raises(ValueError, match="at least 1"):
        windowed_entropy(["a"], window=0)


def test_a_decline_is_recovered() -> None:
    """3 − .2·ln t gives H₀ = 3 and k = .2, and explains all."""
    ends = np.array([200, 400, 800, 1600])
    found = decline(Windows(ends, 3 - 0.2 * np.log(ends), 200))
    assert found is not None
    assert found.start_bits == pytest.approx(3)
    assert found.bits_per_e == pytest.approx(0.2)
    assert found.r_squared == pytest.approx(1)
    assert found.n == 4


def test_entropy_that_stays_does_not_decline() -> None:
    """Equal bits in all windows: k = 0, and nothing is explained."""
    found = decline(Windows(np.array([1, 2, 3]), np.array([1.0, 1, 1]), 1))
    assert found is not None
    assert found.bits_per_e == pytest.approx(0)
    assert found.r_squared == 0


def test_peaks_are_rises_and_falls_that_are_large_enough() -> None:
    """Of two rises the one of half a bit counts, that of .05 does not."""
    bits = np.array([1.0, 1.5, 1.0, 1.05, 1.0])
    assert peaks(Windows(np.arange(5), bits, 1)).tolist() == [1]
    assert peaks(Windows(np.arange(5), bits, 1), bits=0.01).tolist() == [1, 3]


def test_the_mean_of_all_pairs_is_that_of_each_pair() -> None:
    """As by the divergence of two at a time; a chooser without a choice is in no pair."""
    rng = np.random.default_rng(1)
    made = [rng.integers(0, 9, size) for size in (5, 40, 1, 30)]
    pairs = [
        jensen_shannon(Counter(one.tolist()), Counter(other.tolist()))
        for one, other in combinations(made, 2)
    ]
    expected = np.mean([bits for bits in pairs if bits is not None])
    none = np.zeros(0, dtype=np.int64)
    assert mean_jensen_shannon([*made, none]) == pytest.approx(expected, abs=1e-12)
    assert math.isnan(mean_jensen_shannon([made[0], none]))


def test_choices_become_numbers() -> None:
    """Equal choices have equal numbers, in the order in which each came first."""
    assert codes_of(["b", "a", "b", 1]).tolist() == [0, 1, 0, 2]
    texts = windowed_entropy("aabbabcc" * 50, window=20, step=10)
    numbers = windowed_entropy(codes_of("aabbabcc" * 50), window=20, step=10)
    assert texts.bits.tolist() == numbers.bits.tolist()
