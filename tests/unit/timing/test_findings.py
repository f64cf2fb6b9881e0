"""What a trial is charged for its time, and what is found about it; clocks and counters are given.

Rows of samples are moment, processor, waiting, others, stolen (seconds), busy threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.timing.counts import count_at, is_disturbed, lost_share, read_counts
from runner.timing.findings import Allowances, Found, Moments, charged, judge_time

MEASURED = Allowances(start_seconds=8.0, scoring_seconds=3.0)
QUIET = [[0.0, 0, 0, 0, 0, 0], [60.0, 110, 1, 5, 0, 2], [70.0, 130, 1, 6, 0, 2]]


def judged(
    moments: Moments, declared: float | None = None, samples: Any = QUIET, train: float = 60.0
) -> Found:
    """What is found about a trial of two threads."""
    return judge_time(moments, declared, train, 2, {"samples": samples}, MEASURED)


def names(found: Found) -> list[str]:
    return [verdict.name for verdict in found.verdicts]


def lost(*samples: Sequence[float | None]) -> float | None:
    counts = read_counts({"samples": list(samples)})
    return lost_share(counts[0], counts[-1])


def starved(*samples: Sequence[float | None], quiet_share: float = 0.0) -> bool:
    counts = read_counts({"samples": list(samples)})
    return is_disturbed(counts[0], counts[-1], counts[-1].at - counts[0].at, quiet_share)


# --- what is charged ------------------------------------------------------------------------------


def test_an_honest_trial_is_charged_what_it_declared() -> None:
    """Start and scoring within the allowance cost nothing, and nothing is said."""
    found = judged(Moments(0, 65, 68), declared=60.1)
    assert (found.charged_seconds, names(found), found.disturbed) == (60.1, [], False)


def test_a_tiny_declared_time_costs_what_the_host_saw() -> None:
    """`training_seconds: 0.001` is charged by the host's clock, less the allowance, and said."""
    found = judged(Moments(0, 65, 68), declared=0.001)
    assert found.charged_seconds == 57
    assert names(found) == ["declared time"]
    numbers = found.verdicts[0].numbers
    assert numbers == {"declared_seconds": 0.001, "measured_seconds": 65, "allowance_seconds": 8}
    assert not found.verdicts[0].rejects


def test_a_trial_that_declares_too_much_is_charged_for_what_was_seen() -> None:
    """It cannot be charged for more than passed."""
    found = judged(Moments(0, 65, 68), declared=1e12)
    assert (found.charged_seconds, names(found)) == (65, ["declared time"])


def test_a_slowed_clock_costs_its_real_time_and_its_score() -> None:
    """Nine times the training time with an honest face: charged whole, and rejected."""
    found = judged(Moments(0, 546, 549), declared=60)
    assert found.charged_seconds == 538
    assert names(found) == ["declared time", "overtime"]
    assert [verdict.rejects for verdict in found.verdicts] == [False, True]


def test_a_little_overtime_is_charged_and_keeps_its_score() -> None:
    """Up to the allowance or a quarter of the training time beyond it is only charged."""
    found = judged(Moments(0, 80, 83), declared=75)
    assert (found.charged_seconds, names(found)) == (75, [])


def test_a_trial_that_never_asks_is_charged_until_its_end() -> None:
    """Without a request for a score everything until the end was training."""
    found = judged(Moments(0, None, 40))
    assert (found.charged_seconds, names(found)) == (40, [])
    assert found.cpu_seconds_training == pytest.approx(110 * 40 / 60, abs=0.001)


def test_slow_scoring_beyond_three_times_the_pristine_ones_is_charged() -> None:
    """Nine seconds are free of charge, what is beyond is training, and it is said."""
    assert judged(Moments(0, 65, 74), declared=60).verdicts == []
    found = judged(Moments(0, 65, 84), declared=60)
    assert (found.charged_seconds, names(found)) == (70, ["slow scoring"])


def test_without_a_calibration_scoring_is_not_judged() -> None:
    """A length that was never measured bounds nothing."""
    assert charged(Moments(0, 65, 9999), 60, Allowances(start_seconds=8)) == 60


def test_a_clock_that_goes_back_charges_nothing_negative() -> None:
    """A step of the machine's clock cannot give time back."""
    assert charged(Moments(100, 50, 40), None, MEASURED) == 0


@given(
    began=st.floats(0, 1e9), train=st.floats(0, 1e6), scoring=st.floats(0, 1e6),
    declared=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)  # fmt: skip
def test_no_declared_time_changes_the_charge_beyond_the_allowance(
    began: float, train: float, scoring: float, declared: float | None
) -> None:
    """Whatever is printed, the charge lies between what was seen and that less the allowance."""
    moments = Moments(began, began + train, began + train + scoring)
    cost = charged(moments, declared, MEASURED)
    seen = moments.training_seconds
    slow = max(0.0, moments.scoring_seconds - 9)
    if declared is None or declared <= 0:
        assert cost - slow == pytest.approx(seen, abs=1e-6)
    assert max(0.0, seen - 8) <= cost - slow + 1e-6
    assert cost - slow <= seen + 1e-6


# --- computing while it is scored -----------------------------------------------------------------


def scored(busy: list[int], training: int = 2) -> Found:
    """A trial of 60 s with so many busy threads, in each half second of its scoring."""
    before = [[float(at), at * 2.0, 0, 0, 0, training] for at in range(61)]
    after = [[60.5 + at / 2, 121 + at, 0, 0, 0, count] for at, count in enumerate(busy)]
    end = after[-1][0] if after else 60.0
    return judged(Moments(0, 60, end), declared=60, samples=before + after)


