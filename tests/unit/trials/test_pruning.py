"""Pruning on the host: what an optimizer is told, how a trial is given up, and what that costs."""

from __future__ import annotations

import queue
from dataclasses import replace
from typing import Any

import pytest

from runner.metrics import VAL_BPB
from runner.records.best import best_trial
from runner.records.schema import TrialRecord
from runner.timing.findings import Allowances
from runner.trials.estimates import ESTIMATE_AT, Pruning, step_of
from runner.trials.judging import Judging
from runner.trials.orders.order import TrialOrder
from runner.trials.outcome import Overrun, Seen, record_fields
from runner.trials.terms import CHECK, CONTESTANT, Terms
from runner.trials.timers import Timers
from runner.wire.messages import Message, ScoreEstimated, ScoreRequested, TrialEstimated

from .test_outcome import BEGAN, TEXT, TRAINER, scored, seen

PRUNES = replace(TRAINER, estimate_at=ESTIMATE_AT)
SOON = 60.0


def given_up(*estimates: tuple[float, float, float], **how: Any) -> Seen:
    """A trial that was given up; each estimate is a fraction, a value, and seconds since its start.

    `how` are arguments of `seen`.
    """
    told = {"requested_at": None, "cause": "stopped", "exit_code": 143, "lines": ()}
    trial = seen(None, overran="pruned", **(told | how))
    for fraction, value, after in estimates:
        trial.session.estimates.append(ScoreEstimated("s", fraction, value, BEGAN + after))
    return trial


def fields(trial: Seen) -> dict[str, Any]:
    return record_fields(trial, PRUNES, VAL_BPB, TEXT)


def test_a_trial_that_was_given_up_is_pruned_with_its_last_estimate() -> None:
    """It has a value, which no metric could not have, and its container's end was the runner's."""
    trial = given_up((0.1, 3.0, 10.0), (0.2, 2.5, 20.0), (0.3, float("nan"), 70.0))
    got = fields(trial)
    assert (got["status"], got["value"]) == ("pruned", 2.5)
    assert got["reason"] == "given up after 30 % of its training"
    assert len(got["estimates"]) == 2
    assert not trial.ended_from_outside
    silent = replace(trial, exited=None)
    assert fields(silent)["status"] == "pruned", "its PID 1 was killed"
    assert not silent.ended_from_outside


@pytest.mark.parametrize(
    ("how", "status", "value"),
    [
        ({"finished": scored(), "cause": "exited", "requested_at": BEGAN + 70.0}, "ok", 1.5),
        ({"cause": "exited", "exit_code": 1}, "crash", None),
    ],
)
def test_a_trial_that_ends_by_itself_in_that_moment_is_what_it_is(
    how: dict[str, Any], status: str, value: float | None
) -> None:
    """The word to give it up came too late."""
    finished = how.pop("finished", None)
    trial = given_up((0.8, 2.0, 65.0), **({"exit_code": 0} | how))
    trial.session.finished = finished
    got = fields(trial)
    assert (got["status"], got["value"]) == (status, value)


@pytest.mark.parametrize(
    ("estimates", "lines", "seconds"),
    [
        # Its process lived for 80 s. It had 6 of its 60 s of training at the 78th, and then 2 more.
        ([(0.1, 3.0, 78.0)], (), 70.0),  # what was seen, less the allowance, is more
        ([(0.9, 3.0, 60.0)], (), 74.0),
        ([(0.9, 3.0, 75.0)], ("progress: step=9 train_seconds=72.5 loss=3",), 72.5),
        ([(0.9, 3.0, 1.0)], (), 80.0),  # never more than there was
    ],
)
def test_a_pruned_trial_is_charged_for_what_it_trained(
    estimates: list[tuple[float, float, float]], lines: tuple[str, ...], seconds: float
) -> None:
    """Up to its last estimate what that says, from then on all, or what it printed itself."""
    assert fields(given_up(*estimates, lines=lines))["train_seconds"] == pytest.approx(seconds)


def test_who_is_told_to_be_estimated_is_not_charged_for_it() -> None:
    """The judge's time for estimates is allowed on top; in a trial that chooses them, it is not."""
    trial = seen(scored())
    trial.session.estimating_seconds = 5.0
    assert record_fields(trial, TRAINER, VAL_BPB, TEXT)["train_seconds"] == 60.0
    tight = replace(TRAINER, allowances=Allowances(5.0))
    assert record_fields(trial, tight, VAL_BPB, TEXT)["train_seconds"] == 65.0
    told = replace(tight, estimate_at=ESTIMATE_AT)
    assert record_fields(trial, told, VAL_BPB, TEXT)["train_seconds"] == 60.0


