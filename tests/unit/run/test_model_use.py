"""What an agent spent on its model without a trial, as a driven agent's journal tells it."""

from __future__ import annotations

import pytest

from runner.records.layout import RunDir
from runner.records.schema import ModelUse, UsageRecord
from runner.run.drivers.driver import Closing
from runner.run.model_use import in_turns_without_trial, since_last_trial
from tests.unit.run.rig import AgentRig

DOLLAR = UsageRecord(
    at="", request="r", provider="openai", model="gpt", input_tokens=1000, cost_usd=1.0
)


@pytest.fixture
def rig(run_dir: RunDir) -> AgentRig:
    return AgentRig(run_dir)


def test_what_was_spent_without_a_trial_is_counted(rig: AgentRig) -> None:
    """Since the last trial, and in all turns without one, but for the closing one."""
    spend(rig, 1.0)  # in turn 1, with a trial half-way
    rig.driver.handle_trial_accepted()
    for usd in (2.0, 4.0):  # the rest of turn 1; then turn 2
        spend(rig, usd)
        rig.turn_ends()
        rig.driver.tick(0)
    rig.driver.handle_trial_accepted()
    spend(rig, 8.0)
    rig.turn_ends()
    rig.driver.tick(0)
    spend(rig, 16.0)  # in turn 4
    rig.driver.close(Closing("hours", told=False, can_think=True))
    rig.driver.tick(0)
    rig.turn_ends()
    rig.driver.tick(0)
    spend(rig, 32.0)  # in the closing turn
    events, spent = rig.journal.events(), rig.clock.spent()
    assert rig.prompts() == ["first", "nudge", "nudge", "nudge", "closing"]
    assert since_last_trial(events, spent) == used(8.0 + 16.0 + 32.0, turns=2)
    assert in_turns_without_trial(events, spent) == used(4.0 + 16.0, turns=2)


def test_a_run_without_any_trial_spent_everything_without_one(rig: AgentRig) -> None:
    """Its one turn is still under way when it ends."""
    spend(rig, 3.0)
    events, spent = rig.journal.events(), rig.clock.spent()
    assert since_last_trial(events, spent) == used(3.0, turns=1)
    assert in_turns_without_trial(events, spent) == used(3.0, turns=1)


def spend(rig: AgentRig, usd: float) -> None:
    """So many model requests of one dollar and a thousand tokens."""
    for _ in range(int(usd)):
        rig.clock.count_request(DOLLAR)


def used(usd: float, turns: int) -> ModelUse:
    return ModelUse(usd=usd, tokens=int(1000 * usd), requests=int(usd), turns=turns)
