"""The table of an agent's states: every state is reached, and every one comes to its end."""

from __future__ import annotations

import pytest

from runner.run.drivers.agent_states import TRANSITIONS, TURN_RUNS, Event, State

BEFORE_THE_END = [State.WAITING, State.WORKING, State.INTERRUPTED, State.DOWN]


def reached_from(state: State) -> set[State]:
    """All states that some sequence of events leads to."""
    found: set[State] = set()
    to_do = [state]
    while to_do:
        for after in TRANSITIONS[to_do.pop()].values():
            if after not in found:
                found.add(after)
                to_do.append(after)
    return found


def test_every_state_is_in_the_table_and_can_be_reached() -> None:
    """No state is left over, and none is without a row."""
    assert set(TRANSITIONS) == set(State)
    assert {State.WAITING} | reached_from(State.WAITING) == set(State)


@pytest.mark.parametrize("state", State)
def test_a_container_that_is_done_is_over_in_any_state(state: State) -> None:
    """It may say so at any time, and nothing follows."""
    assert TRANSITIONS[state][Event.STOPPED] is State.OVER
    assert reached_from(State.OVER) == {State.OVER}


@pytest.mark.parametrize("state", [state for state in State if state not in BEFORE_THE_END])
def test_a_run_that_ends_does_not_go_back_to_work(state: State) -> None:
    """After its end an agent neither waits for a turn nor begins one, but for the closing one."""
    assert not reached_from(state) & set(BEFORE_THE_END)


@pytest.mark.parametrize("told", [Event.RUN_ENDED_TOLD, Event.RUN_ENDED_UNTOLD])
@pytest.mark.parametrize("state", BEFORE_THE_END)
def test_a_run_can_end_in_any_state(state: State, told: Event) -> None:
    """Its end is always the way to packing, and never skips it while a turn runs."""
    after = TRANSITIONS[state][told]
    assert State.PACKING in reached_from(after)
    assert (after in TURN_RUNS) == (state in TURN_RUNS)


def test_a_turn_runs_in_these_states() -> None:
    """Between two turns and after the last one none does."""
    idle = {State.WAITING, State.DOWN, State.ENDING, State.PACKING, State.OVER}
    assert set(State) - TURN_RUNS == idle