def test_only_a_contestants_trials_are_told_when_to_be_estimated() -> None:
    """The referee's trials and checks are estimated as train.py itself says."""
    assert PRUNES.on(CONTESTANT).estimate_at == ESTIMATE_AT
    assert PRUNES.on(CHECK).estimate_at == ()
    assert PRUNES.on(Terms(mode="referee", seed=3)).estimate_at == ()


def test_a_pruned_value_is_never_the_best() -> None:
    """However low it is: it is no measurement of a whole training."""
    whole, pruned = (
        TrialRecord.model_validate({
            "trial": number, "source": "sampler", "request": f"ask-{number}", "status": status,
            "value": value, "judged": True,
        })
        for number, (status, value) in enumerate((("ok", 2.0), ("pruned", 1.0)), 1)
    )  # fmt: skip
    assert best_trial([whole, pruned], VAL_BPB) == whole
    assert best_trial([pruned], VAL_BPB) is None


ORDER = TrialOrder(7, "sampler", "ask-6", "", None, "")


def estimate(fraction: float, value: float = 2.0) -> ScoreEstimated:
    return ScoreEstimated("s", fraction, value, 0.0)


def test_an_optimizer_is_told_what_is_estimated() -> None:
    """Each estimate goes to it by its request; one without a possible value does not."""
    told: list[Message] = []
    pruning = Pruning(VAL_BPB, told.append)
    for fraction, value in ((0.1, 3.0), (0.2, float("nan")), (0.3, 2.5)):
        pruning.tell(ORDER, estimate(fraction, value))
    expected = [TrialEstimated("ask-6", 10, 3.0), TrialEstimated("ask-6", 30, 2.5)]
    assert told == expected
    pruning.tell_again("ask-6")
    assert told == expected * 2
    assert [pruning.was_told("ask-6", step) for step in (10, 20, 30)] == [True, False, True]
    pruning.forget("ask-6")
    assert not pruning.was_told("ask-6", 10), "it was of an attempt that has ended"
    pruning.tell_again("ask-6")
    assert len(told) == 4


def test_nobody_is_told_where_nothing_is_pruned() -> None:
    """An optimizer of an earlier version would not know the message."""
    pruning = Pruning(VAL_BPB, None)
    pruning.tell(ORDER, estimate(0.1))
    pruning.tell_again("ask-6")
    assert not pruning.was_told("ask-6", 10), "nor may it end a trial"


def test_the_steps_of_a_search_that_prunes_are_round() -> None:
    """They are evenly spaced whole percents, and a claim beyond the training is cut."""
    assert [step_of(estimate(share)) for share in ESTIMATE_AT] == list(range(10, 90, 10))
    assert (step_of(estimate(-3.0)), step_of(estimate(1e9))) == (0, 100)


@pytest.mark.parametrize("scoring", [False, True])
def test_a_trial_that_is_being_scored_goes_on(*, scoring: bool) -> None:
    """It has trained to its end; giving it up would save nothing."""
    told: queue.Queue[Overrun] = queue.Queue()
    timers = Timers(replace(TRAINER, train_seconds=SOON, limit_seconds=0.5 if scoring else SOON), 0)
    timers.begin(told.put)
    timers.training_began()
    if scoring:
        timers.scoring_began()
    timers.prune()
    assert told.get(timeout=SOON) == ("scoring" if scoring else "pruned")
    timers.close()


def test_a_session_says_what_is_estimated_and_how_long_it_took() -> None:
    """Only the time between a request for an estimate and its score counts."""
    judging = Judging()
    said: list[ScoreEstimated] = []
    with judging.session(on_estimate=said.append) as session:
        judging.take(ScoreRequested(session.name, "estimate", 10.0))
        judging.take(ScoreEstimated(session.name, 0.1, 2.0, 12.5))
        judging.take(ScoreEstimated(session.name, 0.2, 2.0, 20.0))
        judging.take(ScoreRequested(session.name, "estimate", 30.0))
        judging.take(ScoreRequested(session.name, "final", 31.0))
        judging.take(ScoreEstimated(session.name, 0.3, 2.0, 40.0))
        assert session.estimating_seconds == 2.5
    assert [each.fraction for each in said] == [0.1, 0.2, 0.3]
