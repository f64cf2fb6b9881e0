"""The budget clock: interval algebra, budgets, and time that is given back once and no more."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.clock import Clock, Interval, length, minus, union
from runner.records import Spent
from runner.spec import Budget

MOMENT = st.integers(min_value=0, max_value=30)
INTERVALS = st.lists(st.tuples(MOMENT, MOMENT), max_size=6)


@dataclass
class Hands:
    """The hands of a clock that only a test moves."""

    at: float = 0.0

    def __call__(self) -> float:
        return self.at


def cells(intervals: list[Interval]) -> set[int]:
    """The unit cells that intervals with whole ends cover: the slow and obvious reference."""
    return {cell for begin, end in intervals for cell in range(int(begin), int(end))}


def disjoint_and_in_order(intervals: list[Interval]) -> bool:
    ends = [moment for interval in intervals for moment in interval]
    return ends == sorted(ends) and all(begin < end for begin, end in intervals)


@given(INTERVALS)
def test_union_covers_the_same_points(intervals: list[Interval]) -> None:
    """The union covers what its parts cover, in disjoint intervals."""
    assert cells(union(intervals)) == cells(intervals)
    assert disjoint_and_in_order(union(intervals))


@given(INTERVALS, INTERVALS)
def test_minus_takes_exactly_what_is_taken(
    intervals: list[Interval], taken: list[Interval]
) -> None:
    """What is left is covered by the first and by none of the second."""
    assert cells(minus(intervals, taken)) == cells(intervals) - cells(taken)
    assert disjoint_and_in_order(minus(intervals, taken))


@given(INTERVALS)
def test_length_counts_an_overlap_once(intervals: list[Interval]) -> None:
    """The length of intervals is that of their union."""
    assert length(intervals) == len(cells(intervals))


@given(
    waits=INTERVALS,
    outages=st.lists(st.tuples(MOMENT, st.integers(min_value=0, max_value=60)), max_size=6),
    ran=INTERVALS,
)
def test_no_moment_is_given_back_twice(
    waits: list[Interval], outages: list[tuple[int, int]], ran: list[Interval]
) -> None:
    """In any order of waits, outages and trials, each moment is in one account and no other."""
    hands = Hands()
    clock = Clock(Budget(hours=1), now=hands)
    for trial, (began, ended) in enumerate(waits):
        clock.lease_wait_began(trial, began)
        clock.lease_wait_ended(trial, max(began, ended))
    for began, ended in ran:
        clock.trial_ran(began, ended)
    seen: list[Interval] = []
    for ended, seconds in sorted(outages):
        hands.at = ended
        clock.give_back_outage(seconds)
        seen.append((max(0, ended - seconds), ended))
    hands.at = 40
    spent = clock.spent()
    given_back = cells(seen) - cells(ran) - cells(waits)
    assert spent.lease_wait_seconds == len(cells(waits))
    assert spent.outage_seconds == len(given_back)
    assert spent.elapsed_seconds == 40
    assert spent.wall_seconds == 40 - len(cells(waits) | given_back)
    assert spent.wall_seconds >= 0


def test_a_wait_that_goes_on_spends_nothing() -> None:
    """While a trial waits for its device the wall budget stands still."""
    hands = Hands()
    clock = Clock(Budget(hours=1), now=hands)
    hands.at = 100
    clock.lease_wait_began(1, 100)
    hands.at = 100 + 7200
    assert clock.spent().wall_seconds == 100
    assert clock.spent_budget() is None
    clock.lease_wait_ended(1, hands.at)
    hands.at += 50
    assert clock.spent().wall_seconds == 150
    assert clock.spent().lease_wait_seconds == 7200


def test_the_end_of_a_wait_that_never_began_counts_nothing() -> None:
    """A trial that ends twice, or never waited, gives no time back."""
    hands = Hands()
    clock = Clock(Budget(hours=1), now=hands)
    clock.lease_wait_began(1, 0)
    clock.lease_wait_ended(1, 10)
    clock.lease_wait_ended(1, 90)
    clock.lease_wait_ended(2, 90)
    hands.at = 100
    assert clock.spent().lease_wait_seconds == 10


def test_an_outage_under_a_running_trial_gives_nothing_back() -> None:
    """The contestant lost no time to an outage while its trial had the device."""
    hands = Hands()
    clock = Clock(Budget(hours=1), now=hands)
    hands.at = 60
    clock.trial_ran(10, 60)
    clock.give_back_outage(50)
    assert clock.spent().outage_seconds == 0
    hands.at = 80
    clock.give_back_outage(30)
    assert clock.spent().outage_seconds == 20


def test_an_outage_reaches_back_no_further_than_the_run() -> None:
    """An outage that is said to be longer than the run gives back the run's time at most."""
    hands = Hands(1000.0)
    clock = Clock(Budget(hours=1), now=hands)
    hands.at = 1010
    clock.give_back_outage(1e9)
    clock.give_back_outage(-5.0)
    assert clock.spent().outage_seconds == 10
    assert clock.spent().wall_seconds == 0


@pytest.mark.parametrize(
    ("budget", "spent"),
    [
        (Budget(hours=2), Spent(wall_seconds=7200)),
        (Budget(train_hours=0.5), Spent(train_seconds=1800)),
        (Budget(trials=3), Spent(trials=3)),
        (Budget(usd=1.5), Spent(usd=1.5)),
        (Budget(tokens=10), Spent(tokens=10)),
    ],
)
def test_a_budget_is_spent_when_it_is_used_up(budget: Budget, spent: Spent) -> None:
    """Each budget ends the run at its bound and not before, under its own name."""
    (name,) = (name for name, bound in budget.as_dict().items() if bound is not None)
    less = Spent.model_validate(
        {
            k: v * 0.5 if isinstance(v, float) else max(0, v - 1)
            for k, v in spent.model_dump(exclude={"schema_version"}).items()
        }
    )
    assert Clock(budget, spent, Hands()).spent_budget() == name
    assert Clock(budget, less, Hands()).spent_budget() is None


def test_the_clock_of_a_resumed_run_goes_on_from_its_last_reading() -> None:
    """What earlier lives spent counts, and so does what was given back to them."""
    before = Spent(
        wall_seconds=100, elapsed_seconds=150, lease_wait_seconds=30, outage_seconds=20,
        train_seconds=60, trials=4, usd=0.5, tokens=99, requests=7, turns=2,
    )  # fmt: skip
    hands = Hands(5000.0)
    clock = Clock(Budget(trials=5), before, hands)
    assert clock.spent() == before
    hands.at += 10
    clock.trials += 1
    assert clock.spent().wall_seconds == 110
    assert clock.spent().elapsed_seconds == 160
    assert clock.spent_budget() == "trials"


def test_what_is_left_is_said_in_words() -> None:
    """Every bound that is set is in the sentence, never below zero, and no other."""
    budget = Budget(hours=2, train_hours=1, trials=3, usd=2.5, tokens=1000)
    spent = Spent(wall_seconds=1800, train_seconds=7200, trials=1, usd=0.5, tokens=400)
    left = Clock(budget, spent, Hands()).left()
    assert left == ("2 trials, 1.50 hours, 0.00 training hours, 2.00 US dollars, 600 tokens")
    assert Clock(Budget(trials=2), Spent(trials=5), Hands()).left() == "0 trials"
