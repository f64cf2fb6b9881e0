"""When an agent's next turn comes: every unhappy sequence ends, every pause is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.agents import TurnOutcome
from runner.turns import (
    LONGEST_PAUSE_SECONDS,
    MAX_FAILURES,
    MAX_IDLE_TURNS,
    MAX_OUTAGES,
    TurnPolicy,
)

GOOD = TurnOutcome(True, 3, "done", "")
CRASH = TurnOutcome(False, 0, "", "exit code 1 without a word")
IDLE = TurnOutcome(False, 0, "", "ended without a single tool call")
LOST = TurnOutcome(False, 0, "", "no session", session_lost=True)
OUTCOMES = st.tuples(st.sampled_from([GOOD, CRASH, IDLE, LOST]), st.integers(0, 2))


def turns_until_it_gives_up(outcome: TurnOutcome, trials_asked: int = 0) -> int:
    policy = TurnPolicy()
    for turn in range(1, 100):
        policy.take(outcome, trials_asked)
        if policy.gave_up() is not None:
            return turn
    raise AssertionError("it goes on for ever")


def test_a_crash_loop_ends() -> None:
    """A CLI that fails in every turn ends the run with its last error."""
    assert turns_until_it_gives_up(CRASH) == MAX_FAILURES
    policy = TurnPolicy(failures=MAX_FAILURES, error="no such model")
    assert "no such model" in (policy.gave_up() or "")


def test_an_agent_that_does_nothing_ends() -> None:
    """Turns without a tool call do not go on until the money is gone."""
    assert turns_until_it_gives_up(IDLE) == MAX_IDLE_TURNS


@given(st.lists(OUTCOMES, max_size=30))
def test_pauses_are_bounded(outcomes: list[tuple[TurnOutcome, int]]) -> None:
    """However turns end, the next one is not far away, and a good one's follows at once."""
    policy = TurnPolicy()
    for outcome, trials in outcomes:
        pause = policy.take(outcome, trials)
        assert 0 <= pause <= LONGEST_PAUSE_SECONDS
        assert (pause == 0) == outcome.good


@given(st.lists(st.sampled_from([CRASH, IDLE, LOST]), min_size=1, max_size=60))
def test_a_run_without_work_is_bounded(outcomes: list[TurnOutcome]) -> None:
    """No mixture of failing and idle turns goes on for longer than both bounds together."""
    policy = TurnPolicy()
    for number, outcome in enumerate(outcomes, start=1):
        policy.take(outcome, trials_asked=0)
        if policy.gave_up() is not None:
            return
        assert number < MAX_FAILURES + MAX_IDLE_TURNS


def test_pauses_between_failures_grow() -> None:
    """A provider or a CLI in trouble is left alone for longer each time."""
    policy = TurnPolicy()
    pauses = [policy.take(CRASH, 0) for _ in range(5)]
    assert pauses == sorted(set(pauses))


def test_a_good_turn_wipes_the_slate() -> None:
    """Failures count only in a row."""
    policy = TurnPolicy()
    for _ in range(3):
        for _ in range(MAX_FAILURES - 1):
            policy.take(CRASH, 0)
        assert policy.gave_up() is None
        policy.take(GOOD, 1)
    assert (policy.failures, policy.idle) == (0, 0)


def test_a_failing_turn_that_asked_for_trials_is_no_crash_loop() -> None:
    """An agent that works and whose CLI ends badly each time goes on to its budget."""
    policy = TurnPolicy()
    for _ in range(5 * MAX_FAILURES):
        policy.take(CRASH, trials_asked=1)
    assert policy.gave_up() is None


@pytest.mark.parametrize(
    ("outcomes", "resumes"),
    [
        ([CRASH], False),
        ([GOOD], True),
        ([GOOD, CRASH], True),
        ([GOOD, CRASH, LOST], False),
        ([GOOD, LOST, GOOD], True),
    ],
)
def test_a_session_is_resumed_when_there_is_one(outcomes: list[TurnOutcome], resumes: bool) -> None:
    """The first turn that worked makes a session; a lost one is begun anew."""
    policy = TurnPolicy()
    for outcome in outcomes:
        policy.take(outcome, trials_asked=0)
    assert policy.resume is resumes


def test_an_outage_is_waited_out() -> None:
    """Turns that fail while the provider is down are no failures of the agent, for hours."""
    policy = TurnPolicy()
    for _ in range(MAX_OUTAGES - 1):
        assert policy.take(CRASH, 0, provider_down=True) == LONGEST_PAUSE_SECONDS
        assert policy.gave_up() is None
    policy.take(CRASH, 0, provider_down=True)
    assert "out of reach" in (policy.gave_up() or "")
    policy.take(GOOD, 1)
    assert policy.gave_up() is None
