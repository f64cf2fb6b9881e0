"""The budget clock: interval algebra, and time that is given back once and no more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runner.budget_clock import BudgetClock, Interval, length, minus, union
from runner.records.schema import ClockReading, Spent
from runner.spec import Budget
from tests.unit.run.rig import Hands

MOMENT = st.integers(min_value=0, max_value=30)
INTERVALS = st.lists(st.tuples(MOMENT, MOMENT), max_size=6)


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
    asked=st.lists(st.tuples(MOMENT, st.integers(min_value=0, max_value=60)), max_size=6),
)
def test_no_moment_is_given_back_twice(
    waits: list[Interval],
    outages: list[tuple[int, int]],
    ran: list[Interval],
    asked: list[tuple[int, int]],
) -> None:
    """In any order of waits, outages, trials and requests, each moment is in one account."""
    hands = Hands()
    clock = BudgetClock(Budget(hours=1), now=hands)
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
    worked: list[Interval] = []
    for settled, seconds in sorted(asked):
        hands.at = settled
        clock.model_answered(seconds)
        worked.append((max(0, settled - seconds), settled))
    hands.at = 40
    spent = clock.spent()
    most = cells(waits) - cells(worked)
    assert spent.lease_wait_seconds <= len(most)
    if not asked:
        assert spent.lease_wait_seconds == len(cells(waits))
        assert spent.outage_seconds == len(cells(seen) - cells(ran) - cells(waits))
    assert spent.outage_seconds <= len(cells(seen) - cells(ran))
    assert spent.elapsed_seconds == 40
    assert spent.wall_seconds == 40 - spent.lease_wait_seconds - spent.outage_seconds
    assert spent.wall_seconds >= 40 - len(most | (cells(seen) - cells(ran)))
    assert spent.wall_seconds >= 0


def test_a_wait_that_goes_on_spends_nothing() -> None:
    """While a trial waits for its device the wall budget stands still."""
    hands = Hands()
    clock = BudgetClock(Budget(hours=1), now=hands)
    hands.at = 100
    clock.lease_wait_began(1, 100)
    hands.at = 100 + 7200
    assert clock.spent().wall_seconds == 100
    assert clock.spent_budget() is None
    clock.lease_wait_ended(1, hands.at)
    hands.at += 50
    assert clock.spent().wall_seconds == 150
    assert clock.spent().lease_wait_seconds == 7200


def test_an_attempt_that_has_to_be_repeated_is_a_wait() -> None:
    """It costs nothing, but for what the agent worked meanwhile."""
    hands = Hands()
    clock = BudgetClock(Budget(hours=1), now=hands)
    hands.at = 50
    clock.model_answered(10)
    hands.at = 100
    clock.attempt_began(1, 20)
    clock.attempt_repeated(1, 20, 100)
    assert clock.spent().lease_wait_seconds == 70
    assert clock.spent().wall_seconds == 30


TRIALS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(1, 8), st.integers(0, 8), st.booleans()),
    min_size=1, max_size=5,
)  # fmt: skip


@given(TRIALS)
def test_of_several_trials_a_wait_is_given_back_only_while_none_trains(
    made: list[tuple[int, int, int, bool]],
) -> None:
    """Each asks, waits, and trains, twice if its first attempt is nobody's fault."""
    hands = Hands()
    clock = BudgetClock(Budget(hours=1), now=hands)
    events: list[tuple[int, int, int, str]] = []
    waits: list[Interval] = []
    trained: list[Interval] = []
    for trial, (asked, waiting, training, repeated) in enumerate(made, start=1):
        began = asked + waiting
        again = began + training
        events += [(asked, 0, trial, "waits"), (began, 1, trial, "begins")]
        waits.append((asked, began))
        if repeated:
            events.append((again, 2, trial, "repeats"))
            waits.append((began, again))
        last = again if repeated else began
        events.append((last + training, 3, trial, "ends"))
        trained.append((last, last + training))
    began_at: dict[int, int] = {}
    for moment, _, trial, what in sorted(events):
        hands.at = moment
        if what == "waits":
            clock.lease_wait_began(trial, moment)
        elif what == "begins":
            clock.lease_wait_ended(trial, moment)
            clock.attempt_began(trial, moment)
            began_at[trial] = moment
        elif what == "repeats":
            clock.attempt_repeated(trial, began_at[trial], moment)
        else:
            clock.attempt_ended(trial, moment)
        spent = clock.spent()
        assert spent.wall_seconds + spent.lease_wait_seconds == spent.elapsed_seconds == moment
    hands.at = 40
    assert clock.spent().lease_wait_seconds == len(cells(waits) - cells(trained))
    assert clock.reading().attempts == {}


