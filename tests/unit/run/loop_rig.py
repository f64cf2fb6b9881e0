"""A run's loop on a real trial queue and real records; only the containers are scripted.

Its clock moves when nobody has anything to say, by as much as the loop would have waited. So
nothing waits for real time, and a run of hours takes no longer than its events.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from typing import Any

from runner.agents import load_agent
from runner.budget_clock import BudgetClock
from runner.collect.artifacts import Collector
from runner.engine.containers import ContainerSpec
from runner.errors import BakeoffError, EngineError
from runner.metrics import VAL_BPB
from runner.records.files import read_lines
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.records.schema import Spent, TrialRecord, TrialSource, UsageRecord
from runner.recovery.supervisor import Supervisor
from runner.recovery.wishes import Kind, Wish
from runner.run.drivers.agent_driver import AgentDriver, TurnMaker
from runner.run.drivers.baseline_driver import OptimizerDriver
from runner.run.drivers.driver import Driver
from runner.run.loop import RunLoop
from runner.run.loop_parts import Ending, LoopParts
from runner.run.settlement import UsageLog
from runner.sandbox.peer import MessageReceived, Peer
from runner.spec import Budget
from runner.trials.events import Watch
from runner.trials.executor import Executor
from runner.trials.judging import Judging
from runner.trials.ledger import Ledger
from runner.trials.orders.order import TrialOrder
from runner.trials.orders.submission import SubmissionReader
from runner.trials.queue import TrialQueue
from runner.wire.messages import (
    Message,
    Stop,
    Stopped,
    TrialFinished,
    TrialRequested,
    TurnFinished,
    TurnInterrupt,
    TurnStart,
    Usage,
)
from tests.unit.run.gateway_book import BookEngine
from tests.unit.run.rig import PROMPT_VALUES, TIMEOUTS, WORKED, Hands
from tests.unit.silent_engine import silent_engine

PRISTINE = "DEPTH = 4\n"
TRAIN_SECONDS = 60.0  # of each trial
EVENT_SECONDS = 10.0  # of real time, in which a worker that has something to say must say it


class RecordingExecutor(Executor):
    """Runs trials that do nothing; the ones in `held` last until they are abandoned."""

    def __init__(self, inbox: queue.Queue[Any]) -> None:
        self.held: set[int] = set()
        self.broken: set[int] = set()
        self.ran: list[TrialOrder] = []
        self.holds = False
        self._inbox = inbox
        self._abandoned = threading.Event()

    def run(self, order: TrialOrder, watch: Watch) -> TrialRecord:
        self.ran.append(order)
        watch.on_wait()
        watch.on_start()
        watch.on_line("step 1")
        if order.trial in self.broken:
            raise EngineError(f"watching trial {order.trial}: the engine is gone")
        if order.trial in self.held and not self._abandoned.is_set():
            self.holds = True
            self._inbox.put("the trial goes on")  # which is nothing to the loop
            assert self._abandoned.wait(EVENT_SECONDS)
        killed = self._abandoned.is_set()
        return TrialRecord.model_validate({
            "trial": order.trial, "source": order.source, "request": order.request,
            "status": "killed" if killed else "ok", "train_seconds": TRAIN_SECONDS,
        })  # fmt: skip

    def abandon(self) -> None:
        self.holds = False
        self._abandoned.set()


class SteppedInbox(queue.Queue[Any]):
    """An inbox whose reader's waits pass on a clock of the test's instead of in real time."""

    def __init__(self, hands: Hands) -> None:
        super().__init__()
        self.hands = hands
        self.will_speak: Callable[[], bool] = lambda: False

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """The next item; time passes when there is none and no worker is about to put one."""
        try:
            return super().get(block=False)
        except queue.Empty:
            if not block:
                raise
            if self.will_speak():
                return super().get(timeout=EVENT_SECONDS)
            self.hands.at += timeout or 0.0
            raise


class ScriptedContestant(Peer):
    """A contestant that answers each message by a script."""

    def __init__(self, role: str, inbox: queue.Queue[Any]) -> None:
        self.spec = ContainerSpec("name", "image", "run", role)
        self.container = ""
        self.opened = 0
        self.unstartable: BakeoffError | None = None
        self.told: list[Message] = []
        self.answers: Callable[[Message], Iterable[Message]] = lambda _: ()
        self._inbox = inbox

    def send(self, message: Message) -> bool:
        self.told.append(message)
        for answer in self.answers(message):
            self.say(answer)
        return True

    def has_exited(self) -> bool:
        return False

    def give_up(self) -> None:
        pass

    def reopen(self) -> None:
        if self.unstartable is not None:
            raise self.unstartable
        self.opened += 1

    def say(self, message: Message) -> None:
        self._inbox.put(MessageReceived(self.spec.role, message))


class LoopRig:
    """A run of one contestant: `agent` or `optimizer`.

    With `before`, what earlier lives of it had spent, it is a resumed run.
    """

    def __init__(
        self,
        run_dir: RunDir,
        budget: Budget,
        role: str = "optimizer",
        before: Spent | None = None,
    ) -> None:
        self.run_dir = run_dir
        self.hands = Hands()
        self.inbox = SteppedInbox(self.hands)
        self.journal = Journal(run_dir)
        self.clock = BudgetClock(budget, before, now=self.hands)
        self._resumed = before is not None
        self.ledger = Ledger(run_dir, VAL_BPB)
        self.executor = RecordingExecutor(self.inbox)
        self.judging = Judging()
        self.contestant = ScriptedContestant(role, self.inbox)
        self.wish: Callable[[], Wish | None] = lambda: None
        self.gateway = ScriptedContestant("gateway", self.inbox)
        self._requests = self._settled = 0
        self._engine = silent_engine()
        self.book_engine = BookEngine(b"")
        source: TrialSource = "agent" if role == "agent" else "sampler"
        trials = TrialQueue(
            SubmissionReader(self._engine, run_dir, self.ledger, PRISTINE, source),
            self.executor, self.ledger, self.clock, self.journal, self.inbox, self.contestant.send,
        )  # fmt: skip
        self.inbox.will_speak = lambda: trials.in_flight() > 0 and not self.executor.holds
        self.parts = LoopParts(
            run_dir=run_dir,
            journal=self.journal,
            clock=self.clock,
            usage=UsageLog(run_dir, self.journal, self.clock),
            trials=trials,
            collector=Collector(self._engine, run_dir, self.journal, ""),
            engine=self.book_engine,
            contestant=self.contestant,
            gateway=self.gateway if role == "agent" else None,
            supervisor=Supervisor(
                [self.contestant, self.gateway], self.journal, self.inbox, self.hands
            ),
            driver=self._driver(role),
            inbox=self.inbox,
            wish=lambda: self.wish(),
            judging=self.judging,
        )
        self.gateway.answers = lambda m: [Stopped(m.reason)] if isinstance(m, Stop) else []
        self.contestant.answers = self.work if role == "optimizer" else self.take_turns
        self.loop = RunLoop(self.parts)

    def _driver(self, role: str) -> Driver:
        if role == "optimizer":
            return OptimizerDriver(self.contestant, self.hands)
        agent, values = load_agent("gpt"), dict(PROMPT_VALUES)
        turns = TurnMaker(agent, "token", lambda: values, lambda *_: WORKED, lambda *_: None)
        return AgentDriver(
            turns, self.contestant, self.journal, self.clock, TIMEOUTS, resumed=self._resumed
        )

    def run(self) -> Ending:
        """Run the loop to its end; an optimiser asks for its first trial."""
        if self.contestant.spec.role == "optimizer":
            self.ask()
        return self.loop.run()

    def ask(self) -> None:
        """The contestant asks for one more trial."""
        self._requests += 1
        self.contestant.say(TrialRequested(f"r-{self._requests}", knobs={"DEPTH": self._requests}))

    def work(self, message: Message) -> Iterable[Message]:
        """What an optimiser does: ask again after each trial, and stop when it is told to."""
        if isinstance(message, TrialFinished) and not message.last:
            self.ask()
        return [Stopped(message.reason)] if isinstance(message, Stop) else []

    def take_turns(self, message: Message) -> Iterable[Message]:
        """What an agent does that asks for nothing: end each turn, and stop when it must."""
        if isinstance(message, TurnStart):
            return [TurnFinished(message.turn, 0, 1.0, "/transcript")]
        packs = isinstance(message, Stop) and message.grace_seconds == 0
        return [Stopped("packed")] if packs else []

    def think(self, message: Message) -> Iterable[Message]:
        """What an agent does that only thinks: its turns end when they are interrupted."""
        if isinstance(message, TurnInterrupt):
            return [TurnFinished(self.clock.turns, -15, 1.0, "/transcript")]
        return () if isinstance(message, TurnStart) else self.take_turns(message)

    def settle_a_request(self, **fields: object) -> None:
        """The gateway has settled a request to the model."""
        self._settled += 1
        request = {"request": f"q-{self._settled}"}
        self.inbox.put(MessageReceived("gateway", Usage({**USAGE, **request, **fields})))

    def wait_for_an_event(self) -> None:
        """Let real time pass until somebody has something to say to the loop."""
        item = queue.Queue.get(self.inbox, timeout=EVENT_SECONDS)
        self.inbox.put(item)

    def said(self, event: str) -> list[dict[str, Any]]:
        """The fields of the journal's events of that name."""
        return [e.fields for e in self.journal.events() if e.event == event]

    def trials(self) -> list[tuple[int, str]]:
        """The recorded trials, with their status."""
        return [(r.trial, r.status) for r in read_lines(self.run_dir.trials, TrialRecord)]

    def usage(self) -> list[UsageRecord]:
        """The recorded requests."""
        return list(read_lines(self.run_dir.usage, UsageRecord))

    def close(self) -> None:
        self.parts.trials.close()
        self._engine.close()


USAGE = {
    "at": "2026-01-01T00:00:00.000Z", "provider": "openai", "model": "gpt",
    "status": 200,
}  # fmt: skip

Rigs = Callable[..., LoopRig]
STOP, SUSPEND = Wish(Kind.STOP, "a test"), Wish(Kind.SUSPEND, "a test")
