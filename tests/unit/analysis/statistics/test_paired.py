"""The paired test against enumeration by hand and against the automl study's published finals."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from runner.analysis.statistics.paired import Paired, holm, paired_less, smallest_p

# Best val_bpb of seeds 0 to 7, from the live page of the automl study.
FINALS = {
    "Centaur Opus 4.6": [.972247, .97443, .974981, .972571, .971959, .974154, .974469, .975618],
    "Centaur Opus 4.7": [.977262, .976314, .976612, .976418, .975301, .97722, .975201, .97334],
    "Centaur Opus 4.8": [.974352, .975218, .976773, .972321, .973551, .976186, .973604, .976474],
    "Centaur Sonnet": [.979908, .980489, .977554, .975113, .976864, .975991, .973896, .978484],
    "HPs Opus 4.6": [.972945, .973347, .980529, .977546, .973907, .973816, .973753, .973368],
    "HPs Opus 4.7": [.974829, .979911, .971668, .976602, .972792, .971706, .97257, .973012],
    "HPs Opus 4.8": [.973239, .973568, .976566, .973606, .975114, .978587, .978425, .972197],
    "HPs Sonnet": [.975496, .975022, .979049, .977251, .975117, .974104, .977259, .976705],
    "Code Opus 4.6": [.977346, .973536, .980067, .970586, .975105, .980244, .976373, .970807],
    "Code Opus 4.7": [.975058, .979835, .98084, .979067, .98043, .981351, .97453, .977862],
    "Code Opus 4.8": [.974833, .972963, .97178, .98185, .974594, .979912, .976353, .979851],
    "Code Sonnet": [.980454, .978507, .988443, .974452, .977988, .973646, .970324, .973879],
}  # fmt: skip
# W⁺ and one-sided p against "Code Opus 4.6", by enumerating all 2⁸ signs; mean and sd (ddof 0).
PUBLISHED = {
    "Centaur Opus 4.6": (9, 0.125, 0.973804, 0.001274),
    "Centaur Opus 4.7": (19, 0.578125, 0.975958, 0.001221),
    "Centaur Opus 4.8": (13, 0.2734375, 0.97481, 0.001505),
    "Centaur Sonnet": (26, 0.875, 0.977287, 0.002142),
    "HPs Opus 4.6": (14, 0.3203125, 0.974901, 0.002519),
    "HPs Opus 4.7": (12, 0.23046875, 0.974136, 0.002679),
    "HPs Opus 4.8": (17, 0.47265625, 0.975163, 0.002286),
    "HPs Sonnet": (21, 0.6796875, 0.97625, 0.001501),
    "Code Opus 4.7": (29, 0.9453125, 0.978622, 0.002432),
    "Code Opus 4.8": (15, 0.37109375, 0.976517, 0.003404),
    "Code Sonnet": (23, 0.76953125, 0.977212, 0.005218),
}


def enumerated(gaps: list[float]) -> float:
    """P(W⁺ ≤ w) by counting all signs of the differences that are not 0."""
    differing = np.array([gap for gap in gaps if gap])
    ranks = stats.rankdata(np.abs(differing))
    seen = ranks[differing > 0].sum()
    sums = [float(np.dot(signs, ranks)) for signs in product([0, 1], repeat=len(ranks))]
    return float(np.mean([one <= seen + 1e-9 for one in sums]))


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_finals_of_the_automl_study_give_its_figures(name: str) -> None:
    """W⁺, exact p, mean and standard deviation of each row are the published ones."""
    w_plus, p, mean, sd = PUBLISHED[name]
    found = paired_less(FINALS[name], FINALS["Code Opus 4.6"], resamples=100)
    assert (found.n, found.w_plus, found.smallest) == (8, w_plus, 0.00390625)
    assert found.p == pytest.approx(p)
    assert found.mean_difference == pytest.approx(mean - np.mean(FINALS["Code Opus 4.6"]), abs=2e-6)
    assert np.mean(FINALS[name]) == pytest.approx(mean, abs=1e-6)
    assert np.std(FINALS[name]) == pytest.approx(sd, abs=1e-6)


def test_none_of_the_eleven_rows_survives_the_correction() -> None:
    """The least of eleven p is .125, so Holm's correction makes all of them 1."""
    reference = FINALS["Code Opus 4.6"]
    family = [paired_less(FINALS[name], reference, resamples=10) for name in PUBLISHED]
    assert [one.holm for one in holm(family)] == [1] * 11


