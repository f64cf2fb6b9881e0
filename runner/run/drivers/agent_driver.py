"""Drives an agent: turn after turn, until the run ends and the agent has closed its work.

An agent works in turns, and it is told when the run ends. Where it stands is one of the states in
`agent_states.py`; each event that can change it is one method here, and each state that time alone
can change is one line of `tick`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from runner.agents import Agent, PromptName, Turn, TurnOutcome, phrases, remarks, render_prompt
from runner.budget_clock import BudgetClock
from runner.records.journal import Journal
from runner.run.drivers.agent_states import TRANSITIONS, TURN_RUNS, Event, State
from runner.run.drivers.disk_policy import DiskPolicy
from runner.run.drivers.driver import Closing, Driver, GaveUp
from runner.run.drivers.turn_policy import (
    MAX_TURNS_WITHOUT_TRIAL,
    TurnPolicy,
    TurnTimeouts,
)
from runner.sandbox.peer import Peer
from runner.wire.messages import (
    DiskExceeded,
    Message,
    Stop,
    Stopped,
    TurnFinished,
    TurnInterrupt,
    TurnStart,
)

CLOSING_SHARE = 0.5  # of the grace period: what a turn that knows that it is the last may take
EXIT_SECONDS = 15.0  # from the last word of PID 1 to the end of its container
MAX_ERROR_CHARS = 500
TOO_MANY_REQUESTS, SERVER_ERROR = 429, 500  # of HTTP
# The gateway refuses a request for what it holds. A CLI that sends its history again is refused
# again.
REFUSED_CONTENTS = frozenset(("policy", "size", "body"))


@dataclass(frozen=True)
class TurnMaker:
    """Makes an agent's turns, and judges them.

    Attributes:
        agent: which CLI runs, and how its transcripts are judged.
        token: what the CLI shows the gateway.
        prompt_values: what the prompts may name, made anew for each.
        read_transcript: copies a turn's transcript, of which it is given the number and the path
            in the container, into the run's directory, and returns its lines.
        keep_prompt: keeps a prompt by its name and text; called before it is sent.
    """

    agent: Agent
    token: str
    prompt_values: Callable[[], dict[str, object]]
    read_transcript: Callable[[int, str], list[str]]
    keep_prompt: Callable[[str, str], None]

    def turn(self, name: PromptName, own_values: dict[str, object], *, resume: bool) -> Turn:
        """The CLI invocation of a turn, which begins with the prompt of that name.

        Raises:
            HostError: the prompt cannot be read or kept.
        """
        values = {**self.prompt_values(), **own_values}
        prompt = render_prompt(name, self.agent.spec.cli, values)
        self.keep_prompt(name, prompt)
        return self.agent.turn(prompt, resume=resume, token=self.token)

    def outcome(self, finished: TurnFinished) -> TurnOutcome:
        """How a turn went, by its transcript."""
        lines = self.read_transcript(finished.turn, finished.transcript)
        return self.agent.judge(lines, finished.exit_code, finished.stderr_tail)


@dataclass
class _Turn:
    """The turn that runs, or the last one that did; moments are of the clock's `now`.

    `until` is when it is told to end, once the run ends.
    """

    alive_at: float
    until: float = math.inf
    trials_asked: int = 0


@dataclass(frozen=True)
class _RunEnd:
    """Why the run ends, and whether the model may still be asked.

    No turn runs after `turns_until`, and nothing is waited for after `until`.
    """

    reason: str
    can_think: bool
    turns_until: float
    until: float


class AgentDriver(Driver):
    """Runs an agent's turns one after the other.

    Args:
        turns: makes and judges them.
        peer: the agent's container.
        journal: the run's.
        clock: counts the turns, and tells the time.
        timeouts: how long the agent may take.
        resumed: an earlier life of this run may have left a session to go on with.
    """

    def __init__(
        self,
        turns: TurnMaker,
        peer: Peer,
        journal: Journal,
        clock: BudgetClock,
        timeouts: TurnTimeouts,
        *,
        resumed: bool,
    ) -> None:
        self._turns = turns
        self._peer = peer
        self._journal = journal
        self._clock = clock
        self._timeouts = timeouts
        self._policy = TurnPolicy(resume=resumed, worked=resumed)
        self._disk = DiskPolicy(journal, "agent", resumed=resumed)
        self._state = State.WAITING
        self._turn = _Turn(alive_at=clock.now())
        self._next_turn_at = clock.now()
        self._exits_until = math.inf
        self._provider_down = False
        self._damage: list[str] = []
        self._restored: list[str] = []
        self._run_end: _RunEnd | None = None

    def begin(self) -> None:
        self._begin_turn()

    # --- events -----------------------------------------------------------------------------------

    def handle_message(self, message: Message) -> None:
        if isinstance(message, TurnFinished) and self._state in TURN_RUNS:
            self._learn_from(message)
            self._change(Event.TURN_FINISHED)
        elif isinstance(message, Stopped) and self._run_end is None:
            self._change(Event.CONTAINER_DIED)  # or will do so: as a rule its exit comes next
            self._exits_until = self._clock.now() + EXIT_SECONDS
        elif isinstance(message, Stopped):
            self._change(Event.STOPPED)
        elif isinstance(message, DiskExceeded):
            self._disk.exceeded(message)

    def handle_trial_accepted(self) -> None:
        self._turn.trials_asked += 1
        self._journal_spent("turn.trial_asked")

    def handle_provider_answer(self, status: int) -> None:
        self._turn.alive_at = self._clock.now()
        self._provider_down = status in (0, TOO_MANY_REQUESTS) or status >= SERVER_ERROR

    def handle_refusal(self, reason: str) -> None:
        if reason in REFUSED_CONTENTS:
            self._provider_down = False
            self._policy.refused()

    def container_died(self) -> None:
        self._exits_until = math.inf
        if self._run_end is None:
            if self._state in TURN_RUNS:
                self._journal.write("turn.lost", turn=self._clock.turns)
            self._change(Event.CONTAINER_DIED)

    def container_restarted(self) -> None:
        if self._state is State.DOWN:
            self._change(Event.CONTAINER_RESTARTED)
            self._policy.cut()
            self._next_turn_at = self._clock.now()
        elif self._state is State.PACKING and self._run_end is not None:
            self._peer.send(Stop(self._run_end.reason, 0.0))  # nobody heard the one before

    def interrupt(self, reason: str) -> None:
        if self._state in TURN_RUNS:
            self._peer.send(TurnInterrupt(reason))

    def close(self, ending: Closing) -> None:
        now, grace = self._clock.now(), self._timeouts.grace_seconds
        packing, stopping = self._timeouts.packing_seconds, self._timeouts.stopping_seconds
        self._run_end = _RunEnd(
            ending.reason, ending.can_think, now + grace - packing, now + grace - stopping
        )
        self._turn.until = now + (grace * CLOSING_SHARE if ending.told else 0.0)
        self._change(Event.RUN_ENDED_TOLD if ending.told else Event.RUN_ENDED_UNTOLD)
        # If no word reaches it any more, it packs by itself while there is still time for it.
        self._peer.send(Stop(ending.reason, grace - packing / 2))

    def tick(self, trials_in_flight: int) -> None:
        now = self._clock.now()
        if trials_in_flight:
            self._turn.alive_at = now
        match self._state:
            case State.WAITING:
                if not trials_in_flight and now >= self._next_turn_at and not self.gave_up():
                    self._begin_turn()
            case State.WORKING:
                self._interrupt_if_hung(now)
            case State.INTERRUPTED:
                self._give_up_if_lost(now)
            case State.CUT_OFF | State.CLOSING:
                self._interrupt_if_overdue(now)
            case State.ENDING:
                self._close_or_pack(now)

    # --- questions --------------------------------------------------------------------------------

    def gave_up(self) -> GaveUp | None:
        if self._state is State.DOWN:
            late = self._clock.now() >= self._exits_until
            return (
                GaveUp("its PID 1 stopped unasked, and its container still runs") if late else None
            )
        if self._state in TURN_RUNS:
            return None
        reason = self._policy.gave_up()
        return self._disk.gave_up() if reason is None else GaveUp(reason)

    def interrupted(self, *, answers_come: bool) -> bool:
        return self._state not in TURN_RUNS and not answers_come  # what it asked for is charged

    def closed(self) -> bool:
        if self._state is State.OVER:
            return True
        end = self._run_end
        return end is not None and self._clock.now() >= end.until

    # --- transitions ------------------------------------------------------------------------------

    def _change(self, event: Event) -> None:
        self._state = TRANSITIONS[self._state][event]
        if self._state is State.PACKING and self._run_end is not None:
            self._peer.send(Stop(self._run_end.reason, 0.0))

    def _interrupt_if_hung(self, now: float) -> None:
        silent = now - self._turn.alive_at
        if silent >= self._timeouts.hung_seconds:
            self._change(Event.TURN_HUNG)
            self._turn.alive_at = now
            self._journal.write("turn.hung", turn=self._clock.turns, silent_seconds=silent)
            self._peer.send(TurnInterrupt(f"no sign of life for {silent:.0f} s"))

    def _give_up_if_lost(self, now: float) -> None:
        if now - self._turn.alive_at >= self._timeouts.lost_seconds:
            self._change(Event.TURN_LOST)
            self._journal.write("turn.lost", turn=self._clock.turns)

    def _interrupt_if_overdue(self, now: float) -> None:
        if self._run_end is not None and now >= self._turn.until:
            self._change(Event.TURN_OVERDUE)
            self._peer.send(TurnInterrupt(self._run_end.reason))

    def _close_or_pack(self, now: float) -> None:
        """Begin the closing turn, if the model may be asked and there is time for it; or pack."""
        end = self._run_end
        if end is None or not end.can_think or now >= end.turns_until or not self._begin_turn():
            self._change(Event.NO_TURN_LEFT)

    # --- turns ------------------------------------------------------------------------------------

    def _begin_turn(self) -> bool:
        """Begin the next turn; False when the container is gone."""
        resume = self._policy.begin()
        name = self._prompt_name(resume)
        turn = self._turns.turn(name, self._own_prompt_values(), resume=resume)
        until = self._run_end.turns_until if self._run_end else math.inf
        self._turn = _Turn(alive_at=self._clock.now(), until=until)
        self._disk.turn_begins()
        began = self._peer.send(TurnStart(self._clock.count_turn(), turn.argv, turn.env))
        self._journal_spent("turn.started", prompt=name)
        if began:
            self._change(Event.TURN_STARTED)
        return began

    def _prompt_name(self, resume: bool) -> PromptName:
        if self._run_end is not None:
            return "closing"
        if resume:
            return "nudge"
        return "fresh" if self._policy.worked else "first"

    def _own_prompt_values(self) -> dict[str, object]:
        """What a prompt may say of the run's end, and of how the last turns went."""
        end, now = self._run_end, self._clock.now()
        return {
            "reason": end.reason if end else "",
            "grace_seconds": max(0, int(end.turns_until - now)) if end else "",
            "remarks": remarks(
                self._policy.without_trial,
                MAX_TURNS_WITHOUT_TRIAL,
                self._damage,
                self._restored,
                self._disk.remark(),
            ),
        }

    def _learn_from(self, finished: TurnFinished) -> None:
        """Judge a turn that has finished, and set when the next one may begin."""
        self._damage, self._restored = phrases(finished.wrong), phrases(finished.restored)
        self._disk.turn_ended()
        outcome = self._turns.outcome(finished)
        asked = self._turn.trials_asked
        pause_seconds = self._policy.take(outcome, asked, provider_down=self._provider_down)
        self._next_turn_at = self._clock.now() + pause_seconds
        self._journal.write(
            "turn.finished",
            turn=finished.turn,
            good=outcome.good,
            kind=outcome.kind,
            tool_calls=outcome.tool_calls,
            trials_asked=asked,
            exit_code=finished.exit_code,
            seconds=finished.seconds,
            **_failure(outcome, pause_seconds),
        )
        if self._damage:
            self._journal.write(
                "sandbox.damaged",
                turn=finished.turn,
                wrong=self._damage,
                restored=self._restored,
            )

    def _journal_spent(self, event: str, **fields: object) -> None:
        """Journal an event of this turn, with what the run has spent on its model until then."""
        spent = self._clock.spent()
        usage = {"usd": spent.usd, "tokens": spent.tokens, "requests": spent.requests}
        self._journal.write(event, turn=spent.turns, **usage, **fields)


def _failure(outcome: TurnOutcome, pause_seconds: float) -> dict[str, object]:
    if outcome.good:
        return {}
    return {"error": outcome.error[:MAX_ERROR_CHARS], "next_turn_in_seconds": pause_seconds}
