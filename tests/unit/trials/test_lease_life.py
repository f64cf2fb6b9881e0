"""The device lease when its holders and waiters are killed or stopped: real processes."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest

from runner.devices import signs
from runner.engine.client import Engine
from runner.errors import EngineError
from runner.trials.lease import (
    LOST,
    DeviceLease,
    Held,
    Holder,
    LeaseAbandonedError,
    LeaseLostError,
    still_trains,
)
from tests.unit.silent_engine import silent_engine
from tests.unit.trials.lease_children import children, in_queue, shown, wait_for

NEVER = threading.Event()
SOON = 30.0  # seconds: many times what it takes until somebody is passed over
ABSENT_IN_A_RUN = signs.ABSENT_SECONDS
ABSENT = 1.5  # seconds without a sign of life, for those who wait in this process
LONG = 2.5  # seconds: longer than it takes until somebody is passed over then


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    return tmp_path / "queue"


@pytest.fixture(autouse=True)
def _sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who is stopped is passed over sooner than in a run, so that the tests are quick."""
    monkeypatch.setattr(signs, "ABSENT_SECONDS", ABSENT)


class Waiter:
    """Somebody of this process who wants the device."""

    def __init__(self, queue: Path, run: str = "waiter") -> None:
        self._lease = DeviceLease("engine", "cpu", queue)
        self._holder = Holder(run, 1, lambda name: queue.with_name(name).exists())
        self.abandon, self.has, self.done = threading.Event(), threading.Event(), threading.Event()
        self.waited = 0.0
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._hold)
        self._thread.start()

    def _hold(self) -> None:
        try:
            with self._lease.held(self.abandon, self._holder) as held:
                self.waited = held.waited_seconds
                self.has.set()
                self.done.wait(60)
        except LeaseAbandonedError as error:
            self.error = error

    def end(self) -> None:
        self.abandon.set()
        self.done.set()
        self._thread.join(30)
        assert not self._thread.is_alive()


def test_a_killed_holder_keeps_the_device_while_its_container_runs(queue: Path) -> None:
    """Two trainings on one device are worse than a device that waits: the container decides."""
    container = queue.with_name("c1")
    container.touch()
    with children(queue, "killed") as (child,):
        assert child.told("c1") == "attached"
        waiter = Waiter(queue)
        child.process.kill()
        child.process.wait()
        assert not waiter.has.wait(LONG)
        holder = shown(queue).holder
        assert holder is not None
        assert (holder.run, holder.container, holder.alive) == ("killed", "c1", False)
        container.unlink()
        assert waiter.has.wait(SOON)
        waiter.end()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("container", ["", "gone"])
def test_one_who_does_nothing_without_a_container_loses_the_device(
    queue: Path, how: signal.Signals, container: str
) -> None:
    """A runner that is killed or stopped before its trial starts, or after it has ended."""
    with children(queue, "first") as (child,):
        if container:
            assert child.told(container) == "attached"
        waiter = Waiter(queue)
        wait_for(lambda: in_queue(queue) == ["first", "waiter"])
        child.process.send_signal(how)
        assert waiter.has.wait(SOON)
        waiter.end()


def test_a_stopped_holder_keeps_the_device_while_its_container_runs(queue: Path) -> None:
    """Its trial is measured as if nothing had happened, and its runner goes on with it."""
    container = queue.with_name("c1")
    container.touch()
    with children(queue, "stopped") as (child,):
        assert child.told("c1") == "attached"
        child.process.send_signal(signal.SIGSTOP)
        waiter = Waiter(queue)
        assert not waiter.has.wait(LONG)
        child.process.send_signal(signal.SIGCONT)
        assert child.told("release") == "over"
        assert waiter.has.wait(SOON)
        waiter.end()


def test_who_lost_the_device_cannot_start_and_breaks_nobodys_lease(queue: Path) -> None:
    """A runner that goes on after it was stopped learns it before its container starts.

    To give back what it no longer has frees the device for nobody.
    """
    with children(queue, "stopped") as (child,):
        child.process.send_signal(signal.SIGSTOP)
        waiter = Waiter(queue)
        assert waiter.has.wait(SOON)
        third = Waiter(queue, "third")
        child.process.send_signal(signal.SIGCONT)
        assert child.told("c1") == "lost"
        assert child.told("release") == "over"
        assert not third.has.wait(0.5)
        assert in_queue(queue) == ["waiter", "third"]
        waiter.end()
        assert third.has.wait(SOON)
        third.end()


