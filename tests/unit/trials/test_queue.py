"""The trial queue: which requests become trials, and that each is answered once and for all.

The executor and the engine are real; the engine does not answer, so no trial gets anywhere.
"""

from __future__ import annotations

import dataclasses
import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from runner.budget_clock import BudgetClock
from runner.engine import lockdown
from runner.engine.client import Engine
from runner.engine.containers import EngineInfo
from runner.errors import EngineError, HostError
from runner.limits import limits
from runner.metrics import VAL_BPB
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.records.schema import TrialRecord
from runner.spec import Budget, RunSpec
from runner.timing.findings import Allowances
from runner.trials.events import TrialBroke, TrialEnded, TrialRepeats, TrialWaits
from runner.trials.executor import Executor
from runner.trials.judging import Judging
from runner.trials.lease import DeviceLease
from runner.trials.ledger import Ledger
from runner.trials.orders.order import TrialOrder
from runner.trials.orders.submission import SubmissionReader
from runner.trials.queue import MAX_QUEUED, REFUSALS_JOURNALLED, TrialQueue
from runner.trials.terms import Trainer
from runner.wire.messages import Message, TrialAccepted, TrialFinished, TrialRefused, TrialRequested

PRISTINE = "DEPTH = 4\n"


class QueueRig:
    """The queue of one run and everything that its contestant was told."""

    def __init__(
        self, engine: Engine, run_dir: RunDir, trials: int, devices: tuple[str, ...] = ("cpu",)
    ) -> None:
        spec = RunSpec(
            run_id="random-s1", kind="baseline", contestant="random", seed=1, task="pystdlib",
            metric=VAL_BPB,
            budget=Budget(trials=trials), trial_seconds=1,
        )  # fmt: skip
        sizes = lockdown.sizes(limits()["trial"], EngineInfo("", "", 1, 1 << 28, False))
        trainer = Trainer("no-image", "no-volume", 1, 2, Allowances(1), 1 << 20, sizes)
        lease = DeviceLease("nobody", devices, run_dir.path / "leases")
        self.told: list[Message] = []
        self.inbox: queue.Queue[Any] = queue.Queue()
        self.ledger = Ledger(run_dir, VAL_BPB)
        self.clock = BudgetClock(spec.budget)
        self.journal = Journal(run_dir)
        self.queue = TrialQueue(
            SubmissionReader(engine, run_dir, self.ledger, PRISTINE, "sampler"),
            Executor(engine, spec, run_dir, trainer, lease, Judging()),
            self.ledger, self.clock, self.journal, self.inbox, self.told.append, len(devices),
        )  # fmt: skip

    def ask(self, name: str, over: str | None = None, **knobs: Any) -> bool:
        return self.queue.request("", TrialRequested(name, knobs=knobs or {"DEPTH": 5}), over)

    def event(self, kind: type[Any]) -> Any:
        """The next event of this kind from the worker."""
        while True:
            event = self.inbox.get(timeout=10)
            if isinstance(event, kind):
                return event

    def ends(self, order: TrialOrder, status: str, value: float | None) -> None:
        """A trial has ended, as the worker would say it."""
        record = TrialRecord.model_validate({
            "trial": order.trial, "source": "sampler", "request": order.request,
            "status": status, "value": value, "train_seconds": 2.0,
        })  # fmt: skip
        self.queue.handle_event(TrialEnded(order, record, None, 0.0))


@pytest.fixture
def rig(engine: Engine, run_dir: RunDir) -> Iterator[QueueRig]:
    made = QueueRig(engine, run_dir, trials=8)
    yield made
    made.queue.close()


def test_a_request_becomes_a_trial_with_a_number(rig: QueueRig) -> None:
    """It is accepted, journalled, and taken by the worker; numbers go up by one."""
    assert rig.ask("a")
    assert rig.ask("b")
    assert rig.told[:2] == [TrialAccepted("a", 1), TrialAccepted("b", 2)]
    assert rig.event(TrialWaits).order.trial == 1
    queued = [e.fields for e in rig.journal.events() if e.event == "trial.queued"]
    assert [fields["knobs_changed"] for fields in queued] == [{"DEPTH": [4, 5]}] * 2
    assert rig.queue.in_flight() == 2


