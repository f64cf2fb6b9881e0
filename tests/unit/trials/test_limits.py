"""The limits on a trial's time: each of its parts has its own, and an ended trial has none."""

from __future__ import annotations

import queue
import threading
from dataclasses import replace

from runner.trials.limits import Limits
from runner.trials.outcome import Overrun
from tests.unit.trials.test_outcome import TRAINER

SHORT, LONG = 0.05, 60.0
SOON = 10.0


def make(train_seconds: float, limit_seconds: float) -> tuple[Limits, queue.Queue[Overrun]]:
    """Limits that have begun, and what they say."""
    told: queue.Queue[Overrun] = queue.Queue()
    trainer = replace(TRAINER, train_seconds=train_seconds, limit_seconds=limit_seconds)
    made = Limits(trainer, margin_seconds=0.0)
    made.begin(told.put)
    return made, told


def test_training_has_a_limit() -> None:
    """A trial that does not ask for its score in time is ended for that."""
    limits, told = make(SHORT, SHORT)
    limits.training_began()
    assert told.get(timeout=SOON) == "training"
    limits.close()


def test_scoring_has_a_limit_of_its_own() -> None:
    """From the request on, the training's limit is void and the scoring's runs."""
    limits, told = make(LONG, SHORT)
    limits.training_began()
    limits.scoring_began()
    assert told.get(timeout=SOON) == "scoring"
    limits.close()


def test_a_scored_trial_may_still_end() -> None:
    """When the judge is done, the scoring's limit is void, and the limit on everything holds."""
    limits, told = make(SHORT, 4 * SHORT)
    limits.training_began()
    limits.scoring_began()
    limits.scoring_ended()
    assert told.get(timeout=SOON) == "all"
    limits.close()


def test_a_request_before_the_start_was_seen_is_a_request() -> None:
    """The two come from two containers, so they may come in either order."""
    limits, told = make(LONG, SHORT)
    limits.scoring_began()
    limits.training_began()
    assert told.get(timeout=SOON) == "scoring"
    limits.close()


def test_a_trial_whose_start_was_never_seen_ends_too() -> None:
    """The limit on everything runs from the making of the container."""
    limits, told = make(SHORT, SHORT)
    assert told.get(timeout=SOON) == "all"
    limits.close()


def test_an_ended_trial_has_no_limit() -> None:
    """After the end no timer is left, whatever is heard of the trial."""
    before = threading.active_count()
    limits, told = make(LONG, LONG)
    limits.training_began()
    limits.close()
    limits.scoring_began()
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(SOON)
    assert threading.active_count() == before
    assert told.empty()
