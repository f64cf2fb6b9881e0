"""The two kinds of contestants, as the run's loop drives them.

An agent works in turns and is told when it is over; an optimiser works by itself. A new kind of
contestant is a new driver: the loop, the budgets and the trials are the same for all.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from runner.agents import Agent, PromptName, TurnOutcome, render_prompt
from runner.clock import Clock
from runner.journal import Journal
from runner.protocol import Message, Stop, Stopped, TurnFinished, TurnInterrupt, TurnStart
from runner.sandbox import Peer
from runner.turns import TurnPolicy

CLOSING_SHARE = 0.5  # of the grace period, for a turn that knows that it is the last to end itself
KILL_SECONDS = 15.0
# A turn without a trial, or a model's answer, for so long has hung: the longest answer there is
# (128,000 tokens, 50 a second) takes 43 minutes, the longest command of a CLI ten.
HUNG_SECONDS = 3600.0
LOST_SECONDS = 120.0
TOO_MANY_REQUESTS, SERVER_ERROR = 429, 500  # of HTTP
OPTIMIZER_GRACE_SECONDS = 10.0


@dataclass(frozen=True)
class Closing:
    """Why a run ends, and what the contestant can make of its grace period.

    `told` when it learnt of the end from its last trial; `can_think` while its model still answers.
    """

    reason: str
    told: bool
    can_think: bool


@dataclass(frozen=True)
class Patience:
    """How long an agent may take.

    Attributes:
        grace_seconds: for the closing turn.
        hung_seconds: for a turn that shows no sign of life; it is interrupted, and the next
            one resumes its session.
        lost_seconds: for the end of an interrupted turn; what said it was lost on the way.
    """

    grace_seconds: float
    hung_seconds: float = HUNG_SECONDS
    lost_seconds: float = LOST_SECONDS


class Driver(Protocol):
    """What the loop asks of a contestant's kind."""

    def begin(self) -> None:
        """The contestant has started: let it work."""

    def heard(self, message: Message) -> None:
        """A message that is no trial request."""

    def trial_asked(self) -> None:
        """A request of the contestant became a trial."""

    def provider_answered(self, status: int) -> None:
        """The HTTP status of the provider's last answer, 0 for none, as the gateway saw it."""

    def tick(self, trials_in_flight: int) -> None:
        """After every event, and at least twice a second."""

    def gave_up(self) -> str | None:
        """Why the contestant ends the run by its own fault, or None."""

    def close(self, ending: Closing) -> None:
        """Begin the end."""

    def closed(self) -> bool:
        """Everything that the contestant may still do is done."""


