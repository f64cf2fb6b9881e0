"""How long the loop of a run sleeps, so that many runs can wait on one machine."""

from __future__ import annotations

import pytest

from runner.records.layout import RunDir
from runner.run.loop_parts import (
    SHORTEST_TICK_SECONDS,
    SIGN_OF_LIFE_SECONDS,
    TICK_SECONDS,
    WAITING_SIGN_OF_LIFE_SECONDS,
    WAITING_TICK_SECONDS,
)
from runner.spec import Budget
from tests.unit.run.loop_rig import LoopRig


def test_a_run_that_only_waits_for_a_device_looks_around_half_as_often(run_dir: RunDir) -> None:
    """It is so while all its trials wait, and no longer once one of them has a device."""
    rig = LoopRig(run_dir, Budget(trials=5))
    assert rig.parts.tick_seconds() == TICK_SECONDS
    rig.clock.lease_wait_began(1, rig.hands.at)
    rig.clock.lease_wait_began(2, rig.hands.at)
    assert rig.parts.tick_seconds() == WAITING_TICK_SECONDS
    rig.clock.lease_wait_ended(1, rig.hands.at)
    rig.clock.attempt_began(1, rig.hands.at)
    assert rig.parts.tick_seconds() == TICK_SECONDS
    rig.clock.attempt_ended(1, rig.hands.at)
    assert rig.parts.tick_seconds() == WAITING_TICK_SECONDS


@pytest.mark.parametrize(
    ("left", "tick"), [(1.25, 1.25), (0.0, SHORTEST_TICK_SECONDS), (60.0, WAITING_TICK_SECONDS)]
)
def test_an_agent_that_works_while_it_waits_meets_its_hours(
    run_dir: RunDir, left: float, tick: float
) -> None:
    """Time counts for it meanwhile, so the loop sleeps no longer than what is left of it."""
    rig = LoopRig(run_dir, Budget(hours=0.05), role="agent")
    rig.hands.at += 0.05 * 3600 - left
    rig.clock.lease_wait_began(1, rig.hands.at)
    assert rig.clock.wall_seconds_left() == pytest.approx(left)
    assert rig.parts.tick_seconds() == pytest.approx(tick)


@pytest.mark.parametrize(
    ("role", "seconds"),
    [("optimizer", WAITING_SIGN_OF_LIFE_SECONDS), ("agent", SIGN_OF_LIFE_SECONDS)],
)
def test_only_a_wait_that_costs_no_time_is_read_less_often(
    run_dir: RunDir, role: str, seconds: float
) -> None:
    """An agent may work while its trial waits, so its time is kept every second all the same."""
    rig = LoopRig(run_dir, Budget(trials=5), role=role)
    assert rig.parts.sign_of_life_seconds() == SIGN_OF_LIFE_SECONDS
    rig.clock.lease_wait_began(1, rig.hands.at)
    assert rig.parts.sign_of_life_seconds() == seconds
