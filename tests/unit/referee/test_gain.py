"""A gain over the pristine train.py, and what makes it doubtful."""

from __future__ import annotations

import pytest

from runner.metrics import VAL_BPB
from runner.records.schema import Verdict
from runner.referee.gain import Gain, gain_of_mean, gain_of_value
from runner.referee.noise import Conditions, NoiseFloor

CONDITIONS = Conditions(task="t", data="d", image="i", machine="m", trial_seconds=60)
ONE = NoiseFloor(conditions=CONDITIONS, values={1: 1.90})
NOISE = NoiseFloor(conditions=CONDITIONS, values={1: 1.90, 2: 1.94})
SD = 0.02 * 2**0.5
PROBE = Verdict(name="overtime", by="probe")


def standing(value: float, *verdicts: Verdict) -> str:
    found = gain_of_value(NOISE, VAL_BPB, value, verdicts)
    assert found is not None
    return found.standing


def test_without_a_sigma_there_is_no_gain() -> None:
    """One value has no standard deviation, and noise of other conditions is none."""
    for noise in (None, ONE):
        assert gain_of_value(noise, VAL_BPB, 1.8) is None
        assert gain_of_mean(noise, VAL_BPB, 1.8, 1.8, 3) is None


def test_a_gain_is_shown_against_the_pristine_mean() -> None:
    """A lower val_bpb is a positive number of σ; the class stands behind it."""
    found = gain_of_value(NOISE, VAL_BPB, 1.92 - 2 * SD)
    assert found is not None
    assert found.sigmas == pytest.approx(2)
    assert str(found) == "+2.0 σ, within noise"
    assert str(gain_of_value(NOISE, VAL_BPB, 1.95)).startswith("-")
    assert str(Gain(3.94, "accepted")) == "+3.9 σ, accepted"
    assert standing(1.0) == "accepted"
    assert standing(1.9) == "within noise"


def test_what_was_measured_makes_a_gain_doubtful() -> None:
    """Slow scoring is charged and says nothing of the value, and neither does what was read."""
    assert standing(1.0, PROBE) == "sceptical"
    assert standing(1.9, PROBE) == "within noise"
    slow = PROBE.model_copy(update={"name": "slow scoring"})
    assert standing(1.0, slow, PROBE.model_copy(update={"by": "read"})) == "accepted"


def test_a_mean_of_more_runs_needs_less_of_a_gain() -> None:
    """The same mean is within noise as one run, and passes the rule as many."""
    value = 1.92 - 3 * SD
    one = gain_of_mean(NOISE, VAL_BPB, value, value, 1)
    many = gain_of_mean(NOISE, VAL_BPB, value, value, 10)
    assert one is not None
    assert many is not None
    assert (one.standing, many.standing) == ("within noise", "accepted")
    assert one.sigmas == many.sigmas