class AgentDriver:
    """Runs an agent's turns one after the other.

    Args:
        agent: which CLI, and how its transcripts are judged.
        peer: its container.
        token: what its CLI shows the gateway.
        journal: the run's.
        words: values for the prompts, made anew for each.
        fetch: reads a turn's transcript into the run's directory and returns its lines.
        clock: counts the turns.
        resumed: the session of an earlier life of this run may be gone on with.
        patience: how long it may take.
    """

    def __init__(
        self,
        agent: Agent,
        peer: Peer,
        token: str,
        journal: Journal,
        words: Callable[[], dict[str, object]],
        fetch: Callable[[int, str], list[str]],
        clock: Clock,
        *,
        resumed: bool,
        patience: Patience,
    ) -> None:
        self._agent = agent
        self._peer = peer
        self._token = token
        self._journal = journal
        self._words = words
        self._fetch = fetch
        self._policy = TurnPolicy(resume=resumed)
        self._patience = patience
        self._clock = clock
        self._trials_asked = 0
        self._running = self._interrupted = self._provider_down = False
        self._not_before = self._alive_at = 0.0
        self._reason = ""
        self._turn_until = self._end_at = math.inf
        self._can_think = self._closing_turn_due = self._packing = self._over = False

    def begin(self) -> None:
        self._next_turn()

    def heard(self, message: Message) -> None:
        if isinstance(message, TurnFinished) and self._running:
            self._running = False
            self._finished(message)
        elif isinstance(message, Stopped):
            self._over = True

    def trial_asked(self) -> None:
        self._trials_asked += 1

    def provider_answered(self, status: int) -> None:
        self._alive_at = time.monotonic()
        self._provider_down = status == 0 or status == TOO_MANY_REQUESTS or status >= SERVER_ERROR

    def tick(self, trials_in_flight: int) -> None:
        if trials_in_flight:
            self._alive_at = time.monotonic()
        if self._reason:
            self._tick_closing()
        elif self._running:
            self._interrupt_if_hung()
        elif not trials_in_flight and time.monotonic() >= self._not_before:
            self._next_turn()

    def gave_up(self) -> str | None:
        return None if self._running else self._policy.gave_up()

    def close(self, ending: Closing) -> None:
        moment = time.monotonic()
        self._reason = ending.reason
        grace = self._patience.grace_seconds
        self._end_at = moment + grace
        self._turn_until = moment + (grace * CLOSING_SHARE if ending.told else 0.0)
        self._can_think = ending.can_think
        self._closing_turn_due = ending.can_think and not (ending.told and self._running)
        self._peer.send(Stop(ending.reason, grace + KILL_SECONDS))

    def closed(self) -> bool:
        return self._over or time.monotonic() >= self._end_at + 2 * KILL_SECONDS

    def _next_turn(self) -> None:
        name: PromptName = "nudge" if self._policy.resume else "first"
        if self._reason:
            name = "closing"
        prompt = render_prompt(name, self._agent.spec.cli, self._prompt_words())
        turn = self._agent.turn(prompt, resume=self._policy.resume, token=self._token)
        self._clock.turns += 1
        self._trials_asked = 0
        self._interrupted = False
        self._alive_at = time.monotonic()
        self._running = self._peer.send(TurnStart(self._clock.turns, turn.argv, turn.env))
        self._journal.write("turn.started", turn=self._clock.turns, prompt=name)

    def _interrupt_if_hung(self) -> None:
        """A hung turn is told to end; one whose end is never told either is given up."""
        silent = time.monotonic() - self._alive_at
        if self._interrupted and silent >= self._patience.lost_seconds:
            self._journal.write("turn.lost", turn=self._clock.turns)
            self._running = False
        elif not self._interrupted and silent >= self._patience.hung_seconds:
            self._interrupted = True
            self._alive_at = time.monotonic()
            self._journal.write("turn.hung", turn=self._clock.turns, silent_seconds=silent)
            self._peer.send(TurnInterrupt(f"no sign of life for {silent:.0f} s"))

    def _prompt_words(self) -> dict[str, object]:
        left = max(0, int(self._end_at - time.monotonic())) if self._reason else ""
        return {**self._words(), "reason": self._reason, "grace_seconds": left}

    def _finished(self, message: TurnFinished) -> None:
        lines = self._fetch(message.turn, message.transcript)
        outcome = self._agent.judge(lines, message.exit_code, message.stderr_tail)
        pause = self._policy.take(outcome, self._trials_asked, provider_down=self._provider_down)
        self._not_before = time.monotonic() + pause
        self._journal.write(
            "turn.finished",
            turn=message.turn,
            good=outcome.good,
            tool_calls=outcome.tool_calls,
            trials_asked=self._trials_asked,
            exit_code=message.exit_code,
            seconds=message.seconds,
            **_why(outcome, pause),
        )

    def _tick_closing(self) -> None:
        """A told turn may end itself, another is interrupted; a closing turn; the end."""
        moment = time.monotonic()
        if self._running and moment >= self._turn_until:
            self._peer.send(TurnInterrupt(self._reason))
            self._turn_until = math.inf
            self._closing_turn_due = self._closing_turn_due or self._told_in_vain(moment)
        elif not self._running and self._closing_turn_due and moment < self._end_at:
            self._closing_turn_due = False
            self._turn_until = self._end_at
            self._next_turn()
        elif not self._running and not self._packing:
            self._packing = True
            self._peer.send(Stop(self._reason, 0.0))

    def _told_in_vain(self, moment: float) -> bool:
        """A turn that knew of the end and went on all the same has half the grace left."""
        return self._can_think and moment < self._end_at


def _why(outcome: TurnOutcome, pause: float) -> dict[str, object]:
    if outcome.good:
        return {}
    return {"error": outcome.error[:500], "next_turn_in_seconds": pause}


class OptimizerDriver:
    """Lets an optimiser work until it is told to stop or has nothing left to ask."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._stopped = ""
        self._end_at = math.inf

    def begin(self) -> None:
        pass

    def heard(self, message: Message) -> None:
        if isinstance(message, Stopped):
            self._stopped = message.reason or "no reason given"

    def trial_asked(self) -> None:
        pass

    def provider_answered(self, status: int) -> None:
        pass

    def tick(self, trials_in_flight: int) -> None:
        pass

    def gave_up(self) -> str | None:
        return f"the sampler stopped: {self._stopped}" if self._stopped else None

    def close(self, ending: Closing) -> None:
        self._end_at = time.monotonic() + OPTIMIZER_GRACE_SECONDS
        self._peer.send(Stop(ending.reason, OPTIMIZER_GRACE_SECONDS))

    def closed(self) -> bool:
        return bool(self._stopped) or time.monotonic() >= self._end_at