def test_holm_multiplies_the_least_by_all_and_never_falls() -> None:
    """.01, .03, .04 become .03, .06, .06; a comparison without a test is not one of the family."""
    one = paired_less([1.0, 1, 1, 1], [2.0, 3, 4, 5], resamples=10)
    family = [_with_p(one, 0.04), _with_p(one, 0.01), _with_p(one, None), _with_p(one, 0.03)]
    found = [each.holm for each in holm(family)]
    assert found == [pytest.approx(0.06), pytest.approx(0.03), None, pytest.approx(0.06)]
    assert holm([]) == []


def _with_p(one: Paired, p: float | None) -> Paired:
    return Paired(**{**vars(one), "p": p})


def test_the_least_p_is_two_to_the_minus_n() -> None:
    """Three seeds cannot give less than .125, five .03125, eight .0039; all wins reach it."""
    assert [smallest_p(n) for n in (3, 5, 8)] == [0.125, 0.03125, 0.00390625]
    for n in (3, 5, 8):
        found = paired_less(np.zeros(n), np.arange(1, n + 1), resamples=10)
        assert found.p == pytest.approx(smallest_p(n))
        assert found.smallest == smallest_p(n)


def test_ties_are_enumerated() -> None:
    """−1, −1, 1, −2: ranks 2, 2, 2, 4; W⁺ ≤ 2 in 4 of 16 choices of signs."""
    found = paired_less([1, 1, 3, 0], [2, 2, 2, 2], resamples=10)
    assert (found.wins, found.losses, found.w_plus) == (3, 1, 2)
    assert found.p == pytest.approx(0.25)
    assert found.rank_biserial == pytest.approx((8 - 2) / 10)


@pytest.mark.parametrize("seed", range(8))
def test_any_differences_give_the_enumerated_p(seed: int) -> None:
    """Small whole numbers, full of ties and zeros: the p is that of counting all signs."""
    gaps = [float(gap) for gap in np.random.default_rng(seed).integers(-4, 4, 9)]
    found = paired_less(gaps, np.zeros(9), resamples=10)
    assert found.p == pytest.approx(enumerated(gaps))


def test_twenty_pairs_with_ties_are_exact() -> None:
    """Ten losses and ten wins of one size: half of all choices, and the middle one."""
    found = paired_less([1.0] * 10 + [-1.0] * 10, np.zeros(20), resamples=10)
    assert found.p == pytest.approx(stats.binom.cdf(10, 20, 0.5))


def test_a_difference_of_zero_is_left_out_of_the_test() -> None:
    """Three wins and a tie: p is that of three pairs, n says four."""
    found = paired_less([1, 1, 1, 5], [2, 3, 4, 5], resamples=10)
    assert (found.n, found.ties, found.p, found.smallest) == (4, 1, 0.125, 0.125)


@pytest.mark.parametrize(
    ("values", "reference", "why"),
    [
        ([], [], "0 common seeds; the test needs 3"),
        ([1.0], [2.0], "1 common seed; the test needs 3"),
        ([1.0, np.nan, 2.0], [2.0, 1.0, 3.0], "2 common seeds; the test needs 3"),
        ([1.0, 1.0, 1.0], [1.0, 1.0, 2.0], "only 1 of 3 pairs differ; the test needs 3"),
    ],
)
def test_too_few_pairs_give_a_reason_and_no_p(
    values: list[float], reference: list[float], why: str
) -> None:
    """One seed, two seeds, and seeds that agree are never tested."""
    found = paired_less(values, reference)
    assert (found.p, found.w_plus, found.smallest, found.why) == (None, None, None, why)


def test_effect_sizes_are_those_worked_out_by_hand() -> None:
    """−1, −2, −3: dz is −2 over 1, every pair is a win, and the interval holds the mean."""
    found = paired_less([1, 1, 1], [2, 3, 4])
    assert found.cohens_dz == pytest.approx(-2)
    assert (found.mean_difference, found.rank_biserial) == (-2, 1)
    assert found.interval is not None
    assert found.interval.low < -2 < found.interval.high


def test_equal_differences_have_no_dz() -> None:
    """A standard deviation of 0 would make dz infinite."""
    assert paired_less([0.1, 0.2, 0.3], [0.2, 0.3, 0.4], resamples=10).cohens_dz is None


def test_the_unit_changes_nothing_but_the_difference() -> None:
    """Values of 10⁻²⁰⁰, whose squares are 0, have the p and the effect of their thousands."""
    tiny = paired_less(np.array([1, 1, 1, 4]) * 1e-200, np.array([2, 3, 4, 2]) * 1e-200)
    large = paired_less([1000, 1000, 1000, 4000], [2000, 3000, 4000, 2000])
    assert (tiny.p, tiny.rank_biserial) == (large.p, large.rank_biserial)
    assert tiny.cohens_dz == pytest.approx(large.cohens_dz)
