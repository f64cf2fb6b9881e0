"""Measures of a run against what comes out by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from runner.analysis.strategy import measures
from runner.analysis.strategy.experiments import experiments
from tests.unit.analysis.strategy.made_up import frames, searched

# Labels A A H S A; kept: no, yes, no, no, no.
CHANGES = ["depth 8 to 9", "depth 8 to 10", "matrix LR 0.4 to 0.5", "longer warmup", "depth 7 to 9"]
VALUES = [1.1, 0.9, 1.2, None, 1.3]


@pytest.fixture(name="run")
def one_run() -> pd.Series:
    """The measures of a run of five experiments."""
    rows = experiments(frames(searched("a-s1", CHANGES, VALUES)), 1)
    return measures.per_run(rows).iloc[0]


def test_counts_of_a_run(run: pd.Series) -> None:
    """One of five is kept, one crashed, and the last repeats the first."""
    assert (run["experiments"], run["kept"], run["failures"], run["repeats"]) == (5, 1, 1, 1)
    assert run["success"] == pytest.approx(0.2)
    assert run["repeat_rate"] == pytest.approx(0.2)


def test_breadth_and_entropy(run: pd.Series) -> None:
    """Three categories with shares 3/5, 1/5, 1/5: 0.6 log2(5/3) + 2 · 0.2 log2 5 bits."""
    assert run["breadth"] == 3
    assert run["entropy_bits"] == pytest.approx(0.6 * math.log2(5 / 3) + 0.4 * math.log2(5))


def test_pivots_follow_failures_only(run: pd.Series) -> None:
    """After failures 1, 3 and 4 come the same, another and another label; 3 follows a success."""
    assert (run["after_failure"], run["pivots"]) == (3, 2)
    assert run["pivot_rate"] == pytest.approx(2 / 3)


def test_pivots_in_random_order(run: pd.Series) -> None:
    """1 − (3·2) / (5·4): of 20 ordered pairs 6 have the same label."""
    assert run["pivot_expected"] == pytest.approx(1 - 6 / 20)


def test_persistence(run: pd.Series) -> None:
    """Five experiments in the four blocks AA H S A."""
    assert run["persistence"] == pytest.approx(5 / 4)


def test_dry_streaks(run: pd.Series) -> None:
    """No, yes, no, no, no: streaks of 1 and 3, and the plateau is the longest."""
    assert measures.dry_streaks([False, True, False, False, False]) == [1, 3]
    assert (run["plateau"], run["dry_median"]) == (3, 2)
    assert measures.dry_streaks([True]) == []
    assert measures.dry_streaks([]) == []


def test_the_median_step(run: pd.Series) -> None:
    """Steps are ln of 9/8, 10/8, 5/4 and 9/7; the warmup has none. Two of four are ln 1.25."""
    assert run["step"] == pytest.approx(math.log(1.25))
    assert run["gain"] == pytest.approx(0.1)


def test_small_steps_of_the_thirds() -> None:
    """Of nine experiments the first three take one small step, the last three take three."""
    big, small = "matrix LR 0.1 to 0.4", "matrix LR 0.4 to 0.41"
    changes = [big, big, small, big, big, big, small, small, small]
    run = measures.per_run(experiments(frames(searched("a-s1", changes, [1.5] * 9)), 1)).iloc[0]
    assert (run["small_early"], run["small_late"]) == (pytest.approx(1 / 3), 1.0)
    assert run["small_more"] == pytest.approx(2 / 3)


def test_a_short_run_has_no_thirds(run: pd.Series) -> None:
    """With under three experiments in a third no share is said."""
    assert math.isnan(run["small_more"])


def test_rolling_success() -> None:
    """The share of the last two, and none before there are two."""
    found = measures.rolling_success([True, False, False, True], window=2).tolist()
    assert found == pytest.approx([math.nan, 0.5, 0.0, 0.5], nan_ok=True)


def test_a_contestant_is_the_mean_of_its_runs() -> None:
    """Breadth is a mean over runs, and success is of all experiments together."""
    trials = [*searched("a-s1", CHANGES, VALUES), *searched("a-s2", ["depth 1 to 2"], [0.5])]
    rows = experiments(frames(trials), 1)
    best = pd.Series({"a-s1": 0.9, "a-s2": 0.5})
    found = measures.per_contestant(measures.per_run(rows), best).loc["a"]
    assert (found["runs"], found["experiments"], found["kept"]) == (2, 6, 2)
    assert found["breadth"] == pytest.approx((3 + 1) / 2)
    assert found["success"] == pytest.approx(2 / 6)
    assert found["best"] == pytest.approx(0.7)


def test_shares_of_categories() -> None:
    """Experiments are counted by their first label."""
    rows = experiments(frames(searched("a-s1", CHANGES, VALUES)), 1)
    assert measures.shares(rows).loc["a"].to_dict() == {
        "tokenizer/data": 0, "schedule": 1, "optimizer": 0, "architecture": 3,
        "hyperparameter": 1, "other": 0,
    }  # fmt: skip


def test_agreement_by_hand() -> None:
    """Ten labels of two kinds: 8 agree, by chance 0.5·0.5 + 0.5·0.5 would, so κ = (.8 − .5)/.5."""
    ours = ["depth 1 to 2"] * 5 + ["matrix LR 1 to 2"] * 5
    theirs = ["arch"] * 4 + ["hp"] + ["arch"] + ["hp"] * 4
    trials = searched("a-s1", ours, [1.5] * 10)
    for trial, own in zip(trials[1:], theirs, strict=True):
        trial["category"] = own
    found = measures.agreement(experiments(frames(trials), 1))
    assert found.n == 10
    assert found.share == pytest.approx(0.8)
    assert found.kappa == pytest.approx(0.6)


def test_agreement_of_too_few_cannot_be_told() -> None:
    """Under ten labels, without an own one, or with one kind alone there is no κ."""
    trials = searched("a-s1", ["depth 1 to 2"] * 12, [1.5] * 12)
    assert measures.agreement(experiments(frames(trials), 1)).n == 0
    for trial in trials:
        trial["category"] = "arch"
    for some in (trials[:9], trials):
        found = measures.agreement(experiments(frames(some), 1))
        assert math.isnan(found.kappa)
        assert found.share == 1.0