def test_a_broken_engine_is_told_to_the_loop_and_recorded_nowhere(rig: QueueRig) -> None:
    """A trial that the engine failed is nobody's fault: an error comes, no record does."""
    rig.ask("a")
    broke = rig.event(TrialBroke)
    assert isinstance(broke.error, EngineError)
    assert rig.ledger.records == []


def test_the_same_request_is_one_trial(rig: QueueRig) -> None:
    """Asked again while it runs it is not made twice; afterwards it gets the same answer."""
    rig.ask("a")
    assert not rig.ask("a")
    assert len(rig.told) == 1
    rig.ends(rig.event(TrialWaits).order, "ok", 2.5)
    assert not rig.ask("a")
    first, second = (m for m in rig.told if isinstance(m, TrialFinished))
    assert first == second
    assert (first.status, first.value, first.last) == ("ok", 2.5, False)
    assert first.metric == "val_bpb"
    assert rig.clock.trials == 1
    assert rig.clock.spent().train_seconds == 2.0


def test_a_restarted_runner_answers_from_its_ledger(
    rig: QueueRig, engine: Engine, run_dir: RunDir
) -> None:
    """A request that an earlier life finished costs nothing, and the next number is a new one."""
    rig.ask("a")
    rig.ends(rig.event(TrialWaits).order, "crash", None)
    again = QueueRig(engine, run_dir, trials=8)
    assert not again.ask("a")
    (answer,) = again.told
    assert isinstance(answer, TrialFinished)
    assert (answer.trial, answer.status) == (1, "crash")
    assert again.ask("b")
    assert again.told[-1] == TrialAccepted("b", 2)
    again.queue.close()


def test_no_more_trials_than_the_budget_has(engine: Engine, run_dir: RunDir) -> None:
    """Trials that run count already; the refusal says that none will ever be taken."""
    rig = QueueRig(engine, run_dir, trials=2)
    assert rig.ask("a")
    assert rig.ask("b")
    assert not rig.ask("c")
    refused = rig.told[-1]
    assert isinstance(refused, TrialRefused)
    assert refused.final
    rig.queue.close()


def test_a_queue_has_an_end(rig: QueueRig) -> None:
    """A contestant that asks and asks is told to wait, and may ask again later."""
    for number in range(MAX_QUEUED):
        assert rig.ask(f"r{number}")
    assert not rig.ask("one too many")
    refused = rig.told[-1]
    assert isinstance(refused, TrialRefused)
    assert not refused.final
    assert "trial list" in refused.hint


def test_a_run_that_is_over_takes_nothing(rig: QueueRig) -> None:
    """After the end every request is refused for good, with the reason, and journalled."""
    assert not rig.ask("late", over="hours")
    assert rig.told == [TrialRefused("late", "the run is over: hours", final=True)]
    assert [e.event for e in rig.journal.events()] == ["trial.refused"]


def test_a_request_that_cannot_be_run_is_answered(rig: QueueRig) -> None:
    """An unknown knob is refused, costs no number and no trial, and the next one is taken."""
    assert not rig.ask("a", DEEPNESS=3)
    refused = rig.told[-1]
    assert isinstance(refused, TrialRefused)
    assert "DEEPNESS" in refused.reason
    assert not refused.final
    assert rig.ask("b")
    assert rig.told[-1] == TrialAccepted("b", 1)


def test_the_last_trial_says_that_it_is_the_last(engine: Engine, run_dir: RunDir) -> None:
    """With the budget spent the answer names it, so that an agent can close by itself."""
    rig = QueueRig(engine, run_dir, trials=1)
    rig.ask("a")
    rig.ends(rig.event(TrialWaits).order, "ok", 2.0)
    answer = rig.told[-1]
    assert isinstance(answer, TrialFinished)
    assert answer.last
    assert "trials" in answer.budget_note
    assert rig.queue.told_last
    rig.queue.close()


