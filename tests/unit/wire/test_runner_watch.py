"""When a container takes its runner for gone, by a clock that only a test moves."""

from __future__ import annotations

import asyncio

from runner.wire.runner_watch import TICK_SECONDS, RunnerWatch

ORPHAN_SECONDS = 600.0


class Hands:
    """The hands of a clock."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def ticks(watch: RunnerWatch, hands: Hands, seconds: float) -> int:
    """Let so much time pass, tick by tick; how often the runner was found to be gone."""
    found = 0
    for _ in range(round(seconds / watch.tick_seconds)):
        hands.at += watch.tick_seconds
        found += watch.tick()
    return found


def test_a_runner_is_gone_once_it_was_silent_for_long_enough() -> None:
    """It is said once, and the time counts from the last that was heard."""
    hands = Hands()
    watch = RunnerWatch(ORPHAN_SECONDS, hands)
    assert ticks(watch, hands, ORPHAN_SECONDS - TICK_SECONDS) == 0
    assert not watch.heard(), "it was there all the time"
    assert ticks(watch, hands, ORPHAN_SECONDS - TICK_SECONDS) == 0
    assert not watch.gone
    assert ticks(watch, hands, 2 * ORPHAN_SECONDS) == 1
    assert watch.silent_seconds >= ORPHAN_SECONDS


def test_a_runner_that_is_heard_again_is_back() -> None:
    """Then it may fall silent once more."""
    hands = Hands()
    watch = RunnerWatch(ORPHAN_SECONDS, hands)
    assert ticks(watch, hands, ORPHAN_SECONDS) == 1
    assert watch.heard()
    assert not watch.gone
    assert ticks(watch, hands, ORPHAN_SECONDS) == 1


def test_time_in_which_the_container_did_not_run_is_no_silence() -> None:
    """After a pause of a day there is still time to read what was sent meanwhile."""
    hands = Hands()
    watch = RunnerWatch(ORPHAN_SECONDS, hands)
    ticks(watch, hands, ORPHAN_SECONDS / 2)
    hands.at += 24 * 3600
    assert not watch.tick()
    assert watch.silent_seconds <= ORPHAN_SECONDS / 2 + 2 * TICK_SECONDS


def test_without_a_bound_a_runner_is_never_gone() -> None:
    """So it was for containers that are told none."""
    hands = Hands()
    watch = RunnerWatch(None, hands)
    assert ticks(watch, hands, 24 * 3600) == 0
    assert not watch.gone
    assert not watch.heard()


def test_a_short_bound_is_looked_at_often() -> None:
    """A bound of two seconds is not noticed after five."""
    assert RunnerWatch(2.0).tick_seconds <= 0.2
    assert RunnerWatch(ORPHAN_SECONDS).tick_seconds == TICK_SECONDS


async def test_the_silence_is_told_while_it_runs() -> None:
    """On the real clock: a runner that says nothing is gone soon."""
    gone = asyncio.Event()
    watch = RunnerWatch(0.05)
    running = asyncio.create_task(watch.run(gone.set))
    await asyncio.wait_for(gone.wait(), 10)
    running.cancel()
    assert watch.gone
