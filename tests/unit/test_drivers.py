"""How contestants are driven to their end, against a scripted container."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from runner.agents import load_agent
from runner.clock import Clock
from runner.drivers import AgentDriver, Closing, OptimizerDriver, Patience
from runner.journal import Journal
from runner.layout import RunDir
from runner.protocol import Message, Stop, Stopped, TurnFinished, TurnInterrupt, TurnStart
from runner.sandbox import Peer
from runner.spec import Budget

WORKED = [
    {"type": "item.completed", "item": {"type": "command_execution"}},
    {"type": "turn.completed"},
]
PATIENCE = Patience(grace_seconds=60.0)


class ScriptedPeer(Peer):
    """A container that keeps what it is told and, like a real one, may be gone."""

    def __init__(self) -> None:
        self.told: list[Message] = []
        self.there = True

    def send(self, message: Message) -> bool:
        self.told.append(message)
        return self.there

    def kinds(self) -> list[str]:
        return [message.event for message in self.told]

    def last(self) -> Message:
        return self.told[-1]


class Stage:
    """An agent driver, its container, and the transcript that its turns leave."""

    def __init__(self, run_dir: RunDir, patience: Patience = PATIENCE) -> None:
        self.peer = ScriptedPeer()
        self.clock = Clock(Budget(trials=6))
        self.journal = Journal(run_dir)
        self.transcript = [json.dumps(event) for event in WORKED]
        self.driver = AgentDriver(
            load_agent("gpt"), self.peer, "token", self.journal,
            lambda: dict.fromkeys(
                ("run_id", "task", "branch", "trial_seconds", "budget", "left"), "x"
            ),
            lambda *_: self.transcript,
            self.clock, resumed=False, patience=patience,
        )  # fmt: skip
        self.driver.begin()

    def turn_ends(self, exit_code: int = 0) -> None:
        self.driver.heard(TurnFinished(self.clock.turns, exit_code, 1.0, "/transcript"))

    def prompts(self) -> list[str]:
        events = self.journal.events()
        return [str(e.fields["prompt"]) for e in events if e.event == "turn.started"]


@pytest.fixture
def stage(run_dir: RunDir) -> Stage:
    return Stage(run_dir)


def until(met: Callable[[], bool], tick: Callable[[], None]) -> None:
    """Tick until the condition is met, for ten seconds at most."""
    limit = time.monotonic() + 10
    while not met():
        assert time.monotonic() < limit, "it did not come to that"
        tick()


def test_a_turn_follows_a_turn(stage: Stage) -> None:
    """After a good turn the session goes on with a nudge, one turn at a time."""
    stage.driver.tick(0)
    assert stage.peer.kinds() == ["turn.start"]
    stage.turn_ends()
    stage.driver.tick(0)
    stage.driver.tick(0)
    assert stage.prompts() == ["first", "nudge"]
    assert stage.clock.turns == 2
    first, second = (m for m in stage.peer.told if isinstance(m, TurnStart))
    assert "resume" not in first.argv
    assert "resume" in second.argv
    assert second.env == {"OPENAI_API_KEY": "token"}


def test_no_turn_begins_under_a_running_trial(stage: Stage) -> None:
    """A detached trial is waited for before the agent is nudged."""
    stage.turn_ends()
    stage.driver.tick(1)
    assert stage.prompts() == ["first"]
    stage.driver.tick(0)
    assert stage.prompts() == ["first", "nudge"]


def test_a_failed_turn_is_followed_later(stage: Stage) -> None:
    """After a failure there is a pause, its reason is in the journal, and no session to resume."""
    stage.transcript = []
    stage.turn_ends(exit_code=1)
    stage.driver.tick(0)
    assert stage.prompts() == ["first"]
    finished = [e for e in stage.journal.events() if e.event == "turn.finished"]
    assert finished[0].fields["good"] is False
    assert finished[0].fields["next_turn_in_seconds"] > 0


def test_a_hung_turn_is_interrupted_once_and_resumed(run_dir: RunDir) -> None:
    """No sign of life for too long: the CLI is ended, and its session goes on in a new turn."""
    stage = Stage(run_dir, Patience(grace_seconds=60.0, hung_seconds=0.05))
    stage.turn_ends()
    stage.driver.tick(0)
    until(lambda: stage.peer.kinds()[-1] == "turn.interrupt", lambda: stage.driver.tick(0))
    stage.driver.tick(0)
    assert stage.peer.kinds() == ["turn.start", "turn.start", "turn.interrupt"]
    assert [e.fields["turn"] for e in stage.journal.events() if e.event == "turn.hung"] == [2]
    stage.turn_ends()
    stage.driver.tick(0)
    assert stage.prompts() == ["first", "nudge", "nudge"]


def test_a_turn_whose_end_was_lost_is_followed_by_the_next(run_dir: RunDir) -> None:
    """The connection broke while it was said: the run does not wait for it until its hours end."""
    stage = Stage(run_dir, Patience(grace_seconds=60.0, hung_seconds=0.05, lost_seconds=0.05))
    until(lambda: len(stage.prompts()) == 2, lambda: stage.driver.tick(0))
    assert stage.peer.kinds() == ["turn.start", "turn.interrupt", "turn.start"]
    assert [e.event for e in stage.journal.events()].count("turn.lost") == 1


def test_a_turn_that_waits_for_a_trial_or_its_model_has_not_hung(run_dir: RunDir) -> None:
    """A trial in flight and a model's answer are signs of life, however quiet the CLI is."""
    stage = Stage(run_dir, Patience(grace_seconds=60.0, hung_seconds=1.0))
    began = time.monotonic()

    def quiet_until(seconds: float, trials: int = 0) -> None:
        until(lambda: time.monotonic() - began >= seconds, lambda: stage.driver.tick(trials))

    quiet_until(0.7, trials=1)
    quiet_until(1.2)
    stage.driver.provider_answered(200)
    quiet_until(1.8)
    assert stage.peer.kinds() == ["turn.start"]


