"""How an agent is driven to the end of its run, against a scripted container and a still clock."""

from __future__ import annotations

import pytest

from runner.records.layout import RunDir
from runner.records.prompts import read_prompts
from runner.run.drivers.agent_driver import EXIT_SECONDS
from runner.run.drivers.driver import Closing, GaveUp
from runner.run.drivers.turn_policy import (
    HUNG_SECONDS,
    LONGEST_PAUSE_SECONDS,
    LOST_SECONDS,
    MAX_TURNS_WITHOUT_TRIAL,
)
from runner.wire.messages import Stop, Stopped, TurnInterrupt, TurnStart
from tests.unit.run.rig import GRACE_SECONDS, TIMEOUTS, AgentRig


@pytest.fixture
def rig(run_dir: RunDir) -> AgentRig:
    return AgentRig(run_dir)


def test_a_turn_follows_a_turn(rig: AgentRig) -> None:
    """After a good turn the session goes on with a nudge, one turn at a time."""
    rig.driver.tick(0)
    assert rig.peer.kinds() == ["turn.start"]
    rig.turn_ends()
    rig.driver.tick(0)
    rig.driver.tick(0)
    assert rig.prompts() == ["first", "nudge"]
    assert rig.clock.turns == 2
    first, second = (m for m in rig.peer.told if isinstance(m, TurnStart))
    assert "resume" not in first.argv
    assert "resume" in second.argv
    assert second.env == {"OPENAI_API_KEY": "token"}


def test_no_turn_begins_under_a_running_trial(rig: AgentRig) -> None:
    """A detached trial is waited for before the agent is nudged."""
    rig.turn_ends()
    rig.driver.tick(1)
    assert rig.prompts() == ["first"]
    rig.driver.tick(0)
    assert rig.prompts() == ["first", "nudge"]


def test_a_failed_turn_is_followed_later(rig: AgentRig) -> None:
    """After a failure there is a pause, its reason is in the journal, and no session to resume."""
    rig.transcript = []
    rig.turn_ends(exit_code=1)
    rig.driver.tick(0)
    assert rig.prompts() == ["first"]
    finished = [e for e in rig.journal.events() if e.event == "turn.finished"]
    assert finished[0].fields["good"] is False
    pause_seconds = finished[0].fields["next_turn_in_seconds"]
    assert pause_seconds > 0
    rig.tick_after(pause_seconds)
    assert rig.prompts() == ["first", "first"]


def test_a_hung_turn_is_interrupted_once_and_resumed(rig: AgentRig) -> None:
    """No sign of life for too long: the CLI is ended, and its session goes on in a new turn."""
    rig.turn_ends()
    rig.driver.tick(0)
    rig.tick_after(HUNG_SECONDS - 1)
    assert rig.peer.kinds() == ["turn.start", "turn.start"]
    rig.tick_after(1)
    rig.driver.tick(0)
    assert rig.peer.kinds() == ["turn.start", "turn.start", "turn.interrupt"]
    assert [e.fields["turn"] for e in rig.journal.events() if e.event == "turn.hung"] == [2]
    rig.turn_ends()
    rig.driver.tick(0)
    assert rig.prompts() == ["first", "nudge", "nudge"]


def test_a_turn_whose_end_was_lost_is_followed_by_the_next(rig: AgentRig) -> None:
    """The connection broke while it was said: the run does not wait for it until its hours end."""
    rig.tick_after(HUNG_SECONDS)
    rig.tick_after(LOST_SECONDS - 1)
    assert rig.peer.kinds() == ["turn.start", "turn.interrupt"]
    rig.tick_after(1)
    rig.driver.tick(0)
    assert len(rig.prompts()) == 2
    assert rig.peer.kinds() == ["turn.start", "turn.interrupt", "turn.start"]
    assert [e.event for e in rig.journal.events()].count("turn.lost") == 1


