"""The trial desk: which requests become trials, and that each is answered once and for all.

The executor and the engine are real; the engine does not answer, so no trial gets anywhere.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import docker
import pytest

from runner.clock import Clock
from runner.engine import Engine
from runner.errors import EngineError, HostError
from runner.journal import Journal
from runner.layout import RunDir
from runner.protocol import Message, TrialAccepted, TrialFinished, TrialRefused, TrialRequested
from runner.records import TrialRecord
from runner.spec import Budget, RunSpec, limits
from runner.trials.desk import MAX_QUEUED, REFUSALS_JOURNALLED, Broke, Ended, TrialDesk, Waits
from runner.trials.executor import Executor, Trainer, TrialOrder
from runner.trials.intake import Intake
from runner.trials.lease import DeviceLease
from runner.trials.ledger import Ledger

PRISTINE = "DEPTH = 4\n"


class Counter:
    """A desk of one run and everything that its contestant was told."""

    def __init__(self, engine: Engine, run_dir: RunDir, trials: int) -> None:
        spec = RunSpec(
            run_id="random-s1", kind="baseline", contestant="random", seed=1, task="pystdlib",
            budget=Budget(trials=trials), trial_seconds=1,
        )  # fmt: skip
        trainer = Trainer("no-image", "no-volume", 1, 2, limits()["trial"], 1 << 28, 1, None)
        lease = DeviceLease("nobody", "cpu", run_dir.path / "leases")
        self.told: list[Message] = []
        self.inbox: queue.Queue[Any] = queue.Queue()
        self.ledger = Ledger(run_dir)
        self.clock = Clock(spec.budget)
        self.journal = Journal(run_dir)
        self.desk = TrialDesk(
            Intake(engine, run_dir, self.ledger, PRISTINE, "sampler"),
            Executor(engine, spec, run_dir, trainer, lease),
            self.ledger, self.clock, self.journal, self.inbox, self.told.append,
        )  # fmt: skip

    def ask(self, name: str, over: str | None = None, **knobs: Any) -> bool:
        return self.desk.request("", TrialRequested(name, knobs=knobs or {"DEPTH": 5}), over)

    def event(self, kind: type[Any]) -> Any:
        """The next event of this kind from the worker."""
        while True:
            event = self.inbox.get(timeout=10)
            if isinstance(event, kind):
                return event

    def ends(self, order: TrialOrder, status: str, val_bpb: float | None) -> None:
        """A trial has ended, as the worker would say it."""
        record = TrialRecord.model_validate({
            "trial": order.trial, "source": "sampler", "request": order.request,
            "status": status, "val_bpb": val_bpb, "train_seconds": 2.0,
        })  # fmt: skip
        self.desk.took(Ended(order, record, None, 0.0))


@pytest.fixture
def engine() -> Iterator[Engine]:
    silent = Engine(docker.DockerClient(base_url="tcp://127.0.0.1:1", version="1.41"))
    yield silent
    silent.close()


@pytest.fixture
def counter(engine: Engine, run_dir: RunDir) -> Iterator[Counter]:
    made = Counter(engine, run_dir, trials=8)
    yield made
    made.desk.close()


def test_a_request_becomes_a_trial_with_a_number(counter: Counter) -> None:
    """It is accepted, journalled, and taken by the worker; numbers go up by one."""
    assert counter.ask("a")
    assert counter.ask("b")
    assert counter.told[:2] == [TrialAccepted("a", 1), TrialAccepted("b", 2)]
    assert counter.event(Waits).order.trial == 1
    queued = [e.fields for e in counter.journal.events() if e.event == "trial.queued"]
    assert [fields["knobs_changed"] for fields in queued] == [{"DEPTH": [4, 5]}] * 2
    assert counter.desk.in_flight() == 2


def test_a_broken_engine_is_told_to_the_loop_and_recorded_nowhere(counter: Counter) -> None:
    """A trial that the engine failed is nobody's fault: an error comes, no record does."""
    counter.ask("a")
    broke = counter.event(Broke)
    assert isinstance(broke.error, EngineError)
    assert counter.ledger.records == []