def test_an_attempt_that_was_nobodys_fault_costs_no_time(rig: QueueRig) -> None:
    """It is journalled with its reason, and its time is given back as a wait."""
    rig.ask("a")
    order = rig.event(TrialWaits).order
    now = rig.clock.now()
    rig.queue.handle_event(TrialRepeats(order, "the judge ended", now - 7.0, now))
    (said,) = [e.fields for e in rig.journal.events() if e.event == "trial.repeated"]
    assert (said["trial"], said["reason"]) == (1, "the judge ended")
    assert said["seconds"] == pytest.approx(7.0)
    assert rig.clock.spent().lease_wait_seconds == pytest.approx(7.0, abs=1.0)
    assert rig.clock.trials == 0
    assert rig.queue.in_flight() == 1


def test_a_trial_that_broke_is_no_longer_in_flight(rig: QueueRig) -> None:
    """What broke under a trial reaches the loop as its own error, and nothing waits for it."""
    assert rig.ask("a")
    with pytest.raises(EngineError):
        rig.queue.handle_event(rig.event(TrialBroke))
    assert rig.queue.in_flight() == 0


def test_a_full_disk_under_a_trial_reaches_the_loop(rig: QueueRig, run_dir: RunDir) -> None:
    """An error that is not the engine's is not lost in the worker's thread."""
    (run_dir.trial(1) / "diff.patch").mkdir(parents=True)
    assert rig.ask("a")
    with pytest.raises(HostError, match="0001"):
        rig.queue.handle_event(rig.event(TrialBroke))


def test_what_cannot_be_kept_is_not_accepted(rig: QueueRig, run_dir: RunDir) -> None:
    """A trial that no later life could run again is no trial, and nobody is told of one."""
    (run_dir.path / "trials").write_text("a file where a folder must be")
    with pytest.raises(HostError, match="trials"):
        rig.ask("a")
    assert (rig.told, rig.queue.in_flight(), rig.journal.events()) == ([], 0, [])


def test_refusals_without_end_are_journalled_ever_less(rig: QueueRig) -> None:
    """An agent that asks in a loop fills neither the journal nor the log."""
    for number in range(350):
        assert not rig.ask(f"r-{number}", over="trials")
    refused = [e for e in rig.journal.events() if e.event == "trial.refused"]
    assert len(rig.told) == 350
    assert len(refused) == REFUSALS_JOURNALLED + 2


@pytest.fixture
def two(engine: Engine, run_dir: RunDir) -> Iterator[QueueRig]:
    """A queue whose run may use two devices, both of which others hold."""
    made = QueueRig(engine, run_dir, trials=8, devices=("x", "y"))
    others = DeviceLease("nobody", ("x", "y"), run_dir.path / "leases")
    with others.held(threading.Event()), others.held(threading.Event()):
        yield made
        made.queue.close()


def test_as_many_trials_want_a_device_as_there_are_devices(two: QueueRig) -> None:
    """The third waits for one of them to end; more are taken than of a run with one device."""
    for name in "abc":
        assert two.ask(name)
    waiting = {two.event(TrialWaits).order.trial for _ in range(2)}
    assert waiting == {1, 2}
    with pytest.raises(queue.Empty):
        two.inbox.get(timeout=0.3)
    for name in "de":
        assert two.ask(name)
    assert not two.ask("f")
    assert isinstance(two.told[-1], TrialRefused)


def test_checks_run_one_after_the_other_on_whatever_devices(two: QueueRig) -> None:
    """The files and the container of all checks have the same names."""
    for name in "ab":
        two.queue.request("", TrialRequested(name, knobs={"DEPTH": 5}, check=True), None)
    assert two.queue.in_flight() == 2
    first = two.event(TrialWaits).order
    assert first.terms.is_check
    with pytest.raises(queue.Empty):
        two.inbox.get(timeout=0.3)


def test_an_optimizer_that_was_away_is_told_in_the_order_of_the_ends(two: QueueRig) -> None:
    """Whatever it asks for first: what it suggests next depends on that order."""
    for name in "abc":
        assert two.ask(name)
    orders = {order.request: order for order in (two.event(TrialWaits).order for _ in range(2))}
    orders["c"] = dataclasses.replace(orders["a"], trial=3, request="c")
    for name in "bca":
        two.ends(orders[name], "ok", 2.0)
    two.told.clear()
    assert not two.ask("a")
    assert [message.request for message in two.told if isinstance(message, TrialFinished)] == [
        "b", "c", "a",
    ]  # fmt: skip
