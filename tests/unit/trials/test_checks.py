"""Checks: they cost time and no trial, there are two before each trial, and a restart counts on.

The queue and the executor are real; the engine does not answer, so an end is told as it would be.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runner.engine.client import Engine
from runner.records.layout import RunDir
from runner.records.schema import TrialRecord
from runner.run.spent import last_spent
from runner.trials.checks import CHECKS_A_TRIAL
from runner.trials.events import TrialEnded, TrialWaits
from runner.trials.orders.order import TrialOrder
from runner.trials.terms import CHECK
from runner.wire.messages import TrialAccepted, TrialFinished, TrialRefused, TrialRequested
from tests.unit.trials.test_queue import QueueRig


@pytest.fixture
def rig(engine: Engine, run_dir: RunDir) -> Iterator[QueueRig]:
    made = QueueRig(engine, run_dir, trials=2)
    yield made
    made.queue.close()


def check(rig: QueueRig, name: str, over: str | None = None) -> None:
    """Ask for a check, which is never taken for a trial."""
    assert not rig.queue.request("", TrialRequested(name, knobs={"DEPTH": 5}, check=True), over)


def end(rig: QueueRig, order: TrialOrder, status: str = "ok", reason: str = "") -> None:
    record = TrialRecord.model_validate({
        "trial": order.trial, "source": "agent", "request": order.request, "status": status,
        "reason": reason, "train_seconds": 1.0, "wall_seconds": 9.0,
    })  # fmt: skip
    rig.queue.handle_event(TrialEnded(order, record, None, 0.0))


def test_a_check_is_no_trial(rig: QueueRig) -> None:
    """It has no number, no line in the ledger, and no value; the next trial is trial 1."""
    check(rig, "c")
    assert rig.told == [TrialAccepted("c", 0)]
    order = rig.event(TrialWaits).order
    assert (order.trial, order.terms) == (0, CHECK)
    end(rig, order, "crash", "NameError: no such name")
    finished = rig.told[-1]
    assert isinstance(finished, TrialFinished)
    assert (finished.trial, finished.status, finished.value) == (0, "crash", None)
    assert finished.reason == "NameError: no such name"
    assert rig.ledger.records == []
    assert rig.ask("a")
    assert rig.told[-1] == TrialAccepted("a", 1)


def test_a_check_is_charged_for_all_of_its_time(rig: QueueRig) -> None:
    """As training time, and as no trial; a resumed run knows it."""
    check(rig, "c")
    end(rig, rig.event(TrialWaits).order)
    spent = rig.clock.spent()
    assert (spent.trials, spent.train_seconds) == (0, 9.0)
    assert last_spent(RunDir(rig.ledger._path.parent)).train_seconds == 9.0


def test_two_checks_a_trial(rig: QueueRig) -> None:
    """The third is refused until the next trial is handed in."""
    for number in range(CHECKS_A_TRIAL):
        check(rig, f"c-{number}")
        end(rig, rig.event(TrialWaits).order)
    check(rig, "one-too-many")
    refused = rig.told[-1]
    assert isinstance(refused, TrialRefused)
    assert (refused.reason, refused.final) == ("2 checks were made since the last trial", False)
    assert rig.ask("a")
    check(rig, "again")
    assert rig.told[-1] == TrialAccepted("again", 0)


def test_a_restart_grants_no_further_checks(rig: QueueRig, engine: Engine, run_dir: RunDir) -> None:
    """What was checked stands in the journal."""
    check(rig, "c-1")
    check(rig, "c-2")
    later = QueueRig(engine, run_dir, trials=2)
    check(later, "c-3")
    assert isinstance(later.told[-1], TrialRefused)
    later.queue.close()


def test_a_check_takes_no_place_of_a_trial(rig: QueueRig) -> None:
    """The budget's last trials are still there while checks run; when it is over, so are checks."""
    check(rig, "c")
    assert rig.ask("a")
    assert rig.ask("b")
    assert not rig.ask("c-trial")
    check(rig, "late", over="hours")
    refused = rig.told[-1]
    assert isinstance(refused, TrialRefused)
    assert refused.final


def test_checks_are_journalled(rig: QueueRig) -> None:
    """With what came of them, and beside no event of a trial."""
    check(rig, "c")
    end(rig, rig.event(TrialWaits).order, "crash", "exit code 1")
    events = [(event.event, event.fields.get("reason")) for event in rig.journal.events()]
    assert events == [("check.queued", None), ("check.finished", "exit code 1")]
