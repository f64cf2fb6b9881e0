"""The limits on a trial's time: each of its parts has its own, and an ended trial has none."""

from __future__ import annotations

import queue
import threading
from dataclasses import replace

from runner.trials.outcome import Overrun
from runner.trials.timers import Timers
from tests.unit.trials.test_outcome import TRAINER

SHORT, LONG = 0.05, 600.0
SOON = 60.0


def make(
    train_seconds: float, limit_seconds: float, margin_seconds: float = 0.0
) -> tuple[Timers, queue.Queue[Overrun]]:
    """Timers that have begun, and what they say."""
    told: queue.Queue[Overrun] = queue.Queue()
    trainer = replace(TRAINER, train_seconds=train_seconds, limit_seconds=limit_seconds)
    made = Timers(trainer, margin_seconds)
    made.begin(told.put)
    return made, told


def test_training_has_a_limit() -> None:
    """A trial that does not ask for its score in time is ended for that."""
    timers, told = make(SHORT, SHORT, margin_seconds=LONG)
    timers.training_began()
    assert told.get(timeout=SOON) == "training"
    timers.close()


def test_scoring_has_a_limit_of_its_own() -> None:
    """From the request on, the training's limit is void and the scoring's runs."""
    timers, told = make(LONG, SHORT)
    timers.training_began()
    timers.scoring_began()
    assert told.get(timeout=SOON) == "scoring"
    timers.close()


def test_a_scored_trial_may_still_end() -> None:
    """When the judge is done, the scoring's limit is void, and the limit on everything holds."""
    timers, told = make(SHORT, 1.0)
    timers.training_began()
    timers.scoring_began()
    timers.scoring_ended()
    assert told.get(timeout=SOON) == "all"
    timers.close()


def test_a_request_before_the_start_was_seen_is_a_request() -> None:
    """The two come from two containers, so they may come in either order."""
    timers, told = make(LONG, SHORT)
    timers.scoring_began()
    timers.training_began()
    assert told.get(timeout=SOON) == "scoring"
    timers.close()


def test_a_trial_whose_start_was_never_seen_ends_too() -> None:
    """The limit on everything runs from the making of the container."""
    timers, told = make(SHORT, SHORT)
    assert told.get(timeout=SOON) == "all"
    timers.close()


def test_an_ended_trial_has_no_limit() -> None:
    """After the end none of its timers is left, whatever is heard of the trial."""
    before = set(threading.enumerate())

    def own() -> list[threading.Timer]:
        now = threading.enumerate()
        return [one for one in now if isinstance(one, threading.Timer) and one not in before]

    timers, told = make(LONG, LONG)
    timers.training_began()
    assert len(own()) == 2
    timers.close()
    timers.scoring_began()
    for timer in own():
        timer.join(SOON)
    assert own() == []
    assert told.empty()