def test_an_untold_turn_is_interrupted_and_a_closing_turn_follows(stage: Stage) -> None:
    """An agent that thinks when its hours end is interrupted and gets its turn for STATUS.md."""
    stage.driver.close(Closing("hours", told=False, can_think=True))
    assert isinstance(stage.peer.last(), Stop)
    assert not stage.driver.closed()
    stage.driver.tick(0)
    assert isinstance(stage.peer.last(), TurnInterrupt)
    stage.driver.tick(0)
    assert stage.prompts() == ["first"], "one turn at a time"
    stage.turn_ends(exit_code=-15)
    stage.driver.tick(0)
    assert stage.prompts() == ["first", "closing"]
    stage.turn_ends()
    stage.driver.tick(0)
    stage.driver.tick(0)
    assert stage.peer.kinds() == ["turn.start", "stop", "turn.interrupt", "turn.start", "stop"]
    assert stage.peer.last() == Stop("hours", 0.0)
    assert not stage.driver.closed()
    stage.driver.heard(Stopped("hours"))
    assert stage.driver.closed()


def test_a_told_turn_may_end_by_itself(stage: Stage) -> None:
    """An agent whose last trial said so writes its STATUS.md in the same turn; none follows."""
    stage.driver.close(Closing("trials", told=True, can_think=True))
    stage.driver.tick(0)
    stage.driver.tick(0)
    assert stage.peer.kinds() == ["turn.start", "stop"]
    stage.turn_ends()
    stage.driver.tick(0)
    assert stage.prompts() == ["first"]
    assert stage.peer.last() == Stop("trials", 0.0)


def test_a_told_turn_that_goes_on_is_interrupted_in_time(run_dir: RunDir) -> None:
    """An agent that ignores the end is interrupted after half of the grace."""
    stage = Stage(run_dir, Patience(grace_seconds=0.4))
    stage.driver.close(Closing("trials", told=True, can_think=True))
    until(lambda: "turn.interrupt" in stage.peer.kinds(), lambda: stage.driver.tick(0))
    stage.turn_ends(exit_code=-15)
    stage.driver.tick(0)
    assert stage.prompts()[-1] in ("closing", "first")
    assert stage.peer.kinds()[:3] == ["turn.start", "stop", "turn.interrupt"]


def test_without_money_there_is_no_closing_turn(stage: Stage) -> None:
    """When the model may not be asked any more, the running turn ends and nothing follows."""
    stage.driver.close(Closing("usd", told=False, can_think=False))
    stage.driver.tick(0)
    stage.turn_ends(exit_code=-15)
    stage.driver.tick(0)
    assert stage.prompts() == ["first"]
    assert stage.peer.last() == Stop("usd", 0.0)


def test_a_silent_container_does_not_hold_up_the_end(run_dir: RunDir) -> None:
    """A container that answers nothing any more is given up on when the grace period is over."""
    stage = Stage(run_dir, Patience(grace_seconds=-60.0))  # it was over a minute ago
    stage.peer.there = False
    stage.driver.close(Closing("hours", told=False, can_think=True))
    stage.driver.tick(0)
    assert stage.driver.closed()


def test_a_stray_end_of_a_turn_is_not_counted(stage: Stage) -> None:
    """A container that says twice that its turn ended starts one turn."""
    stage.turn_ends()
    stage.turn_ends()
    assert len([e for e in stage.journal.events() if e.event == "turn.finished"]) == 1


def test_an_optimiser_is_told_and_closes() -> None:
    """A sampler is sent one stop and is closed by its answer."""
    peer = ScriptedPeer()
    driver = OptimizerDriver(peer)
    driver.begin()
    driver.trial_asked()
    driver.tick(0)
    assert peer.told == []
    assert driver.gave_up() is None
    driver.close(Closing("trials", told=True, can_think=False))
    assert peer.kinds() == ["stop"]
    assert not driver.closed()
    driver.heard(Stopped("stop"))
    assert driver.closed()


def test_a_sampler_that_has_nothing_left_to_ask_gives_up() -> None:
    """An exhausted grid ends its run with its reason."""
    driver = OptimizerDriver(ScriptedPeer())
    driver.heard(Stopped("the grid is exhausted"))
    assert "exhausted" in (driver.gave_up() or "")