def test_what_several_attempts_cost_when_their_run_breaks() -> None:
    """Each attempt's own cost is kept, without the time in which a trial trained that counts."""
    hands = Hands()
    clock = BudgetClock(Budget(hours=1), now=hands)
    clock.attempt_began(1, 0.0)
    clock.attempt_began(2, 10.0)
    clock.attempt_began(0, 10.0)  # a check, which is not run again
    hands.at = 30.0
    clock.attempt_ended(1, 30.0)
    clock.attempt_began(3, 30.0)
    hands.at = 50.0
    reading = clock.reading()
    assert reading.attempts == {2: 20.0, 3: 20.0}
    assert reading.cost_of([2, 3]) == reading.cost_of([2]) + reading.cost_of([3]) + 20.0 == 20.0


def test_what_is_given_back_of_attempts_that_overlap() -> None:
    """The longest of the broken ones, less what one that ended after the reading covers."""
    reading = ClockReading(spent=Spent(), attempts={4: 50.0, 5: 30.0, 6: 10.0})
    assert reading.cost_of([4, 5, 6]) == 50.0
    assert reading.cost_of([4, 6]) == 20.0
    assert reading.cost_of([5, 6]) == reading.cost_of([]) == reading.cost_of([9]) == 0.0
    earlier = ClockReading(spent=Spent(), trial=2, attempt_seconds=7.0)
    assert (earlier.cost_of([2]), earlier.cost_of([1])) == (7.0, 0.0)


def test_what_was_lost_with_the_engine_is_given_back_though_trials_ran() -> None:
    """Their attempts were lost with it."""
    hands = Hands()
    clock = BudgetClock(Budget(hours=1), now=hands)
    clock.attempt_began(1, 0.0)
    hands.at = 50.0
    clock.give_back_lost(20.0, 50.0)
    assert clock.spent().wall_seconds == 20.0
    assert clock.reading().attempts == {1: 20.0}


def waited(requests: list[Interval], until: float = 1000.0) -> tuple[BudgetClock, Hands]:
    """A clock of which a trial waited for its device from 100 to 900, with these model requests."""
    hands = Hands()
    clock = BudgetClock(Budget(hours=1), now=hands)
    clock.lease_wait_began(1, 100)
    for began, settled in requests:
        hands.at = settled
        clock.model_answered(settled - began)
    clock.lease_wait_ended(1, 900)
    hands.at = until
    return clock, hands


def test_an_agent_that_goes_on_working_gets_no_wait_back() -> None:
    """It detached its trial: its requests follow each other while the trial waits."""
    steps: list[Interval] = [(at, at + 20) for at in range(60, 960, 40)]
    clock, _ = waited(steps)
    assert clock.spent().lease_wait_seconds == 0
    assert clock.spent().wall_seconds == 1000


def test_an_agent_that_waits_for_its_trial_gets_the_wait_back() -> None:
    """The request that led to the trial, and the one after its end, are no work meanwhile."""
    clock, hands = waited([(80, 99.5)])
    assert clock.spent().lease_wait_seconds == 800
    clock.trial_ran(900, 910)
    hands.at = 930
    clock.model_answered(15)
    assert clock.spent().lease_wait_seconds == 800


def test_a_short_trial_that_was_waited_for_was_no_work() -> None:
    """Two requests close to each other with the trial's whole life between them: it waited."""
    hands = Hands(10.0)
    clock = BudgetClock(Budget(hours=1), now=hands)
    clock.model_answered(5)
    clock.lease_wait_began(1, 10)
    clock.lease_wait_ended(1, 30)
    clock.trial_ran(30, 35)
    hands.at = 40
    clock.model_answered(4)
    assert clock.spent().lease_wait_seconds == 20


def test_the_wait_after_the_last_work_is_given_back() -> None:
    """It works for a while and then ends its turn: from there on it waits, and only there."""
    clock, _ = waited([(90, 120), (150, 200), (230, 300)])
    assert clock.spent().lease_wait_seconds == 600
    clock, _ = waited([(90, 120), (700, 750)])
    assert clock.spent().lease_wait_seconds == 800 - 20 - 50


def test_an_answer_that_takes_long_is_counted_when_it_comes() -> None:
    """What was given back while the model was still answering is taken back, and no more."""
    clock, _ = waited([])
    assert clock.spent().wall_seconds == 200
    clock.model_answered(2000)
    assert clock.spent().wall_seconds == 1000
    assert clock.spent().lease_wait_seconds == 0


