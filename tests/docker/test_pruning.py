"""A trial that an optimizer gives up, on a real engine, with a real judge and a real optimizer."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from runner.trials.estimates import ESTIMATE_AT, step_of
from runner.wire.messages import (
    Message,
    ScoreEstimated,
    TrialEstimated,
    TrialFinished,
    TrialRequested,
)
from tests.corpora import pristine

from .optimizer_rig import Make, Optimizer
from .trial_rig import FOREVER, SCORED, TrialRig, scored

GONE_SECONDS = 20.0  # one, and a margin for a busy machine; untouched it would run for a minute
ESTIMATED_THEN_FOREVER = scored(estimate=True).partition("value = ")[0] + FOREVER


def test_a_trial_that_is_given_up_is_gone_at_once(rig: TrialRig) -> None:
    """Its container ends within a second, it is charged, and the next trial is as good as ever."""
    executor, order = rig.executor(), rig.order(ESTIMATED_THEN_FOREVER)
    given_up: list[float] = []

    def give_up(estimate: ScoreEstimated) -> None:
        executor.prune(order.trial, step_of(estimate) + 1)  # of no attempt: nothing happens
        given_up.append(time.monotonic())
        executor.prune(order.trial, step_of(estimate))

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(executor.run, order, replace(rig.watch(), on_estimate=give_up))
        record = running.result()
        gone = time.monotonic()
    assert rig.containers() == []
    assert gone - given_up[0] < GONE_SECONDS
    assert (record.status, record.exit_code) == ("pruned", 143), (record, rig.judge_said)
    assert record.reason == "given up after 50 % of its training"
    assert record.value == record.estimates[-1]["val_bpb"]
    assert 0.5 <= record.train_seconds < 0.5 + GONE_SECONDS, "half a second, and until its end"
    assert record.peak_memory_bytes > 1 << 20
    assert not record.verdicts
    assert rig.repeated == []
    assert rig.run(SCORED, executor).status == "ok"


def test_a_search_that_prunes_has_its_trials_estimated_more_often(rig: TrialRig) -> None:
    """The real train.py, made smaller, is estimated at the shares that it is told, in order."""
    told = ESTIMATE_AT[1::2]
    executor = rig.executor(
        train_seconds=4, limit_seconds=124, memory_bytes=2 << 30, cpus=2.0, estimate_at=told
    )
    ten_steps = pristine().replace("done.count(time.perf_counter() - began)", "done.count(0.41)")
    record = rig.run(ten_steps, executor)
    assert record.status == "ok", (record, rig.lines[-5:])
    assert [estimate["fraction"] for estimate in record.estimates] == list(told)


@pytest.mark.parametrize("pruner", ["median", "wilcoxon"])
def test_the_image_has_what_its_pruners_need(make_optimizer: Make, pruner: str) -> None:
    """A trial that is worse all the way than six others is sent back, and is known afterwards."""
    optimizer = make_optimizer(pruner=pruner)
    optimizer.up()
    for trial in range(1, 7):
        request = optimizer.next(TrialRequested)
        say_curve(optimizer, request, 2.0)
        optimizer.say(TrialFinished(request.request, trial, "ok", 2.0, 1.0))
    request = optimizer.next(TrialRequested)
    say_curve(optimizer, request, 3.0)
    back = optimizer.next(TrialEstimated)
    assert back.request == request.request
    optimizer.say(TrialFinished(request.request, 7, "pruned", back.value, 1.0))
    again = optimizer.next(Message)
    while isinstance(again, TrialEstimated):  # by a later step, which it was told meanwhile
        again = optimizer.next(Message)
    assert isinstance(again, TrialRequested)
    assert again.request == "ask-7"


def say_curve(optimizer: Optimizer, request: TrialRequested, end: float) -> None:
    """Tell it the values on the way of a training that comes to `end`."""
    for share in ESTIMATE_AT:
        value = end + 1 - share
        optimizer.say(TrialEstimated(request.request, round(100 * share), value))