def test_a_holder_that_is_there_keeps_the_device_without_a_container(
    queue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two attempts at a trial its container has ended, and the device is still its own."""
    monkeypatch.setattr(signs, "ABSENT_SECONDS", ABSENT_IN_A_RUN)  # a busy holder is there
    with children(queue, "holder") as (child,):
        assert child.told("gone") == "attached"
        waiter = Waiter(queue)
        assert not waiter.has.wait(ABSENT_IN_A_RUN + 1)
        assert child.told("again") == "attached"
        waiter.end()
        assert isinstance(waiter.error, LeaseAbandonedError)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_waiter_that_does_nothing_holds_up_nobody(queue: Path, how: signal.Signals) -> None:
    """Whoever comes after a killed or stopped waiter has the device soon after it is free."""
    with children(queue, "holder", "first") as (holder, first):
        waiter = Waiter(queue)
        wait_for(lambda: in_queue(queue) == ["holder", "first", "waiter"])
        first.process.send_signal(how)
        assert holder.told("release") == "over"
        assert waiter.has.wait(SOON)
        waiter.end()


def test_a_stopped_waiter_keeps_its_place(queue: Path) -> None:
    """It was passed over once, and comes first among those that wait when it goes on."""
    with children(queue, "holder", "stopped") as (holder, stopped):
        stopped.process.send_signal(signal.SIGSTOP)
        second = Waiter(queue, "second")
        wait_for(lambda: in_queue(queue) == ["holder", "stopped", "second"])
        assert holder.told("release") == "over"
        assert second.has.wait(SOON)
        third = Waiter(queue, "third")
        wait_for(lambda: "third" in in_queue(queue))
        stopped.process.send_signal(signal.SIGCONT)
        wait_for(lambda: shown(queue).waiting[0].seen_seconds < 1.0)
        second.end()
        assert stopped.answer() == "held"
        assert not third.has.is_set()
        assert stopped.told("release") == "over"
        assert third.has.wait(SOON)
        third.end()


def test_a_question_that_is_not_answered_holds_up_no_end(queue: Path) -> None:
    """The engine may hang: a run that ends meanwhile ends its waiting at once."""
    asked, never = threading.Event(), threading.Event()

    def hangs(_container: str) -> bool:
        asked.set()
        return never.wait(60)

    with children(queue, "killed") as (child,):
        assert child.told("c1") == "attached"
        child.process.kill()
        child.process.wait()
        over = threading.Event()
        took: list[float] = []

        def wait() -> None:
            lease = DeviceLease("engine", "cpu", queue)
            with pytest.raises(LeaseAbandonedError), lease.held(over, Holder("r", 1, hangs)):
                pass
            took.append(time.monotonic())

        thread = threading.Thread(target=wait)
        thread.start()
        assert asked.wait(SOON)
        began = time.monotonic()
        over.set()
        thread.join(30)
        assert took[0] - began < 10  # the question takes a minute
        never.set()


def test_a_container_whose_runner_lost_the_engine_keeps_the_device(queue: Path) -> None:
    """An error under a trial says nothing of its container, which is asked about then."""
    container = queue.with_name("c1")
    container.touch()

    def fail() -> None:
        with DeviceLease("engine", "cpu", queue).held(NEVER, Holder("first", 1)) as held:
            held.attach_container("c1")
            raise EngineError("it does not answer")

    with pytest.raises(EngineError):
        fail()
    waiter = Waiter(queue)
    assert not waiter.has.wait(LONG)
    container.unlink()
    assert waiter.has.wait(SOON)
    waiter.end()
    assert in_queue(queue) == []


class Told:
    """What a trial is told of its waiting."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def on_wait(self) -> None:
        self.all.append("waits")

    def on_start(self) -> None:
        self.all.append("starts")

    def on_repeat(self, why: str) -> None:
        self.all.append(why)


def test_work_that_lost_the_device_waits_anew(queue: Path) -> None:
    """It is done again from the start, and both waits are counted."""
    tries: list[Held] = []

    def work(held: Held) -> str:
        tries.append(held)
        if len(tries) == 1:
            DeviceLease("engine", "cpu", queue).queue.change(
                lambda all_: all_.without(*(entry.ticket for entry in all_.entries))
            )
        held.attach_container("c1")
        return held.device

    told = Told()
    done, waited = DeviceLease("engine", "cpu", queue).use(NEVER, Holder(), told, work)
    assert (done, len(tries)) == ("cpu", 2)
    assert told.all == ["waits", "starts", LOST, "waits", "starts"]
    assert waited == pytest.approx(sum(held.waited_seconds for held in tries))
    assert in_queue(queue) == []


def test_a_container_that_was_removed_before_its_start_means_a_lost_device(queue: Path) -> None:
    """The engine's refusal is believed to be the device's loss only when it is one."""
    engine = silent_engine()
    lease = DeviceLease("engine", "cpu", queue)
    try:
        with lease.held(NEVER) as held:
            with pytest.raises(EngineError):
                held.start(engine, "c1")
            (entry,) = lease.queue.read().entries
            assert entry.container == "c1"
            lost = LostAtStart(engine, lease)
            with pytest.raises(LeaseLostError):
                held.start(lost, "c2")
    finally:
        engine.close()


class LostAtStart(Engine):
    """An engine of which a container cannot be started, because its device was taken away."""

    def __init__(self, engine: Engine, lease: DeviceLease) -> None:
        self._silent = engine
        self._lease = lease

    def start(self, container: str) -> None:
        self._lease.queue.change(
            lambda all_: all_.without(*(entry.ticket for entry in all_.entries))
        )
        self._silent.start(container)


def test_an_engine_that_does_not_answer_frees_no_device() -> None:
    """Nobody knows whether something trains, so it is taken for training."""
    engine = silent_engine()
    assert still_trains(engine)("c1")
    engine.close()
