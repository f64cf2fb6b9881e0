"""H1 to H7 against published figures, by hand, and where they cannot be told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from runner.analysis.report import Settings
from runner.analysis.strategy import hypotheses, measures
from runner.analysis.strategy.experiments import experiments
from runner.analysis.strategy.hypotheses import Hypothesis, discoveries
from tests.unit.analysis.strategy.made_up import RESAMPLES, frames, searched

A_CHANGE_EACH = ["depth 8", "warmup 1", "momentum 1", "matrix LR 1", "tokenizer 1"]
# The five-agent study as published: experiments, share kept in %, breadth, best value in bits/byte.
PUBLISHED = {
    "a": (163, 19.5, 5, 0.5757), "b": (163, 21.0, 5, 0.5794), "c": (163, 13.0, 5, 0.5802),
    "d": (167, 8.2, 3, 0.5848), "e": (163, 6.2, 2, 0.5923),
}  # fmt: skip
PUBLISHED_R = -0.946


def of_runs(
    trials: list[Any], sign: int = 1, noise_sd: float | None = None, kind: str = "imported"
) -> list[Hypothesis]:
    """All hypotheses of made-up runs."""
    of = frames(trials, kind=kind, direction="minimize" if sign > 0 else "maximize")
    rows = experiments(of, sign)
    runs = measures.per_run(rows)
    contestants = measures.per_contestant(runs, of.runs.set_index("run")["best"])
    return hypotheses.tested(rows, runs, contestants, sign, noise_sd, Settings(resamples=RESAMPLES))


def only(found: list[Hypothesis], name: str, words: str = "") -> Hypothesis:
    """The one test of that hypothesis whose claim has these words."""
    (one,) = [each for each in found if each.name == name and words in each.claim]
    return one


def five_agents() -> list[Any]:
    """Runs with the published number of experiments, kept ones, categories and best value."""
    trials = []
    for name, (n, percent, breadth, best) in PUBLISHED.items():
        changes = [A_CHANGE_EACH[at % breadth] for at in range(n)]
        own = searched(f"{name}-s1", changes, [best, *[best + 0.1] * (n - 1)])
        for at, trial in enumerate(own[1:]):
            trial["kept"] = at < round(n * percent / 100)
        trials += own
    return trials


def test_breadth_and_best_of_the_five_agents() -> None:
    """The published r = −.946; by 120 orders p = .05, which is the least with three ties."""
    first = only(of_runs(five_agents()), "H1")
    assert first.effect == pytest.approx(PUBLISHED_R, abs=0.0005)
    assert first.p == pytest.approx(0.05)
    assert first.smallest == pytest.approx(0.05)
    assert (first.n, first.of) == (5, "contestants")
    assert first.told


def test_a_maximised_metric_gives_the_same_test() -> None:
    """With all values negated and more being better, r changes its sign and nothing else."""
    trials = [trial | {"value": -trial["value"]} for trial in five_agents()]
    first = only(of_runs(trials, sign=-1), "H1")
    assert first.effect == pytest.approx(-PUBLISHED_R, abs=0.0005)
    assert first.expected == 1
    assert first.p == pytest.approx(0.05)


def test_success_of_the_five_agents() -> None:
    """32, 34, 21, 14 and 10 kept; each published share is within half an experiment of ours."""
    rows = experiments(frames(five_agents()), 1)
    runs = measures.per_run(rows)
    assert runs["kept"].tolist() == [32, 34, 21, 14, 10]
    for (n, percent, _, _), success in zip(PUBLISHED.values(), runs["success"], strict=True):
        assert success == pytest.approx(percent / 100, abs=0.5 / n)
    differ = only(of_runs(five_agents()), "H4", "differ")
    assert differ.n == 819
    assert differ.p == pytest.approx(1 / (RESAMPLES + 1))
    assert differ.verdict == "supported"


def test_three_contestants_are_too_few() -> None:
    """No r and no p, and the reason is said."""
    trials = [trial for trial in five_agents() if trial["run"] < "d"]
    first = only(of_runs(trials), "H1")
    assert (first.effect, first.p) == (None, None)
    assert first.verdict == (
        "cannot be told: the test takes 4 contestants with both, and there are 3"
    )


def test_baselines_are_not_tested() -> None:
    """A sampler chooses no category, so that its runs are in no test."""
    assert {one.n for one in of_runs(five_agents(), kind="baseline")} == {0}
    assert all(one.p is None for one in of_runs(five_agents(), kind="baseline"))


def test_what_follows_a_failure() -> None:
    """In two runs both pivots are kept and no stay is: (2!·2!/4!)² at each end, p = 2/36."""
    changes = ["depth 1", "depth 2", "warmup 1", "depth 3", "depth 4", "warmup 2"]
    kept = [False, False, True, False, False, True]
    trials = []
    for run in ("a-s1", "b-s1"):
        own = searched(run, changes, [1.5] * 6)
        for trial, was_kept in zip(own[1:], kept, strict=True):
            trial["kept"] = was_kept
        trials += own
    after = only(of_runs(trials), "H2", "after a failure, another")
    assert (after.effect, after.n) == (1.0, 8)
    assert after.p == pytest.approx(2 / 36)


def test_a_context_window_needs_two_runs_of_each() -> None:
    """One run a window is a difference without a test; three of each reach p = .1 at best."""
    repeating = searched("m-s1", ["depth 1"] * 4, [1.5] * 4)
    other = searched("m-1m-s1", ["depth 1", "depth 2", "depth 3", "depth 3"], [1.5] * 4)
    repeats = only(of_runs([*repeating, *other]), "H3", "repeats")
    assert repeats.effect == pytest.approx(1 / 4 - 3 / 4)
    assert repeats.p is None
    runs = [
        {**trial, "run": trial["run"][:-1] + str(seed)}
        for seed in (1, 2, 3)
        for trial in (*repeating, *other)
    ]
    repeats = only(of_runs(runs), "H3", "repeats")
    assert repeats.p == pytest.approx(0.1)
    assert repeats.verdict == "cannot be told: 6 runs give no p under 0.1"


def test_no_pair_of_windows_is_said() -> None:
    """Without a contestant in two windows H3 has a reason and no number."""
    assert "no contestant" in only(of_runs(five_agents()), "H3", "repeats").verdict


def test_late_small_steps() -> None:
    """In six runs small steps come last: of 2⁶ choices of signs two are as far, p = 1/32."""
    changes = ["matrix LR 0.1 to 0.4"] * 3 + ["matrix LR 0.4 to 0.41"] * 3 + ["depth 8 to 9"] * 3
    trials = [one for at in range(6) for one in searched(f"c{at}-s1", changes, [1.5] * 9)]
    late = only(of_runs(trials), "H5")
    assert (late.effect, late.n) == (1.0, 6)
    assert late.p == pytest.approx(2 / 64)
    assert late.smallest == pytest.approx(2 / 64)
    five = only(of_runs(trials[:50]), "H5")
    assert five.verdict == "cannot be told: 5 runs give no p under 0.0625"


def test_a_discovery_is_a_large_gain() -> None:
    """Without a noise a tenth of the run's gain, with one 2√2 of its standard deviation."""
    rows = experiments(frames(searched("a-s1", ["a", "b", "c"], [0.5, 0.49, 0.4])), 1)
    assert discoveries(rows, None).tolist() == [True, False, True]
    assert discoveries(rows, 0.05).tolist() == [True, False, False]
    assert discoveries(rows, 0.001).tolist() == [True, True, True]


