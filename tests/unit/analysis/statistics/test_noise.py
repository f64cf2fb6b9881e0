"""Gains in units of noise, with the automl study's noise of 43 runs."""

from __future__ import annotations

import pytest

from runner.analysis.statistics.noise import gain_in_noise


def test_the_published_gain_is_in_sigmas_not_in_z() -> None:
    """.0017 at σ = .00053 is 3.2 σ; as a z of two single runs it is 2.3, and there is no p."""
    found = gain_in_noise(0.0017, 0.00053)
    assert found.sigmas == pytest.approx(3.2, abs=0.05)
    assert found.z == pytest.approx(2.3, abs=0.05)
    assert (found.p, found.why) == (None, "one side is a single run")


def test_more_runs_make_the_same_gain_surer() -> None:
    """Eight runs a side: the size in σ stays, z is twice that of two a side, and p is normal's."""
    two, eight = gain_in_noise(0.001, 0.001, 2, 2), gain_in_noise(0.001, 0.001, 8, 8)
    assert (two.sigmas, eight.sigmas) == (1, 1)
    assert two.z == pytest.approx(1)
    assert eight.z == pytest.approx(2)
    assert two.p == pytest.approx(0.158655, abs=1e-6)
    assert eight.p == pytest.approx(0.022750, abs=1e-6)


def test_a_loss_has_a_large_p() -> None:
    """A negative gain is a negative z, and more than half of all luck is better."""
    found = gain_in_noise(-0.001, 0.001, 2, 2)
    assert found.z == pytest.approx(-1)
    assert found.p == pytest.approx(0.841345, abs=1e-6)


@pytest.mark.parametrize("sd", [None, 0.0, float("nan")])
def test_without_a_known_noise_the_gain_stands_alone(sd: float | None) -> None:
    """A task whose noise was not measured has neither σ nor z."""
    found = gain_in_noise(0.1, sd, 5, 5)
    assert (found.gain, found.sigmas, found.z, found.p) == (0.1, None, None, None)
    assert found.why == "the noise of this task was not measured"


def test_a_gain_needs_runs() -> None:
    """No run on a side is a mistake of the caller."""
    with pytest.raises(ValueError, match="run on each side"):
        gain_in_noise(0.1, 0.1, 0, 1)