def test_the_same_request_is_one_trial(counter: Counter) -> None:
    """Asked again while it runs it is not made twice; afterwards it gets the same answer."""
    counter.ask("a")
    assert not counter.ask("a")
    assert len(counter.told) == 1
    counter.ends(counter.event(Waits).order, "ok", 2.5)
    assert not counter.ask("a")
    first, second = (m for m in counter.told if isinstance(m, TrialFinished))
    assert first == second
    assert (first.status, first.val_bpb, first.last) == ("ok", 2.5, False)
    assert counter.clock.trials == 1
    assert counter.clock.train_seconds == 2.0


def test_a_restarted_runner_answers_from_its_ledger(
    counter: Counter, engine: Engine, run_dir: RunDir
) -> None:
    """A request that an earlier life finished costs nothing, and the next number is a new one."""
    counter.ask("a")
    counter.ends(counter.event(Waits).order, "crash", None)
    again = Counter(engine, run_dir, trials=8)
    assert not again.ask("a")
    (answer,) = again.told
    assert isinstance(answer, TrialFinished)
    assert (answer.trial, answer.status) == (1, "crash")
    assert again.ask("b")
    assert again.told[-1] == TrialAccepted("b", 2)
    again.desk.close()


def test_no_more_trials_than_the_budget_has(engine: Engine, run_dir: RunDir) -> None:
    """Trials that run count already; the refusal says that none will ever be taken."""
    counter = Counter(engine, run_dir, trials=2)
    assert counter.ask("a")
    assert counter.ask("b")
    assert not counter.ask("c")
    refused = counter.told[-1]
    assert isinstance(refused, TrialRefused)
    assert refused.final
    counter.desk.close()


def test_a_queue_has_an_end(counter: Counter) -> None:
    """A contestant that asks and asks is told to wait, and may ask again later."""
    for number in range(MAX_QUEUED):
        assert counter.ask(f"r{number}")
    assert not counter.ask("one too many")
    refused = counter.told[-1]
    assert isinstance(refused, TrialRefused)
    assert not refused.final
    assert "trial list" in refused.hint


def test_a_run_that_is_over_takes_nothing(counter: Counter) -> None:
    """After the end every request is refused for good, with the reason, and journalled."""
    assert not counter.ask("late", over="hours")
    assert counter.told == [TrialRefused("late", "the run is over: hours", final=True)]
    assert [e.event for e in counter.journal.events()] == ["trial.refused"]


def test_a_request_that_cannot_be_run_is_answered(counter: Counter) -> None:
    """An unknown knob is refused, costs no number and no trial, and the next one is taken."""
    assert not counter.ask("a", DEEPNESS=3)
    refused = counter.told[-1]
    assert isinstance(refused, TrialRefused)
    assert "DEEPNESS" in refused.reason
    assert not refused.final
    assert counter.ask("b")
    assert counter.told[-1] == TrialAccepted("b", 1)


def test_the_last_trial_says_that_it_is_the_last(engine: Engine, run_dir: RunDir) -> None:
    """With the budget spent the answer names it, so that an agent can close by itself."""
    counter = Counter(engine, run_dir, trials=1)
    counter.ask("a")
    counter.ends(counter.event(Waits).order, "ok", 2.0)
    answer = counter.told[-1]
    assert isinstance(answer, TrialFinished)
    assert answer.last
    assert "trials" in answer.budget_note
    assert counter.desk.told_last
    counter.desk.close()


def test_a_trial_that_broke_is_no_longer_in_flight(counter: Counter) -> None:
    """What broke under a trial reaches the loop as its own error, and nothing waits for it."""
    assert counter.ask("a")
    with pytest.raises(EngineError):
        counter.desk.took(counter.event(Broke))
    assert counter.desk.in_flight() == 0


def test_a_full_disk_under_a_trial_reaches_the_loop(counter: Counter, run_dir: RunDir) -> None:
    """An error that is not the engine's is not lost in the worker's thread."""
    (run_dir.path / "trials").write_text("a file where a folder must be")
    assert counter.ask("a")
    with pytest.raises(HostError, match="trials"):
        counter.desk.took(counter.event(Broke))


def test_refusals_without_end_are_journalled_ever_less(counter: Counter) -> None:
    """An agent that asks in a loop fills neither the journal nor the log."""
    for number in range(350):
        assert not counter.ask(f"r-{number}", over="trials")
    refused = [e for e in counter.journal.events() if e.event == "trial.refused"]
    assert len(counter.told) == 350
    assert len(refused) == REFUSALS_JOURNALLED + 2
