"""Trials end in order: with their judge, with their run, and one after the other on a device."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from runner.build.images import image_tag
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec
from runner.trials.judging import Judging
from runner.trials.orders.order import TrialOrder
from runner.wire.judge_terms import JUDGE_FOLDER
from runner.wire.messages import Message

from .trial_rig import FOREVER, SCORED, TrialRig, scored

WAITS = """
import os, time
print("up", flush=True)
while not os.path.exists("{file}"):
    time.sleep(0.1)
"""


def waiting() -> tuple[str, str]:
    """A scored trial that waits for a file beside the judge's socket, and the file's name.

    The volume outlives its judge, so each test has a name of its own.
    """
    name = f"go-on-{uuid.uuid4().hex}"
    return WAITS.format(file=f"{JUDGE_FOLDER}/{name}") + SCORED, name


@pytest.fixture
def two_runs(engine: Engine, tmp_path: Path) -> Iterator[tuple[TrialRig, TrialRig]]:
    """Two runs that want the same device."""
    with contextlib.ExitStack() as stack:
        first = TrialRig(engine, tmp_path)
        stack.callback(first.remove)
        second = first.beside()
        stack.callback(second.remove)
        yield first, second


def test_a_judge_that_ends_is_opened_again_and_the_trial_runs_again(rig: TrialRig) -> None:
    """The trial is nobody's fault: it has a score in the end, and its rig says that it repeated."""
    executor, (text, go_on) = rig.executor(), waiting()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(rig.run, text, executor)
        wait_for(lambda: rig.lines == ["up"] or running.done())
        rig.engine.kill(rig.sandbox.judge.container)
        wait_for(lambda: rig.lines == ["up", "up"] or running.done(), 120)
        rig.engine.put_files(rig.sandbox.judge.container, JUDGE_FOLDER, {go_on: b""})
        record = running.result(120)
    assert record.status == "ok", record
    assert rig.repeated == ["the judge ended"]
    assert rig.lines[:2] == ["up", "up"]


def test_a_text_that_ends_the_judge_twice_is_rejected(rig: TrialRig) -> None:
    """Whatever its logits did to the judge, the next trial has a judge again."""
    executor = rig.executor()
    held = scored(before="import time; time.sleep(3600)")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(rig.run, held, executor)
        wait_for(lambda: rig.asked() == 1 or running.done(), 120)
        rig.engine.kill(rig.sandbox.judge.container)
        wait_for(lambda: rig.asked() == 2 or running.done(), 120)
        rig.engine.kill(rig.sandbox.judge.container)
        record = running.result(120)
    assert (record.status, record.reason) == ("rejected", "its logits ended the judge twice")
    assert record.value is None
    assert rig.run(SCORED, executor).status == "ok"


@pytest.mark.parametrize("how", ["kill", "stop", "remove"])
def test_a_trial_that_somebody_ends_runs_again(rig: TrialRig, how: str) -> None:
    """A person or another program ended its container: that is not the contestant's crash."""
    executor, (text, go_on) = rig.executor(), waiting()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(rig.run, text, executor)
        wait_for(lambda: rig.lines == ["up"] or running.done())
        (container,) = [s.id for s in rig.engine.containers(rig.run_id) if s.role == "trial"]
        getattr(rig.engine, how)(container)
        wait_for(lambda: rig.lines == ["up", "up"] or running.done(), 120)
        rig.engine.put_files(rig.sandbox.judge.container, JUDGE_FOLDER, {go_on: b""})
        record = running.result(120)
    assert record.status == "ok", record
    assert rig.repeated == ["its container was ended from outside"]


def test_an_earlier_lifes_container_makes_way(rig: TrialRig) -> None:
    """A trial that a dead runner left running is replaced by the one with the same number."""
    executor, order = rig.executor(), rig.order(SCORED)
    name = f"bakeoff-{rig.run_id}-trial-{order.trial:04d}"
    old = rig.engine.create(ContainerSpec(name, image_tag("trainer"), rig.run_id, "trial"))
    rig.engine.start(old)
    record = executor.run(order, rig.watch())
    assert record.status == "ok"
    assert rig.engine.inspect(old) is None