def test_a_thread_that_trains_while_the_trial_is_scored_is_seen() -> None:
    """More threads compute than scoring needs: it is said, and the scoring is charged."""
    found = scored([4, 4, 4, 1, 4, 4])
    assert names(found) == ["computing during scoring"]
    assert found.charged_seconds == 63
    assert found.verdicts[0].numbers == {
        "cpu_seconds": 6, "crowded_seconds": 2.5, "scoring_seconds": 3, "threads": 4,
        "threads_needed": 2,
    }  # fmt: skip


@pytest.mark.parametrize("busy", [[2, 2, 2, 2], [2, 2, 2, 3, 2, 2, 2], [0, 1, 0], []])
def test_honest_scoring_is_not_crowded(busy: list[int]) -> None:
    """The trial's own threads, a moment of one more, and waiting for the judge are all in order."""
    assert names(scored(busy)) == []


def test_a_train_py_with_many_threads_scores_with_as_many() -> None:
    """What its training did all the time, its scoring may do as well."""
    assert names(scored([8, 8, 8], training=8)) == []


# --- other load -----------------------------------------------------------------------------------


def test_a_trial_beside_a_busy_neighbour_is_disturbed() -> None:
    """Its threads waited while others had the processors: it lost half of its time."""
    samples = [0.0, 0, 0, 0, 0, 0], [10.0, 10, 10, 10, 0, 2]
    assert lost(*samples) == 0.5
    assert starved(*samples)


def test_an_honest_single_thread_is_not_disturbed() -> None:
    """One thread beside another program on the second processor does not wait."""
    assert not starved([0.0, 0, 0, 0, 0, 0], [10.0, 10, 0.2, 10, 0, 1])


def test_a_trial_whose_own_threads_wait_for_each_other_is_not_disturbed() -> None:
    """Eight threads on two free processors wait for long, and nobody else is to blame."""
    assert not starved([0.0, 0, 0, 0, 0, 0], [10.0, 20, 60, 0.3, 0, 8])


def test_a_trial_that_sleeps_is_not_disturbed() -> None:
    """It waited for as long as it computed, but both are nothing beside its time."""
    assert not starved([0.0, 0, 0, 0, 0, 0], [10.0, 0.05, 0.1, 19, 0, 0])


def test_what_the_pristine_train_py_lost_is_taken_off() -> None:
    """A machine that is always busy disturbs nobody more than it did the calibration."""
    assert not starved([0.0, 0, 0, 0, 0, 0], [10.0, 15, 5, 5, 0, 2], quiet_share=0.2)


def test_time_that_the_machines_host_stole_is_lost_by_the_trials_share() -> None:
    """Stolen time shows in no waiting; the trial bears its share of it."""
    assert lost([0.0, 0, 0, 0, 0, 0], [10.0, 9, 0, 0, 3, 1]) == 0.25
    assert starved([0.0, 0, 0, 0, 0, 0], [10.0, 9, 0, 0, 3, 1])


def test_nothing_is_said_where_the_kernel_does_not_count() -> None:
    """Without counters of waiting or of others, no trial is called disturbed."""
    assert not starved([0.0, 0, None, 0, 0, 0], [10.0, 1, None, 19, 0, 2])
    assert not starved([0.0, 0, 0, None, 0, 0], [10.0, 1, 19, None, 0, 2])
    found = judged(Moments(0, 65, 68), declared=60, samples=[])
    assert (found.cpu_seconds_training, found.disturbed) == (None, False)


def test_a_disturbed_trial_has_as_much_more_time_as_it_lost() -> None:
    """What other load took is its due; whoever disturbs its own trial gains no more than that."""
    lost_all = [[0.0, 0, 0, 0, 0, 0], [200.0, 100, 280, 280, 0, 2], [203.0, 103, 281, 283, 0, 2]]
    found = judged(Moments(0, 200, 203), declared=195, samples=lost_all)
    assert (found.disturbed, names(found), found.charged_seconds) == (True, [], 195)
    lost_little = [[0.0, 0, 0, 0, 0, 0], [200.0, 100, 40, 40, 0, 2], [203.0, 103, 41, 43, 0, 2]]
    found = judged(Moments(0, 200, 203), declared=195, samples=lost_little)
    assert (found.disturbed, names(found), found.charged_seconds) == (True, ["overtime"], 195)


# --- samples --------------------------------------------------------------------------------------


def test_counts_between_two_samples_are_interpolated() -> None:
    """The request for the score falls between two looks of PID 1."""
    counts = read_counts({"samples": [[10.0, 0, 0, 0, 0, 0], [12.0, 4, 1, 2, 0, 3]]})
    found = count_at(counts, 11.0)
    assert (found.cpu_seconds, found.waited_seconds, found.others_seconds) == (2, 0.5, 1)
    assert count_at(counts, 0.0) == counts[0]
    assert count_at(counts, 99.0) == counts[1]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_no_samples_can_raise(samples: Any) -> None:
    """Whatever stands in the message, the trial is judged, and its charge is a number."""
    found = judged(Moments(0, 65, 68), declared=60, samples=samples)
    assert math.isfinite(found.charged_seconds)


@given(st.lists(st.lists(st.integers() | st.floats() | st.none(), min_size=6, max_size=6)))
def test_no_rows_can_raise(samples: Any) -> None:
    """Rows of any numbers are judged as well."""
    assert judged(Moments(0, 65, 68), declared=60, samples=samples).charged_seconds >= 0
    assert judged(Moments(0, 65, 68), samples=[[10**400, *[0] * 5]]).verdicts == []