def test_an_outage_under_a_request_is_given_back_once() -> None:
    """The model was out of reach while a trial waited too: that time is an outage, and no wait."""
    clock, hands = waited([], until=500)
    hands.at = 500
    clock.give_back_outage(100)
    clock.model_answered(110)
    hands.at = 1000
    assert clock.spent().outage_seconds == 100
    assert clock.spent().lease_wait_seconds == 800 - 110
    assert clock.spent().wall_seconds == 1000 - 100 - 690


def test_the_end_of_a_wait_that_never_began_counts_nothing() -> None:
    """A trial that ends twice, or never waited, gives no time back."""
    hands = Hands()
    clock = BudgetClock(Budget(hours=1), now=hands)
    clock.lease_wait_began(1, 0)
    clock.lease_wait_ended(1, 10)
    clock.lease_wait_ended(1, 90)
    clock.lease_wait_ended(2, 90)
    hands.at = 100
    assert clock.spent().lease_wait_seconds == 10


def test_an_outage_under_a_running_trial_gives_nothing_back() -> None:
    """The contestant lost no time to an outage while its trial had the device."""
    hands = Hands()
    clock = BudgetClock(Budget(hours=1), now=hands)
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
    clock = BudgetClock(Budget(hours=1), now=hands)
    hands.at = 1010
    clock.give_back_outage(1e9)
    clock.give_back_outage(-5.0)
    assert clock.spent().outage_seconds == 10
    assert clock.spent().wall_seconds == 0


def test_the_clock_of_a_resumed_run_goes_on_from_its_last_reading() -> None:
    """What earlier lives spent counts, and so does what was given back to them."""
    before = Spent(
        wall_seconds=100, elapsed_seconds=150, lease_wait_seconds=30, outage_seconds=20,
        train_seconds=60, trials=4, usd=0.5, tokens=99, requests=7, turns=2,
    )  # fmt: skip
    hands = Hands(5000.0)
    clock = BudgetClock(Budget(trials=5), before, hands)
    assert clock.spent() == before
    hands.at += 10
    clock.count_trial(train_seconds=2.5)
    assert clock.spent().wall_seconds == 110
    assert clock.spent().train_seconds == 62.5
    assert clock.spent().elapsed_seconds == 160
    assert clock.spent_budget() == "trials"


def test_an_attempt_costs_what_is_not_given_back_of_it() -> None:
    """Neither the wait for its device, nor the model's work, nor an outage is of the attempt."""
    hands = Hands(100.0)
    clock = BudgetClock(Budget(hours=1), now=hands)
    assert clock.reading().attempts == {}
    clock.lease_wait_began(7, 100.0)
    hands.at = 130.0
    clock.lease_wait_ended(7, 130.0)
    clock.attempt_began(7, 130.0)
    hands.at = 150.0
    clock.model_answered(5.0)
    hands.at = 160.0
    clock.give_back_outage(4.0)
    reading = clock.reading()
    assert reading.attempts == {7: 30.0 - 5.0 - 4.0}
    assert reading.spent == clock.spent()
    clock.attempt_ended(7, 160.0)
    assert clock.reading().attempts == {}


def test_a_broken_attempt_is_given_back_in_the_next_life() -> None:
    """Its time was wall time, and is a wait now; all that elapsed stays."""
    hands = Hands(1000.0)
    before = Spent(wall_seconds=90.0, elapsed_seconds=100.0, lease_wait_seconds=10.0)
    clock = BudgetClock(Budget(hours=1), before, hands)
    clock.give_back_broken(25.0)
    hands.at += 5.0
    clock.model_answered(5.0)
    spent = clock.spent()
    assert (spent.wall_seconds, spent.lease_wait_seconds) == (70.0, 35.0)
    assert spent.elapsed_seconds == 105.0


def test_a_frozen_clock_costs_nothing_more() -> None:
    """The engine is gone: closing what is left of a life takes minutes, and is nobody's time."""
    hands = Hands()
    clock = BudgetClock(Budget(hours=1), now=hands)
    clock.attempt_began(1, 5.0)
    hands.at = 20.0
    clock.freeze()
    hands.at = 500.0
    clock.freeze()
    assert clock.spent().wall_seconds == clock.spent().elapsed_seconds == 20.0
    assert clock.reading().attempts == {1: 15.0}


def test_an_outage_that_ends_after_the_clock_froze_is_given_back_up_to_then() -> None:
    """A gateway tells of an open outage when it is stopped."""
    hands = Hands()
    clock = BudgetClock(Budget(hours=1), now=hands)
    hands.at = 20.0
    clock.freeze()
    hands.at = 25.0
    clock.give_back_outage(10.0)
    clock.give_back_outage(3.0)
    assert (clock.spent().wall_seconds, clock.spent().outage_seconds) == (15.0, 5.0)
