"""The device lease and real containers: a runner that is killed or stopped, and what still runs."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runner.build.images import image_tag
from runner.devices.queue_folder import QueueFolder
from runner.devices.state import state
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec
from runner.records.layout import ROOT
from runner.trials.lease import LOST, DeviceLease, Holder, still_trains

from .trial_rig import SCORED, TrialRig

# A runner: it holds the device and starts the container, unless it is told to do less. Each line on
# stdin is the name of a container, or the same after "-" for one that is only written down.
RUNNER = """
import pathlib, sys, threading
from runner.engine.client import Engine
from runner.trials.lease import DeviceLease, Holder, LeaseLostError, still_trains
engine = Engine.connect()
holder = Holder("first", 1, still_trains(engine))
lease = DeviceLease("engine", "cpu", pathlib.Path(sys.argv[1]))
with lease.held(threading.Event(), holder) as held:
    print("held", flush=True)
    for line in sys.stdin:
        name = line.strip()
        try:
            if name.startswith("-"):
                held.attach_container(name[1:])
            else:
                held.start(engine, name)
            print("done", flush=True)
        except LeaseLostError:
            print("lost", flush=True)
"""
SOON = 60.0  # seconds: many times what it takes to notice that a container has ended
LONG = 6.0  # seconds: longer than it takes to notice that a runner does nothing
Make = Callable[[], str]


@pytest.fixture
def make(engine: Engine, run_id: str) -> Make:
    """Makes containers that run for long once they are started."""

    def _make() -> str:
        name = f"bakeoff-{run_id}-{uuid.uuid4().hex[:6]}"
        command = ["python3", "-c", "import time; time.sleep(600)"]
        return engine.create(ContainerSpec(name, image_tag("base"), run_id, "trial", command))

    return _make


class Runner:
    """A runner in a process of its own that has the device."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUNNER, str(folder)], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self.answer() == "held"

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def told(self, line: str) -> str:
        """Its answer to this line."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.answer()


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    made = Runner(tmp_path / "queue")
    yield made
    made.process.kill()
    made.process.communicate()


class Next:
    """The next one that waits for the device, in this process."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._lease = DeviceLease("engine", "cpu", folder)
        self._holder = Holder("next", 1, still_trains(engine))
        self.has, self._done, self._over = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._hold)
        self._thread.start()

    def _hold(self) -> None:
        with self._lease.held(self._over, self._holder):
            self.has.set()
            self._done.wait(120)

    def end(self) -> None:
        self._done.set()
        self._thread.join(60)
        assert not self._thread.is_alive()


def test_a_killed_runners_container_keeps_the_device(
    engine: Engine, make: Make, runner: Runner, tmp_path: Path
) -> None:
    """The next trial starts only when that container has ended, and then at once."""
    container = make()
    assert runner.told(container) == "done"
    runner.process.kill()
    runner.process.wait()
    waiting = Next(engine, tmp_path / "queue")
    assert not waiting.has.wait(LONG)
    (shown,) = state(tmp_path / "queue")
    assert shown.holder is not None
    assert (shown.holder.container, shown.holder.alive) == (container, False)
    engine.kill(container)
    assert waiting.has.wait(SOON)
    waiting.end()


def test_a_paused_container_keeps_the_device(
    engine: Engine, make: Make, runner: Runner, tmp_path: Path
) -> None:
    """Its memory is still on the device, and it may go on at any time; removed, it is gone."""
    container = make()
    assert runner.told(container) == "done"
    runner.process.kill()
    runner.process.wait()
    engine.pause(container)
    waiting = Next(engine, tmp_path / "queue")
    assert not waiting.has.wait(LONG)
    engine.remove(container)
    assert waiting.has.wait(SOON)
    waiting.end()


def test_a_stopped_runner_whose_container_has_ended_loses_the_device(
    engine: Engine, make: Make, runner: Runner, tmp_path: Path
) -> None:
    """Its container is left as it is, because its result is still to be read."""
    container = make()
    assert runner.told(container) == "done"
    runner.process.send_signal(signal.SIGSTOP)
    waiting = Next(engine, tmp_path / "queue")
    assert not waiting.has.wait(LONG)
    engine.kill(container)
    assert waiting.has.wait(SOON)
    ended = engine.inspect(container)
    assert ended is not None
    assert ended.status == "exited"
    again = make()
    runner.process.send_signal(signal.SIGCONT)
    assert runner.told(again) == "lost"
    unstarted = engine.inspect(again)
    assert unstarted is not None
    assert unstarted.status == "created"
    waiting.end()


def test_a_runner_that_was_stopped_just_before_the_start_cannot_start(
    engine: Engine, make: Make, runner: Runner, tmp_path: Path
) -> None:
    """The container that it had written down is removed, and its start is then refused."""
    container = make()
    assert runner.told(f"-{container}") == "done"
    runner.process.send_signal(signal.SIGSTOP)
    waiting = Next(engine, tmp_path / "queue")
    assert waiting.has.wait(SOON)
    assert engine.inspect(container) is None
    runner.process.send_signal(signal.SIGCONT)
    assert runner.told(container) == "lost"
    waiting.end()


def test_a_trial_that_lost_its_device_before_its_start_runs_again(rig: TrialRig) -> None:
    """It has one record, which is that of a whole trial, and it is said that it was repeated."""
    lost: list[bool] = []
    queue = rig.folder / "leases"

    def on_start() -> None:
        if not lost:
            lost.append(True)
            take_away(queue)

    rig.repeated.clear()
    order = rig.order(SCORED)
    record = rig.executor().run(order, replace(rig.watch(), on_start=on_start))
    assert (record.status, record.reason) == ("ok", "")
    assert rig.repeated == [LOST]
    assert not rig.containers()
    assert state(queue) == []


def test_a_trial_is_shown_with_its_container(rig: TrialRig) -> None:
    """Whoever looks for what has the device finds the run, the trial and the container."""
    found: list[tuple[str, int, str]] = []

    def on_line(_line: str) -> None:
        (shown,) = state(rig.folder / "leases")
        assert shown.holder is not None
        found.append((shown.holder.run, shown.holder.trial, shown.holder.container))

    order = rig.order(f"print('up', flush=True)\n{SCORED}")
    rig.executor().run(order, replace(rig.watch(), on_line=on_line))
    run, trial, container = found[0]
    assert (run, trial) == (rig.run_id, order.trial)
    assert len(container) == 64


def take_away(folder: Path) -> None:
    """Take the device from whoever has it, as the next one does."""
    QueueFolder(folder).change(lambda queue: queue.without(*(e.ticket for e in queue.entries)))
