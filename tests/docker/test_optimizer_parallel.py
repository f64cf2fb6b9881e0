"""Optimizers with several trials at a time: what is repeated after a kill, and how they end."""

from __future__ import annotations

import random

import pytest

from runner import samplers
from runner.wire.messages import Stopped, TrialFinished, TrialRefused, TrialRequested

from .optimizer_rig import Make, Optimizer, answer

PARALLEL, ENDS, CUT = 3, 14, 9  # open requests; trials that end; the end after which it is killed


def ended_in_chance_order(optimizer: Optimizer, *, killed: bool) -> dict[str, dict[str, object]]:
    """Let trials end in an order that chance chooses; the same for every optimizer.

    One that is killed hears of two ends only after it was started again, and asks for what was
    open in its own order. It is told in the order of the ends, as the runner's queue does.
    """
    chance, asked = random.Random(5), {}
    under_way: list[TrialRequested] = []
    optimizer.up()

    def hear(number: int) -> None:
        for _ in range(number):
            request = optimizer.next(TrialRequested)
            asked[request.request] = dict(request.knobs)
            under_way.append(request)

    hear(PARALLEL)
    while len(asked) < ENDS + PARALLEL:
        away = killed and len(asked) == CUT
        ends = []
        for _ in range(2 if len(asked) == CUT else 1):
            ends.append(under_way.pop(chance.randrange(len(under_way))))
        if away:
            optimizer.kill()
            optimizer.up()
            repeated = {optimizer.next(TrialRequested).request for _ in range(PARALLEL)}
            assert repeated == {request.request for request in (*ends, *under_way)}
        for request in ends:
            optimizer.say(answer(request))
            hear(1)
    return asked


@pytest.mark.parametrize(
    "sampler", [row.name for row in samplers.load().values() if not row.finite]
)
def test_a_killed_optimizer_goes_on_as_one_that_was_not(make_optimizer: Make, sampler: str) -> None:
    """Three trials at a time, which end in any order, some of them while nobody listened."""
    whole = ended_in_chance_order(make_optimizer(sampler, parallel=PARALLEL), killed=False)
    cut = ended_in_chance_order(make_optimizer(sampler, parallel=PARALLEL), killed=True)
    assert cut == whole
    assert len(whole) == ENDS + PARALLEL


def test_trials_that_are_under_way_are_told_after_the_last_was_refused(
    make_optimizer: Make,
) -> None:
    """The budget has no further trial, and two still train: it waits for both, and then ends."""
    optimizer = make_optimizer(parallel=3)
    optimizer.up()
    first, second, ahead = (optimizer.next(TrialRequested) for _ in range(3))
    optimizer.say(TrialRefused(ahead.request, "the budget has no further trial", final=True))
    optimizer.say(answer(first))
    optimizer.log("(setting 0)")
    optimizer.say(TrialFinished(second.request, 2, "ok", 2.25, 1.0))
    assert "the budget has no further trial" in optimizer.next(Stopped).reason
    assert "trial 2 (setting 1): 2.25 (best" in optimizer.log("(setting 1)")
    assert optimizer.end().exit_code == 0
