"""The statistics of the referee, against figures worked out by hand and known quantiles."""

from __future__ import annotations

from statistics import NormalDist

import pytest

from runner.referee.seeds import derived_seeds, held_out_seeds
from runner.referee.statistics import ACCEPTED_Z, Sample, in_sigmas, standing, z_score


def test_a_sample_has_the_deviation_with_one_less_than_its_number() -> None:
    """2, 4, 4, 4, 5, 5, 7, 9: the mean is 5 and the variance 32 / 7."""
    sample = Sample.of([2, 4, 4, 4, 5, 5, 7, 9])
    assert sample.count == 8
    assert sample.mean == pytest.approx(5)
    assert sample.sd == pytest.approx((32 / 7) ** 0.5)


def test_one_value_has_no_deviation() -> None:
    """A standard deviation is not made up where there is a single value, or none."""
    assert Sample.of([1.5]).sd is None
    with pytest.raises(ValueError, match="needs a value"):
        Sample.of([])


def test_z_divides_by_the_error_of_a_difference_of_means() -> None:
    """With 4 and 12 runs the error is σ times the root of 1/3."""
    assert z_score(0.004, 0.0013, 4, 12) == pytest.approx(0.004 / (0.0013 * (1 / 3) ** 0.5))


@pytest.mark.parametrize(("sd", "new", "old"), [(0.0, 1, 1), (-1.0, 1, 1), (1.0, 0, 1)])
def test_z_needs_a_deviation_and_runs(sd: float, new: int, old: int) -> None:
    """No division by zero is hidden."""
    with pytest.raises(ValueError, match="z needs"):
        z_score(1.0, sd, new, old)


def test_the_rule_of_the_speedrunners_is_kept() -> None:
    """A weighted difference of .004 at σ = .0013 is accepted, and the next smaller is not.

    That bound is exceeded by luck about once in a thousand, as the documents say.
    """
    assert 1 - NormalDist().cdf(ACCEPTED_Z) == pytest.approx(0.001, rel=0.1)
    assert standing(z_score(0.004 * 2**0.5, 0.0013, 1, 1), doubted=False) == "accepted"
    assert standing(ACCEPTED_Z - 1e-9, doubted=False) == "within noise"
    assert standing(ACCEPTED_Z, doubted=True) == "sceptical"
    assert standing(-5.0, doubted=True) == "within noise"


def test_a_gain_is_shown_with_its_sign() -> None:
    """Positive is better, in every table."""
    assert in_sigmas(0.0095 / 0.005) == "+1.9 σ"
    assert in_sigmas(-0.001 / 0.005) == "-0.2 σ"


def test_held_out_seeds_are_drawn_anew_and_kept() -> None:
    """What was drawn is used again; what is new follows from nothing, and is not the task's own."""
    seeds = held_out_seeds((), 50, 42)
    assert len(set(seeds)) == 50
    assert 42 not in seeds
    assert held_out_seeds((), 50, 42) != seeds
    assert held_out_seeds(seeds[:3], 5, 42)[:3] == seeds[:3]
    assert held_out_seeds(seeds, 3, 42) == seeds[:3]


def test_derived_seeds_are_repeatable_and_never_the_task_s_own() -> None:
    """A name's seeds are the same every time, and another name has others."""
    seeds = derived_seeds("noise", 50, 42)
    assert seeds == derived_seeds("noise", 50, 42)
    assert len(set(seeds)) == 50
    assert seeds[:3] != derived_seeds("other noise", 3, 42)
    assert derived_seeds("noise", 3, seeds[0]) == seeds[1:4]