def test_a_turn_that_waits_for_a_trial_or_its_model_has_not_hung(rig: AgentRig) -> None:
    """A trial in flight and a model's answer are signs of life, however quiet the CLI is."""
    rig.tick_after(0.7 * HUNG_SECONDS, trials_in_flight=1)
    rig.tick_after(0.5 * HUNG_SECONDS)
    rig.driver.handle_provider_answer(200)
    rig.tick_after(0.6 * HUNG_SECONDS)
    assert rig.peer.kinds() == ["turn.start"]
    rig.tick_after(0.4 * HUNG_SECONDS)
    assert rig.peer.kinds() == ["turn.start", "turn.interrupt"]


def test_a_session_that_does_not_get_on_is_left_behind(rig: AgentRig) -> None:
    """The gateway refuses its history: the next turn begins afresh, and is told what to read."""
    rig.turn_ends()
    rig.driver.tick(0)
    rig.transcript = []
    rig.driver.handle_refusal("policy")
    rig.turn_ends(exit_code=1)
    rig.driver.handle_refusal("size")  # told after the turn's end
    rig.tick_after(LONGEST_PAUSE_SECONDS)
    assert rig.prompts() == ["first", "nudge", "fresh"]
    last = rig.peer.last()
    assert isinstance(last, TurnStart)
    assert "resume" not in last.argv
    assert all(name in rig.prompt() for name in ("program.md", "experiments.csv", "STATUS.md"))


def test_other_refusals_cost_no_session(rig: AgentRig) -> None:
    """They are not about what the session holds."""
    rig.turn_ends()
    rig.driver.tick(0)
    rig.transcript = []
    for reason in ("token", "path", "model", "busy", "cap", "quota", "flood", "uncounted") * 2:
        rig.driver.handle_refusal(reason)
    rig.turn_ends(exit_code=1)
    rig.tick_after(LONGEST_PAUSE_SECONDS)
    assert rig.prompts() == ["first", "nudge", "nudge"]


def test_a_turn_without_a_trial_is_told_so(rig: AgentRig) -> None:
    """And what is broken in its sandbox; after one with a trial nothing is said."""
    rig.turn_ends(wrong=["/workspace/train.py is gone\0\n" + "x" * 5000])
    rig.driver.tick(0)
    assert "/workspace/train.py is gone??x" in rig.prompt()
    assert "asked for no trial" in rig.prompt()
    assert len(rig.prompt()) < 3000
    assert "\0" not in rig.prompt()
    rig.driver.handle_trial_accepted()
    rig.turn_ends()
    rig.driver.tick(0)
    assert "asked for no trial" not in rig.prompt()
    assert "train.py is gone" not in rig.prompt()


def test_an_agent_without_trials_gives_up(rig: AgentRig) -> None:
    """However busy its turns look."""
    turns = 0
    while rig.driver.gave_up() is None:
        turns += 1
        assert turns <= MAX_TURNS_WITHOUT_TRIAL
        rig.turn_ends()
        if rig.driver.gave_up() is None:
            rig.driver.tick(0)
    assert rig.driver.gave_up() == GaveUp(f"no trial in {MAX_TURNS_WITHOUT_TRIAL} turns")
    rig.driver.tick(0)
    assert rig.clock.turns == MAX_TURNS_WITHOUT_TRIAL, "no turn begins after that"
    assert rig.driver.gave_up() is not None


def test_an_untold_turn_is_interrupted_and_a_closing_turn_follows(rig: AgentRig) -> None:
    """An agent that thinks when its hours end is interrupted and gets its turn for STATUS.md."""
    rig.driver.close(Closing("hours", told=False, can_think=True))
    assert isinstance(rig.peer.last(), Stop)
    assert not rig.driver.closed()
    rig.driver.tick(0)
    assert isinstance(rig.peer.last(), TurnInterrupt)
    rig.driver.tick(0)
    assert rig.prompts() == ["first"], "one turn at a time"
    rig.turn_ends(exit_code=-15)
    rig.driver.tick(0)
    assert rig.prompts() == ["first", "closing"]
    rig.turn_ends()
    rig.driver.tick(0)
    rig.driver.tick(0)
    assert rig.peer.kinds() == ["turn.start", "stop", "turn.interrupt", "turn.start", "stop"]
    assert rig.peer.last() == Stop("hours", 0.0)
    assert not rig.driver.closed()
    rig.driver.handle_message(Stopped("hours"))
    assert rig.driver.closed()


