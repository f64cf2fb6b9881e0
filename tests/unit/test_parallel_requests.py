"""The wall clock of an optimiser that asks its model several things at a time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runner.budget_clock import BudgetClock
from runner.spec import Budget
from tests.unit.run.rig import Hands

REQUESTS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 10)), min_size=1, max_size=20)


@given(REQUESTS)
def test_requests_side_by_side_cost_the_time_that_passes(asked: list[tuple[int, int]]) -> None:
    """While another run has the device, what the model takes counts, and each second once."""
    hands = Hands()
    clock = BudgetClock(Budget(hours=1), now=hands)
    clock.lease_wait_began(1, 0.0)
    ends = sorted((began + seconds, seconds) for began, seconds in asked)
    for settled, seconds in ends:
        hands.at = float(settled)
        clock.model_answered(seconds)
    hands.at = 100.0
    busy = {s for end, seconds in ends for s in range(end - seconds, end)}
    spent = clock.spent()
    assert spent.wall_seconds >= len(busy)
    assert spent.wall_seconds <= max(end for end, _ in ends)
    assert spent.wall_seconds + spent.lease_wait_seconds == 100


def test_twenty_requests_at_a_time_are_one_wait_for_the_model() -> None:
    """Ten seconds of each, all at once, are ten seconds."""
    hands = Hands()
    clock = BudgetClock(Budget(hours=1), now=hands)
    clock.lease_wait_began(1, 0.0)
    hands.at = 60.0
    for _ in range(20):
        clock.model_answered(10.0)
    hands.at = 100.0
    assert clock.spent().wall_seconds == 10
