"""Gaps in units of noise, with the automl study's noise of 43 runs."""

from __future__ import annotations

import pytest

from runner.analysis.statistics.noise import gap_in_noise


def test_the_published_gain_is_in_sigmas_not_in_z() -> None:
    """.0017 at σ = .00053 is 3.2 σ; as a z of two single runs it is 2.3."""
    found = gap_in_noise(0.0017, 0.00053)
    assert found.sigmas == pytest.approx(3.2, abs=0.05)
    assert found.z == pytest.approx(2.3, abs=0.05)


def test_more_runs_make_the_same_gap_surer() -> None:
    """Eight runs a side: the size in σ stays, and z is twice that of two a side."""
    two, eight = gap_in_noise(0.001, 0.001, 2, 2), gap_in_noise(0.001, 0.001, 8, 8)
    assert (two.sigmas, eight.sigmas) == (1, 1)
    assert two.z == pytest.approx(1)
    assert eight.z == pytest.approx(2)


def test_a_loss_is_negative() -> None:
    """Of two runs a side √(1/2 + 1/2) is 1, so that z is Δ/σ."""
    found = gap_in_noise(-0.002, 0.001, 2, 2)
    assert found.sigmas == pytest.approx(-2)
    assert found.z == pytest.approx(-2)


def test_a_gap_needs_runs_and_noise() -> None:
    """No run on a side, and no noise, are mistakes of the caller."""
    with pytest.raises(ValueError, match="run on each side"):
        gap_in_noise(0.1, 0.1, 0, 1)
    for sd in (0.0, float("nan")):
        with pytest.raises(ValueError, match="measures no gap"):
            gap_in_noise(0.1, sd)