def test_a_told_turn_may_end_by_itself(rig: AgentRig) -> None:
    """An agent whose last trial said so writes its STATUS.md in the same turn; none follows."""
    rig.driver.close(Closing("trials", told=True, can_think=True))
    rig.driver.tick(0)
    rig.driver.tick(0)
    assert rig.peer.kinds() == ["turn.start", "stop"]
    rig.turn_ends()
    rig.driver.tick(0)
    assert rig.prompts() == ["first"]
    assert rig.peer.last() == Stop("trials", 0.0)


def test_a_told_turn_that_goes_on_is_interrupted_in_time(rig: AgentRig) -> None:
    """An agent that ignores the end is interrupted after half of the grace."""
    rig.driver.close(Closing("trials", told=True, can_think=True))
    rig.tick_after(0.5 * GRACE_SECONDS - 1)
    assert rig.peer.kinds() == ["turn.start", "stop"]
    rig.tick_after(1)
    assert rig.peer.kinds() == ["turn.start", "stop", "turn.interrupt"]
    rig.turn_ends(exit_code=-15)
    rig.driver.tick(0)
    assert rig.prompts() == ["first", "closing"], "half of the grace is left"
    rig.tick_after(0.5 * GRACE_SECONDS)
    assert isinstance(rig.peer.last(), TurnInterrupt), "of the closing turn, at the end of it"
    rig.turn_ends(exit_code=-15)
    rig.driver.tick(0)
    assert rig.peer.last() == Stop("trials", 0.0)


def test_without_money_there_is_no_closing_turn(rig: AgentRig) -> None:
    """When the model may not be asked any more, the running turn ends and nothing follows."""
    rig.driver.close(Closing("usd", told=False, can_think=False))
    rig.driver.tick(0)
    rig.turn_ends(exit_code=-15)
    rig.driver.tick(0)
    assert rig.prompts() == ["first"]
    assert rig.peer.last() == Stop("usd", 0.0)


def test_a_turn_that_ends_as_the_run_does_is_followed_by_the_closing_turn(rig: AgentRig) -> None:
    """It finished before it could be interrupted: the agent still gets its turn for STATUS.md."""
    rig.driver.close(Closing("hours", told=False, can_think=True))
    rig.turn_ends()
    rig.driver.tick(0)
    assert rig.prompts() == ["first", "closing"]
    assert rig.peer.kinds() == ["turn.start", "stop", "turn.start"]


def test_a_hung_turn_that_was_told_of_the_end_gets_its_time(rig: AgentRig) -> None:
    """It was interrupted already, and is interrupted again after half of the grace."""
    rig.tick_after(HUNG_SECONDS)
    rig.driver.close(Closing("trials", told=True, can_think=False))
    rig.tick_after(0.5 * GRACE_SECONDS)
    assert rig.peer.kinds() == ["turn.start", "turn.interrupt", "stop", "turn.interrupt"]
    rig.turn_ends(exit_code=-15)
    rig.driver.tick(0)
    assert rig.peer.last() == Stop("trials", 0.0)


def test_a_run_that_ends_between_two_turns_has_a_closing_turn(rig: AgentRig) -> None:
    """The agent waits for its trial while the hours end; a closing turn that cannot start packs."""
    rig.turn_ends()
    rig.driver.close(Closing("hours", told=False, can_think=True))
    rig.peer.there = False
    rig.driver.tick(0)
    assert rig.prompts() == ["first", "closing"]
    assert rig.peer.last() == Stop("hours", 0.0)


def test_nothing_is_asked_of_a_container_that_is_down(rig: AgentRig) -> None:
    """It said that it stops: no turn follows until it has been started again, and then a nudge."""
    rig.driver.handle_message(Stopped("its deadline"))
    rig.driver.container_died()
    rig.tick_after(LONGEST_PAUSE_SECONDS)
    assert rig.driver.gave_up() is None
    assert rig.prompts() == ["first"]
    rig.driver.container_restarted()
    rig.driver.tick(0)
    assert rig.prompts() == ["first", "nudge"]


