"""When an agent's next turn comes: every unhappy sequence ends, every pause is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.agents import TurnOutcome, load_agent
from runner.run.drivers.turn_policy import (
    LONGEST_PAUSE_SECONDS,
    MAX_FAILURES,
    MAX_IDLE_TURNS,
    MAX_OUTAGES,
    MAX_TURNS_WITHOUT_TRIAL,
    TurnPolicy,
)

GOOD = TurnOutcome("good", 3, "")
CRASH = TurnOutcome("failed", 0, "exit code 1 without a word")
IDLE = TurnOutcome("idle", 0, "ended without a single tool call")
LOST = TurnOutcome("failed", 0, "no session", session_lost=True)
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


SENTENCES = [
    "This model's maximum context length is 200000 tokens. However, your messages resulted in more",
    "input length and `max_tokens` exceed context limit: 199000 + 32000 > 200000",
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "messages.7.content.0: unexpected tool_use_id found in tool_result blocks",
    "Invalid signature in thinking block",
    "exit code 1 without a word",
]


@pytest.mark.parametrize("agent", ["opus", "gpt", "gemini"])
@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_session_that_fails_three_times_is_begun_afresh(agent: str, sentence: str) -> None:
    """Whatever the CLI says of it: no list of sentences is ever complete."""
    policy = TurnPolicy(resume=True)
    for turn in range(1, MAX_FAILURES):
        policy.take(load_agent(agent).judge([], 1, f"request {turn}: {sentence}"), trials_asked=0)
        assert turn < 3 or not policy.resume
        assert policy.gave_up() is None
    policy.take(load_agent(agent).judge([], 1, sentence), trials_asked=0)
    assert policy.gave_up() is not None


def test_a_session_that_idles_three_times_is_begun_afresh() -> None:
    """One that believes that it is done says so again for as long as it is asked."""
    policy = TurnPolicy(resume=True)
    resumed = []
    for _ in range(3):
        policy.take(IDLE, trials_asked=0)
        resumed.append(policy.resume)
    assert resumed == [True, True, False]


def test_the_fresh_session_is_given_its_own_chances() -> None:
    """It is resumed once it has worked, and is not thrown away with its first failure."""
    policy = TurnPolicy(resume=True)
    for _ in range(3):
        policy.take(CRASH, trials_asked=0)
    policy.take(GOOD, trials_asked=1)
    assert policy.resume
    policy.take(CRASH, trials_asked=0)
    assert policy.resume


def test_a_long_outage_may_be_the_sessions_own() -> None:
    """A request that a provider answers with 500 each time looks the same: once, another is sent.

    Before that, the session outlives any outage of some minutes.
    """
    policy = TurnPolicy(resume=True)
    resumed = []
    for _ in range(MAX_OUTAGES - 1):
        policy.take(CRASH, 0, provider_down=True)
        resumed.append(policy.resume)
    assert resumed.index(False) * LONGEST_PAUSE_SECONDS >= 15 * 60


def turns_with_refusals(*refusals: int, outcome: TurnOutcome = CRASH) -> list[bool]:
    """Whether each turn after one with so many refusals of the gateway resumes the session."""
    policy = TurnPolicy(resume=True)
    policy.begin()
    resumed = []
    for number in refusals:
        policy.take(outcome, trials_asked=0)
        for _ in range(number):
            policy.refused()
        resumed.append(policy.begin())
    return resumed


@pytest.mark.parametrize(
    ("refusals", "resumed"),
    [
        ((1,), [True]),
        ((2,), [False]),
        ((1, 1), [True, False]),
        ((1, 0), [True, True]),
        ((0, 7), [True, False]),
    ],
)
def test_what_is_refused_again_and_again_is_left_behind(
    refusals: tuple[int, ...], resumed: list[bool]
) -> None:
    """A CLI sends its history each time: what the gateway refused once is refused for ever."""
    assert turns_with_refusals(*refusals)[: len(resumed)] == resumed


def test_refusals_of_a_turn_that_went_well_cost_no_session() -> None:
    """An agent that tried something forbidden and went on has no bad history."""
    assert turns_with_refusals(3, 3, outcome=GOOD) == [True, True]


@pytest.mark.parametrize("outcome", [GOOD, IDLE])
def test_turns_without_a_trial_come_to_an_end(outcome: TurnOutcome) -> None:
    """However many tool calls they make: work is trials."""
    policy = TurnPolicy(resume=True)
    turns = 0
    while policy.gave_up() is None:
        policy.take(outcome, trials_asked=0)
        turns += 1
        assert turns <= MAX_TURNS_WITHOUT_TRIAL
    if outcome.good:
        assert policy.gave_up() == f"no trial in {turns} turns"


def test_an_agent_may_think_for_a_turn_or_two() -> None:
    """Trials now and then are enough: only turns in a row count."""
    policy = TurnPolicy(resume=True)
    for _ in range(20):
        for _ in range(MAX_TURNS_WITHOUT_TRIAL - 1):
            policy.take(GOOD, trials_asked=0)
        policy.take(CRASH, trials_asked=1)
    assert policy.gave_up() is None


def test_turns_that_the_provider_spoilt_are_not_counted() -> None:
    """An agent that cannot ask its model cannot ask for a trial."""
    policy = TurnPolicy(resume=True)
    for _ in range(3 * MAX_TURNS_WITHOUT_TRIAL):
        policy.take(CRASH, 0, provider_down=True)
    assert policy.without_trial == 0


def test_trials_of_a_turn_that_an_outage_ended_are_counted() -> None:
    """A turn that asked for trials before the provider went down is no turn without one."""
    policy = TurnPolicy(resume=True)
    for _ in range(MAX_TURNS_WITHOUT_TRIAL - 1):
        policy.take(GOOD, 0)
    policy.take(CRASH, 3, provider_down=True)
    policy.take(GOOD, 0)
    assert (policy.without_trial, policy.gave_up()) == (1, None)


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
