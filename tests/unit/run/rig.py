"""What the tests of a run share: a clock that only a test moves, and a scripted agent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial

from runner.agents import load_agent
from runner.budget_clock import BudgetClock
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.records.prompts import keep_prompt
from runner.run.drivers.agent_driver import AgentDriver, TurnMaker
from runner.run.drivers.turn_policy import TurnTimeouts
from runner.sandbox.peer import Peer
from runner.spec import Budget
from runner.wire.messages import Message, TurnFinished, TurnStart

WORKED = [  # the transcript of a turn of Codex that used a tool
    json.dumps({"type": "item.completed", "item": {"type": "command_execution"}}),
    json.dumps({"type": "turn.completed"}),
]
GRACE_SECONDS = 60.0
TIMEOUTS = TurnTimeouts(grace_seconds=GRACE_SECONDS)
PROMPT_VALUES: dict[str, object] = dict.fromkeys(
    (
        *("run_id", "task", "branch", "trial_seconds", "budget", "left", "meanwhile", "together"),
        *("metric", "lower", "lowest"),
    ),
    "x",
)


@dataclass
class Hands:
    """The hands of a clock that only a test moves."""

    at: float = 0.0

    def __call__(self) -> float:
        return self.at


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


class AgentRig:
    """An agent driver whose first turn has begun, its container, and the transcript of its turns.

    Its clock stands still until `hands.at` is moved.
    """

    def __init__(
        self, run_dir: RunDir, timeouts: TurnTimeouts = TIMEOUTS, *, resumed: bool = False
    ) -> None:
        self.hands = Hands()
        self.peer = ScriptedPeer()
        self.clock = BudgetClock(Budget(trials=6), now=self.hands)
        self.journal = Journal(run_dir)
        self.transcript = WORKED
        turns = TurnMaker(
            load_agent("gpt"), "token", lambda: dict(PROMPT_VALUES), lambda *_: self.transcript,
            partial(keep_prompt, run_dir),
        )  # fmt: skip
        self.driver = AgentDriver(
            turns, self.peer, self.journal, self.clock, timeouts, resumed=resumed
        )
        self.driver.begin()

    def turn_ends(self, exit_code: int = 0, wrong: list[str] | None = None) -> None:
        finished = TurnFinished(self.clock.turns, exit_code, 1.0, "/transcript", "", wrong or [])
        self.driver.handle_message(finished)

    def tick_after(self, seconds: float, trials_in_flight: int = 0) -> None:
        """Let so much time pass, then tick."""
        self.hands.at += seconds
        self.driver.tick(trials_in_flight)

    def prompt(self) -> str:
        """The prompt of the last turn."""
        last = self.peer.last()
        assert isinstance(last, TurnStart)
        return last.argv[-1]

    def prompts(self) -> list[str]:
        """The names of the prompts of all turns so far."""
        events = self.journal.events()
        return [str(e.fields["prompt"]) for e in events if e.event == "turn.started"]