def test_a_container_that_was_down_when_the_run_ended_packs(rig: AgentRig) -> None:
    """Nobody heard the stop, so it comes again."""
    rig.driver.container_died()
    rig.peer.there = False
    rig.driver.close(Closing("hours", told=False, can_think=True))
    rig.driver.tick(0)
    rig.peer.there = True
    rig.driver.container_restarted()
    assert isinstance(rig.peer.last(), Stop)
    rig.driver.handle_message(Stopped("stop"))
    assert rig.driver.closed()


def test_a_container_that_stops_unasked_and_stays_suspends_the_run(rig: AgentRig) -> None:
    """Its exit gets a while to come first."""
    rig.driver.handle_message(Stopped("SIGTERM"))
    assert rig.driver.gave_up() is None
    rig.tick_after(EXIT_SECONDS)
    lost = GaveUp("its PID 1 stopped unasked, and its container still runs")
    assert rig.driver.gave_up() == lost
    rig.driver.close(Closing("hours", told=False, can_think=True))
    assert rig.driver.gave_up() is None


def test_an_agent_of_an_earlier_life_goes_on_with_its_session(run_dir: RunDir) -> None:
    """A resumed run's first turn is a nudge."""
    rig = AgentRig(run_dir, resumed=True)
    assert rig.prompts() == ["nudge"]


def test_a_silent_container_does_not_hold_up_the_end(rig: AgentRig) -> None:
    """One that answers nothing is given up on in time to stop it before the grace is over."""
    rig.driver.close(Closing("hours", told=False, can_think=True))
    rig.tick_after(GRACE_SECONDS - TIMEOUTS.stopping_seconds - 1)
    assert not rig.driver.closed()
    rig.tick_after(1)
    assert rig.driver.closed()


def test_a_closing_turn_leaves_time_to_pack(rig: AgentRig) -> None:
    """It is told how long it has, is interrupted then, and no other turn begins after that."""
    rig.turn_ends()
    rig.driver.close(Closing("hours", told=False, can_think=True))
    rig.driver.tick(0)
    for_turns = GRACE_SECONDS - TIMEOUTS.packing_seconds
    assert f"{for_turns:.0f} seconds" in rig.prompt()
    rig.tick_after(for_turns - 1)
    assert not isinstance(rig.peer.last(), TurnInterrupt)
    rig.tick_after(1)
    assert isinstance(rig.peer.last(), TurnInterrupt)
    rig.turn_ends(exit_code=-15)
    rig.driver.tick(0)
    assert rig.peer.last() == Stop("hours", 0.0)
    assert rig.prompts() == ["first", "closing"]


def test_an_agent_that_no_word_reaches_packs_in_time(rig: AgentRig) -> None:
    """Its own grace is over after the last turn's, and before the runner stops waiting."""
    rig.driver.close(Closing("hours", told=False, can_think=True))
    (stop,) = (message for message in rig.peer.told if isinstance(message, Stop))
    turns_until = GRACE_SECONDS - TIMEOUTS.packing_seconds
    assert turns_until < stop.grace_seconds < GRACE_SECONDS - TIMEOUTS.stopping_seconds


def test_a_stray_end_of_a_turn_is_not_counted(rig: AgentRig) -> None:
    """A container that says twice that its turn ended starts one turn."""
    rig.turn_ends()
    rig.turn_ends()
    assert len([e for e in rig.journal.events() if e.event == "turn.finished"]) == 1


def test_each_prompt_is_kept_as_it_was_sent(rig: AgentRig, run_dir: RunDir) -> None:
    """The run's directory has the words that the container got, turn by turn."""
    first = rig.prompt()
    rig.turn_ends()
    rig.tick_after(0)
    kept = read_prompts(run_dir)
    assert [(one.name, one.text) for one in kept] == [("first", first), ("nudge", rig.prompt())]
