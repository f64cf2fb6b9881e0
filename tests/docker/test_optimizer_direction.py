"""The optimizer's study of a metric that is maximised."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from runner.wire.messages import TrialFinished, TrialRequested

from .optimizer_rig import CRASHED, PRUNED, Make, Optimizer, answer, loss

TRIALS = 12  # ten start-up trials, and two with settings that a sampler has learnt


def negated(request: TrialRequested) -> TrialFinished:
    """The result of a task whose metric is the opposite number."""
    measured = answer(request)
    value = None if measured.value is None else -measured.value
    return dataclasses.replace(measured, value=value, metric="reward")


def run(
    optimizer: Optimizer, answer_to: Callable[[TrialRequested], TrialFinished]
) -> list[dict[str, Any]]:
    """The knobs of the first trials."""
    optimizer.up()
    asked = []
    for _ in range(TRIALS):
        request = optimizer.next(TrialRequested)
        asked.append(request.knobs)
        optimizer.say(answer_to(request))
    return asked


@pytest.mark.parametrize("sampler", ["cmaes", "gp", "tpe"])  # the others learn nothing
def test_maximising_is_minimising_the_opposite(make_optimizer: Make, sampler: str) -> None:
    """The same settings are asked for, with a crash and a pruned trial; the best is the highest."""
    asked = run(make_optimizer(sampler), answer)
    optimizer = make_optimizer(sampler, direction="maximize")
    assert run(optimizer, negated) == asked
    whole = [knobs for number, knobs in enumerate(asked) if number not in (CRASHED, PRUNED)]
    best = max(-loss(knobs) for knobs in whole)
    assert f"(best {best:.6g}, " in optimizer.log(f"trial {TRIALS - 1} (setting {TRIALS - 1})")