def test_a_trial_of_a_run_that_ends_is_killed(rig: TrialRig) -> None:
    """Abandoning ends a running trial, is recorded as such, and lets nothing start any more."""
    executor = rig.executor()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(rig.run, f"print('up', flush=True)\n{FOREVER}", executor)
        wait_for(lambda: rig.lines == ["up"] or running.done())
        executor.abandon()
        record = running.result(30)
    assert (record.status, record.reason) == ("killed", "the run ended while the trial ran")
    assert rig.run(SCORED, executor).status == "killed"


def test_two_runs_share_a_device_one_after_the_other(two_runs: tuple[TrialRig, TrialRig]) -> None:
    """Trials of two runs on one device never overlap, and the one that waited knows how long."""
    spans: list[tuple[float, float]] = []

    def one(rig: TrialRig, order: TrialOrder) -> float:
        began: list[float] = []
        watch = replace(rig.watch(), on_start=lambda: began.append(time.monotonic()))
        record = rig.executor().run(order, watch)
        assert record.status == "crash"
        spans.append((began[0], began[0] + record.wall_seconds))
        return record.lease_wait_seconds

    text = "import time\ntime.sleep(1.0)\n"  # that nothing is scored, is no matter
    jobs = [(rig, rig.order(text)) for rig in two_runs for _ in range(2)]
    with ThreadPoolExecutor(len(jobs)) as pool:
        waits = sorted(pool.map(lambda job: one(*job), jobs))
    spans.sort()
    for (_, ended), (began, _) in itertools.pairwise(spans):
        assert ended <= began
    assert waits[0] < min(ended - began for began, ended in spans)
    assert all(later - earlier > 1.0 for earlier, later in itertools.pairwise(waits))


def test_a_trial_that_waits_for_its_device_ends_with_its_run(
    two_runs: tuple[TrialRig, TrialRig],
) -> None:
    """A run that ends while another run has the device records its trial as killed, unstarted."""
    first, second = two_runs
    holder, waiter = first.executor(), second.executor()
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(first.run, FOREVER, holder)
        assert first.started.wait(120)
        waiting = pool.submit(second.run, SCORED, waiter)
        waiter.abandon()
        record = waiting.result(60)
        holder.abandon()
        running.result(30)
    assert (record.status, record.started_at) == ("killed", "")
    assert "before its device was free" in record.reason
    assert not second.started.is_set()


class OpeningJudge:
    """A judge's container that is still being opened."""

    def __init__(self) -> None:
        self.is_awaited = threading.Event()

    def send(self, message: Message) -> bool:
        raise AssertionError(f"it was sent {message}")

    def give_up(self) -> None:
        raise AssertionError("it is opened for the first time")

    def reopen(self) -> None:
        raise AssertionError("it is opened already")

    def has_news(self, within_seconds: float) -> bool:
        self.is_awaited.set()
        time.sleep(within_seconds)
        return False

    def wait_started(self) -> None:
        raise AssertionError("it has no news")


def test_a_trial_that_waits_for_the_judge_ends_with_its_run(rig: TrialRig) -> None:
    """It is recorded as killed, unstarted, and breaks no run."""
    judging, judge = Judging(), OpeningJudge()
    judging.connect(judge)
    executor = rig.executor(judging=judging)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(rig.run, SCORED, executor)
        assert judge.is_awaited.wait(30)
        executor.abandon()
        record = waiting.result(60)
    assert (record.status, record.started_at) == ("killed", "")
    assert "before the judge was open" in record.reason


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until the condition holds.

    Raises:
        AssertionError: it did not within this time.
    """
    until, tick = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < until, "the condition never held"
        tick.wait(0.02)
