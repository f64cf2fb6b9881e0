"""Shapes of growth, recovered from points that were made with them."""

from __future__ import annotations

import numpy as np
import pytest

from runner.analysis.statistics.growth import (
    Fit,
    exponent_interval,
    growth,
    shuffled_r_squared,
)

COUNTS = np.arange(1, 501)


def fitted(best: object, shape: str, counts: object = COUNTS) -> Fit:
    """The fit of a shape that has to be there."""
    fit = growth(counts, best).of(shape)
    assert fit is not None
    return fit


def test_the_power_law_of_the_campaign_study_is_recovered() -> None:
    """3003 points of 1.031 − .5·N^−.106 give back all three, and the power law comes first."""
    counts = np.arange(1, 3004)
    found = growth(counts, -(1.031 - 0.5 * counts**-0.106))
    best = found.fits[0]
    assert (best.shape, best.n, best.scaled, best.at_bounds) == ("power law", 3003, False, ())
    assert best.parameters["a"] == pytest.approx(1.031, abs=1e-3)
    assert best.parameters["b"] == pytest.approx(0.5, abs=1e-3)
    assert best.parameters["c"] == pytest.approx(0.106, abs=1e-3)
    assert best.r_squared == pytest.approx(1)


def test_the_power_law_is_recovered_under_noise() -> None:
    """With a noise of .002 the exponent comes back within a tenth."""
    noise = np.random.default_rng(0).normal(0, 0.002, COUNTS.size)
    fit = fitted(-(0.9 - 0.4 * COUNTS**-0.5 + noise), "power law")
    assert fit.parameters["c"] == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize(
    ("shape", "growing"),
    [
        ("logarithm", 0.3 + 0.05 * np.log(COUNTS)),
        ("exponential", 0.9 - 0.4 * np.exp(-0.02 * COUNTS)),
    ],
)
def test_another_shape_wins_where_it_made_the_points(
    shape: str, growing: np.typing.NDArray[np.float64]
) -> None:
    """Points of a logarithm or of an exponential are ranked so by AIC and by BIC."""
    found = growth(COUNTS, -growing)
    assert found.fits[0].shape == shape
    assert min(found.fits, key=lambda fit: fit.bic).shape == shape
    assert found.fits[0].r_squared == pytest.approx(1, abs=1e-6)


def test_the_parameters_of_an_exponential_are_a_trials() -> None:
    """The rate c is given a trial, though it is fitted over the whole run."""
    fit = fitted(-(0.9 - 0.4 * np.exp(-0.02 * COUNTS)), "exponential")
    assert fit.parameters["c"] == pytest.approx(0.02, rel=1e-3)


def test_a_loss_is_scaled_and_comes_back_in_its_own_unit() -> None:
    """3.2 nats falling by a power law: scaled to fit, and predicted in nats."""
    loss = 3.2 + 0.8 * COUNTS**-0.7
    fit = fitted(loss, "power law")
    assert fit.scaled
    assert fit.parameters["c"] == pytest.approx(0.7, abs=0.01)
    np.testing.assert_allclose(fit.predict(COUNTS), loss, atol=1e-4)


def test_the_unit_of_the_values_does_not_change_the_order() -> None:
    """Milli-nats instead of nats move every AIC by 2·n·ln 1000, and R² not at all."""
    loss = np.minimum.accumulate(3 + np.random.default_rng(1).exponential(1, 500))
    nats, milli = growth(COUNTS, loss), growth(COUNTS, 1000 * loss)
    assert [fit.shape for fit in nats.fits] == [fit.shape for fit in milli.fits]
    for one, other in zip(nats.fits, milli.fits, strict=True):
        assert other.r_squared == pytest.approx(one.r_squared)
        assert other.aic - one.aic == pytest.approx(1000 * np.log(1000), rel=1e-6)


def test_r_squared_aic_and_bic_are_their_formulas() -> None:
    """The values .1, .2, .4, .5, .5 and a logarithm, from the residuals by hand."""
    counts, growing = np.array([1, 2, 4, 8, 16]), np.array([0.1, 0.2, 0.4, 0.5, 0.5])
    fit = fitted(-growing, "logarithm", counts)
    rest = growing + fit.predict(counts)
    left, spread = (rest**2).sum(), ((growing - growing.mean()) ** 2).sum()
    # Slope by hand: Σ(x − 2)(y − .34)/10 with x = log₂ N is .11; so the curve is .12 + .11·x.
    assert fit.parameters["a"] == pytest.approx(0.12)
    assert fit.parameters["b"] == pytest.approx(0.11 / np.log(2))
    assert left == pytest.approx(0.011)
    assert fit.r_squared == pytest.approx(1 - 0.011 / spread)
    assert fit.aic == pytest.approx(5 * np.log(0.011 / 5) + 4)
    assert fit.bic == pytest.approx(5 * np.log(0.011 / 5) + 2 * np.log(5))


def test_a_parameter_at_its_bound_is_named() -> None:
    """A curve that is still rising in a straight line has no exponent between the bounds."""
    fit = fitted(-(COUNTS / 500), "power law")
    assert fit.at_bounds


@pytest.mark.parametrize(
    ("counts", "best", "why"),
    [
        ([], [], "0 points; a shape needs 5"),
        ([1], [1.0], "1 points; a shape needs 5"),
        ([1, 2, 3, 4, 5, 6], [1.0] * 6, "1 different bests; a shape needs 4"),
        ([1, 2, 3, 4, np.nan], [5.0, 4, 3, 2, 1], "4 points; a shape needs 5"),
    ],
)
def test_few_points_have_no_shape(counts: list[float], best: list[float], why: str) -> None:
    """One trial, equal values and too few points say so."""
    found = growth(counts, best)
    assert (found.fits, found.why, found.of("power law")) == ((), why, None)
    assert exponent_interval(counts, best) is None


def test_trials_are_counted_from_one() -> None:
    """N = 0 has no logarithm."""
    with pytest.raises(ValueError, match="from 1"):
        growth([0, 1, 2, 3, 4], [5, 4, 3, 2, 1])


def test_shuffled_values_have_a_power_law_too() -> None:
    """Values without any learning give a running best that the power law fits well."""
    values = -np.random.default_rng(2).beta(2, 5, 300)
    found = shuffled_r_squared(values, orders=5)
    assert found is not None
    assert 0.5 < found < 1
    assert shuffled_r_squared([1.0, 1.0]) is None
    assert shuffled_r_squared([]) is None


def test_the_interval_of_the_exponent_holds_the_true_one() -> None:
    """Points of c = .5 with noise: the interval holds .5 and is narrow."""
    noise = np.random.default_rng(3).normal(0, 0.01, 100)
    counts = np.arange(1, 101)
    found = exponent_interval(counts, -(0.9 - 0.4 * counts**-0.5 + noise), resamples=100)
    assert found is not None
    assert found.low < 0.5 < found.high
    assert found.high - found.low < 0.3


@pytest.mark.parametrize("unit", [1e-200, 1e-4, 1e90])
def test_a_range_of_any_size_is_fitted(unit: float) -> None:
    """A power law in a tiny or a huge unit keeps its exponent, and its AIC is a number."""
    fit = fitted(-(0.9 - 0.4 * COUNTS**-0.5) * unit, "power law")
    assert fit.parameters["c"] == pytest.approx(0.5, abs=0.01)
    assert np.isfinite([fit.r_squared, fit.aic, fit.bic]).all()