def test_discoveries_by_category() -> None:
    """Two of two architectures and none of two rates are discoveries: p = 2/6 of one run."""
    changes = ["depth 1", "matrix LR 1", "depth 2", "matrix LR 2"]
    found = only(of_runs(searched("a-s1", changes, [0.5, 1.5, 0.2, 1.5])), "H6")
    assert (found.effect, found.n) == (1.0, 4)
    assert found.p == pytest.approx(2 / 6)
    assert not found.told


def test_discoveries_of_several_runs() -> None:
    """One run has 2 of 2 against 0 of 2, one 1 of 2 against 1 of 2: on average 1/2 more.

    Of two twos out of four, 0, 1 or 2 are of the first side in 1, 4 and 1 of 6 cases. The sum of
    two runs is 3 or more, or 1 or less, in 18 of 36 cases; it is 4 or 0 in 2 of them.
    """
    changes = ["depth 1", "matrix LR 1", "depth 2", "matrix LR 2"]
    first = searched("a-s1", changes, [0.5, 1.5, 0.2, 1.5])
    found = only(of_runs([*first, *searched("b-s1", changes, [0.5, 0.2, 1.5, 1.5])]), "H6")
    assert (found.effect, found.n) == (0.5, 8)
    assert found.p == pytest.approx(18 / 36)
    assert found.smallest == pytest.approx(2 / 36)
    three = [{**trial, "run": f"a-s{seed}"} for seed in (1, 2, 3) for trial in first]
    found = only(of_runs(three), "H6")
    assert (found.effect, found.n, found.told) == (1.0, 12, True)
    assert found.p == pytest.approx(2 / 6**3)


def test_profiles_need_two_runs_of_one() -> None:
    """One run each is nothing to compare within."""
    one_each = [*searched("a-s1", ["depth 1"], [0.9]), *searched("b-s1", ["warmup 1"], [0.9])]
    assert only(of_runs(one_each), "H7").p is None


def test_profiles_that_do_not_overlap() -> None:
    """Runs of one contestant are equal and those of two share nothing: 1 bit, 1 of 35 divisions."""
    trials = []
    for name, change in (("a", "depth 1"), ("b", "warmup 1")):
        for seed in range(4):
            trials += searched(f"{name}-s{seed}", [change], [0.9])
    found = only(of_runs(trials), "H7")
    assert found.effect == pytest.approx(1.0)
    assert found.smallest == pytest.approx(1 / 35)
    assert found.p == pytest.approx(1 / 35, abs=0.03)


def test_verdicts() -> None:
    """Supported and against it need p ≤ .05 after the correction, and a sign decides."""
    one = Hypothesis("H1", "it is so", "r", -0.9, -1, 9, "contestants", 0.01, 0.001)
    assert one.verdict == "supported"
    assert replace(one, effect=0.9).verdict == "against it"
    assert replace(one, holm=0.06).verdict == "not shown"
    assert replace(one, smallest=0.2).verdict.startswith("cannot be told: 9 contest")


def test_holm_corrects_what_can_be_told() -> None:
    """The smallest p is multiplied by the number of tests that can reach .05."""
    found = of_runs(five_agents())
    told = [one for one in found if one.told]
    smallest = min(told, key=lambda one: one.p or 1)
    assert smallest.p is not None
    assert smallest.holm == pytest.approx(min(1.0, smallest.p * len(told)))
    assert {one.holm for one in found if not one.told} == {None}
    assert pd.Series([one.name for one in found]).is_monotonic_increasing
