"""What the referee's trials of one text come to."""

from __future__ import annotations

from typing import Any

import pytest

from runner.metrics import VAL_BPB
from runner.records.schema import TrialRecord, Verdict
from runner.records.verification import Memory, Verified
from runner.referee.noise import Conditions, NoiseFloor
from runner.verification.summing import summed

CONDITIONS = Conditions(task="t", data="d", image="i", machine="m", trial_seconds=60)
NOISE = NoiseFloor(conditions=CONDITIONS, values={1: 1.99, 2: 2.00, 3: 2.01})  # σ = .01
READ = Verdict(name="clock", by="read")
DIFFERS = Verdict(name="without memory", by="probe", rejects=True)


def trial(value: float | None, source: str = "agent", **fields: Any) -> TrialRecord:
    """A trial; one of the referee has its scores in `values`."""
    base: dict[str, Any] = {"trial": 4, "request": "r", "status": "ok", "source": source}
    values = {} if value is None else {"judged": value, "val": value + 0.1, "test": value + 0.2}
    return TrialRecord(value=value, values=values, **(base | fields))


def found(
    measured: float,
    held_out: list[float | None],
    noise: NoiseFloor | None = NOISE,
    memory: Memory = Memory(state="equal"),  # noqa: B008 - it is frozen
) -> Verified:
    """The sum of a text with these values over held-out seeds."""
    records = [
        (seed, trial(value, "referee") if value is not None else lost(seed))
        for seed, value in enumerate(held_out)
    ]
    own = trial(measured, "referee")
    return summed(trial(measured, verdicts=[READ]), own, records, memory, noise, VAL_BPB)


def lost(seed: int) -> TrialRecord:
    return trial(None, "referee", status="crash", reason="unscored")


def test_means_are_of_the_held_out_seeds_alone() -> None:
    """The own seed's value is shown beside them; the test split has a mean of its own."""
    one = found(1.80, [1.81, 1.83, 1.85])
    assert one.mean == pytest.approx(1.83)
    assert one.sd == pytest.approx(0.02)
    assert one.test_mean == pytest.approx(2.03)
    assert one.own_seed is not None
    assert one.own_seed.judged == 1.80
    assert one.sigmas == pytest.approx(-3.0)  # 1.83 is worse than 1.80 by three σ of .01
    assert (one.trial, one.measured, one.rejected) == (4, 1.80, False)


@pytest.mark.parametrize(
    ("measured", "held_out", "standing"),
    [
        (1.90, [1.90, 1.91, 1.90], "accepted"),
        (1.90, [1.99, 2.00, 2.01], "sceptical"),  # a lucky seed: it did not come back
        (1.70, [1.80, 1.80, 1.80], "sceptical"),  # better than before, but far from what it was
        (1.99, [1.99, 1.98, 2.00], "within noise"),
        (2.30, [2.30, 2.30, 2.30], "within noise"),
    ],
)
def test_the_class_of_a_gain(measured: float, held_out: list[float | None], standing: str) -> None:
    """A gain is accepted only where held-out seeds show it."""
    assert found(measured, held_out).standing == standing


def test_a_probe_makes_a_gain_sceptical_and_reading_does_not() -> None:
    """What was measured weighs; what was read is only said."""
    fine = found(1.90, [1.90, 1.90])
    assert fine.standing == "accepted"
    assert [verdict.name for verdict in fine.verdicts] == ["clock"]
    caught = found(1.90, [1.90, 1.90], memory=Memory(state="differs", verdict=DIFFERS))
    assert caught.standing == "sceptical"
    assert caught.rejected


def test_without_noise_nothing_is_said_about_luck() -> None:
    """Neither σ nor a class is made up."""
    one = found(1.90, [1.95], noise=None)
    assert (one.mean, one.sd, one.sigmas, one.standing) == (1.95, None, None, None)


def test_trials_without_a_score_are_named() -> None:
    """The mean is of the others, and the reason stands among the problems."""
    one = found(1.90, [1.91, None])
    assert one.mean == 1.91
    assert one.problems == ("with training seed 1: crash: unscored",)
    assert found(1.90, [None]).mean is None


def test_a_model_that_was_not_handed_out_is_said() -> None:
    """Hidden rows alone verify it then, and the reader knows."""
    one = found(1.9, [1.9], memory=Memory(state="not handed out", why="PicklingError"))
    assert "hidden rows alone" in one.problems[0]
    assert not one.rejected
