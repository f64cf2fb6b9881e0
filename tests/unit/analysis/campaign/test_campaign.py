"""All runs as one campaign: order, factors, variance, growth, new bests, spread and repeats."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest

from runner.analysis.campaign import duplicates, progress, report, spread, variance
from runner.analysis.campaign.factors import ARCHITECTURE, SETTINGS, campaign, is_structural
from runner.analysis.report import Context, Report, Settings
from tests.unit.analysis.drawn import drawn
from tests.unit.analysis.tables import knob_rows
from tests.unit.analysis.tables_of_runs import context_of, run_rows

FEW = Settings(resamples=199)


def settings_of(knob: str, *levels: tuple[Any, int]) -> list[dict[str, Any]]:
    """Trials whose knob has each level so many times in a row."""
    return [{knob: level} for level, times in levels for _ in range(times)]


def of_knobs(values: Sequence[float | None], knobs: Sequence[dict[str, Any]]) -> Context:
    """One run with these values and settings."""
    return context_of([run_rows("gpt-s1", values)], knob_rows("gpt-s1", knobs), FEW)


def two_agents(first: Sequence[Any], second: Sequence[Any]) -> Context:
    """Two contestants with these depths, trial by trial."""
    runs, knobs = [], []
    for run, depths in (("gpt-s1", first), ("opus-s1", second)):
        runs.append(run_rows(run, [2.0 + (n * 7 % 11) / 10 for n in range(len(depths))]))
        knobs += knob_rows(run, [{"DEPTH": depth} for depth in depths])
    return context_of(runs, knobs, FEW)


# --- order and factors ----------------------------------------------------------------------------


def test_trials_are_ordered_by_the_time_at_which_they_ended() -> None:
    """Runs that began at different times are merged; one unknown time makes numbers the order."""
    first = run_rows("a-s1", [1.0, 1.0], began_at="2026-01-01T00:00:30Z")
    second = run_rows("b-s1", [1.0, 1.0], began_at="2026-01-01T00:00:00Z")
    known = campaign(context_of([first, second]))
    assert list(known.trials["run"]) == ["b-s1", "a-s1", "b-s1", "a-s1"]
    assert "time" in known.ordered_by
    second[0]["began_at"] = ""
    unknown = campaign(context_of([first, second]))
    assert list(unknown.trials["trial"]) == [1, 1, 2, 2]
    assert "number" in unknown.ordered_by


@pytest.mark.parametrize(
    ("name", "structural"),
    [
        ("DEPTH", True), ("HEAD_DIM", True), ("ASPECT_RATIO", True), ("WINDOW_PATTERN", True),
        ("n_layers", True), ("model.arch", True), ("hidden_size", True), ("backbone", True),
        ("MATRIX_LR", False), ("TOTAL_BATCH_SIZE", False), ("WEIGHT_DECAY", False),
        ("SOFTCAP", False), ("WARMUP_RATIO", False), ("head_lr", False), ("seed", False),
    ],
)  # fmt: skip
def test_a_knob_shapes_the_model_by_its_name(name: str, structural: bool) -> None:
    """Sizes and patterns of the model do; rates, batches and schedules do not."""
    assert is_structural(name) is structural


def test_many_different_numbers_become_ranges() -> None:
    """Twelve values are levels of their own; of twenty, five ranges of four are made."""
    few = campaign(of_knobs([1.0] * 12, [{"LR": n / 10} for n in range(12)]))
    many = campaign(of_knobs([1.0] * 20, [{"LR": n / 10} for n in range(20)]))
    assert few.factors["LR"].nunique() == 12
    assert list(many.factors["LR"].value_counts()) == [4] * 5


def test_the_architecture_is_all_structural_knobs_together() -> None:
    """Three combinations of depth and width are three levels, and the legend says which."""
    knobs = [{"DEPTH": d, "WIDTH": w, "LR": 0.1} for d, w in ((1, 2), (1, 3), (1, 2), (2, 3))]
    found = campaign(of_knobs([1.0] * 4, knobs))
    levels = list(found.factors[ARCHITECTURE])
    assert levels[0] == levels[2]
    assert len(set(levels)) == 3
    assert found.structural == ("DEPTH", "WIDTH")
    top = found.legend.iloc[0]
    assert (top[ARCHITECTURE], top["DEPTH"], top["WIDTH"], top["trials"]) == (
        levels[0],
        "1",
        "2",
        2,
    )


def test_what_a_trial_tried_is_told_by_what_is_known() -> None:
    """The architecture, else all settings, else the agent's category, else nothing."""
    assert campaign(of_knobs([1.0] * 2, [{"DEPTH": 1}, {"DEPTH": 2}])).choice == ARCHITECTURE
    assert campaign(of_knobs([1.0] * 2, [{"LR": 1}, {"LR": 2}])).choice == SETTINGS
    labels = [{"category": "schedule"}, {"category": "optimizer"}]
    labelled = context_of([run_rows("gpt-s1", [1.0, 1.0], trials=labels)])
    assert campaign(labelled).choice == "category"
    assert campaign(context_of([run_rows("gpt-s1", [1.0, 1.0])])).choice is None


# --- variance -------------------------------------------------------------------------------------


def test_the_architecture_explains_its_share_of_the_variance() -> None:
    """1, 2, 1, 2 … against 3, 4, 3, 4 …: SS 20 between, 5 within, so η² = .8 and F = 72."""
    knobs = settings_of("DEPTH", (2, 10), (4, 10), (8, 3))
    context = of_knobs([1.0, 2.0] * 5 + [3.0, 4.0] * 5 + [9.0] * 3, knobs)
    found = variance.explained(campaign(context), FEW)
    row = variance.table(found).set_index("factor").loc["DEPTH"]
    assert row["F"] == pytest.approx(72)
    assert row["η²"] == pytest.approx(0.8)
    assert row["ω²"] == pytest.approx((20 - 5 / 18) / (25 + 5 / 18))
    assert (row["groups"], row["n"], row["groups left out"]) == (2, 20, 1)
    assert row["permutation p"] <= 2 / 200
    assert row["p by Holm"] >= row["permutation p"]
    text = report(context).findings[0].text
    assert text.startswith("architecture explains 78% of the variance")


def test_groups_of_fewer_than_ten_are_not_tested() -> None:
    """The row says why, and the finding is none."""
    context = of_knobs([1.0, 2.0, 3.0], [{"DEPTH": 1}, {"DEPTH": 2}, {"DEPTH": 2}])
    found = variance.table(variance.explained(campaign(context), FEW))
    assert found["permutation p"].isna().all()
    assert "10 values or more" in found["why not"].iloc[0]
    assert not report(context).findings[0].told


def test_the_heatmap_has_means_and_counts() -> None:
    """Two knobs with two levels each: the mean of each cell, in the order of the numbers."""
    knobs = [{"DEPTH": d, "HEADS": h} for d in (10, 2) for h in ("x", "y") for _ in range(10)]
    values = [1.0] * 10 + [2.0] * 10 + [3.0] * 5 + [5.0] * 5 + [6.0] * 10
    mean, count = variance.grid(campaign(of_knobs(values, knobs)), "DEPTH", "HEADS")
    assert list(mean.index) == ["2", "10"]
    assert mean.to_numpy().tolist() == [[4.0, 6.0], [1.0, 2.0]]
    assert count.to_numpy().tolist() == [[10, 10], [10, 10]]


# --- progress -------------------------------------------------------------------------------------


def test_the_studys_power_law_comes_out_of_its_points() -> None:
    """1.031 − .9·N^−.106, of a metric that is maximised, gives a and c back."""
    values = [1.031 - 0.9 * n**-0.106 for n in range(1, 301)]
    context = context_of([run_rows("gpt-s1", values, direction="maximize")], (), FEW)
    whole = progress.shapes(context, campaign(context))[0]
    law = whole.growth.of("power law")
    assert law is not None
    assert law.parameters["a"] == pytest.approx(1.031, abs=1e-3)
    assert law.parameters["c"] == pytest.approx(0.106, abs=1e-3)
    assert law.r_squared > 0.9999
    assert "the power law fits" in " ".join(f.text for f in report(context).findings)


def test_new_bests_are_held_against_a_random_order() -> None:
    """Four falling values: 3 new bests, 1/2 + 1/3 + 1/4 expected, and all three of 1/24."""
    falling = context_of([run_rows("gpt-s1", [4.0, None, 3.0, 2.0, 1.0])])
    row = progress.innovation(falling, campaign(falling)).iloc[0]
    assert (row["new bests"], row["values"], row["trials"]) == (3, 4, 5)
    assert row["expected in random order"] == pytest.approx(13 / 12)
    assert row["p"] == pytest.approx(1 / 24)
    assert row["innovation rate"] == pytest.approx(3 / 5)
    assert row["training hours a new best"] == pytest.approx(250 / 3600 / 3)


def test_runs_of_a_contestant_are_taken_together() -> None:
    """Two runs of two falling values each: p = 1/4. Two values of one run have no p."""
    two = context_of([run_rows(f"gpt-s{n}", [2.0, 1.0]) for n in (1, 2)])
    assert progress.innovation(two, campaign(two))["p"].iloc[0] == pytest.approx(1 / 4)
    one = context_of([run_rows("gpt-s1", [2.0, 1.0])])
    assert math.isnan(progress.innovation(one, campaign(one))["p"].iloc[0])


def test_a_search_that_learns_is_named() -> None:
    """Twelve values that fall learn; twelve that rise do not."""
    runs = [
        run_rows("gpt-s1", [20.0 - n for n in range(12)]),
        run_rows("random-s1", [9.0 + n for n in range(12)]),
    ]
    texts = [finding.text for finding in report(context_of(runs)).findings]
    assert any(text.startswith("gpt finds more new bests") for text in texts)
    assert any(text.startswith("For random, the number of new bests is no") for text in texts)


# --- spread ---------------------------------------------------------------------------------------


def test_contestants_with_nothing_in_common_are_one_bit_apart() -> None:
    """Depths 1, 2 against 3, 4 have a divergence of 1 in every quarter; equal ones of 0."""
    apart = two_agents([1, 2] * 10, [3, 4] * 10)
    found = spread.specialisation(apart, campaign(apart))
    assert found.bits == pytest.approx(1)
    assert list(found.quarters if found.quarters is not None else []) == pytest.approx([1] * 4)
    assert found.p == pytest.approx(1 / 200)
    assert found.random < 0.2
    alike = two_agents([1, 2] * 10, [1, 2] * 10)
    same = spread.specialisation(alike, campaign(alike))
    assert same.bits == pytest.approx(0, abs=1e-9)
    assert same.p == 1


def test_a_contestant_with_few_choices_is_not_compared() -> None:
    """Nine known choices are too few: it cannot be told."""
    context = two_agents([1, 2] * 10, [3] * 9)
    assert "10 known choices" in spread.specialisation(context, campaign(context)).why


def test_a_search_that_narrows_is_seen() -> None:
    """Many depths first, then one: entropy falls from 3 bits to 0, which no random order does."""
    depths = [*list(range(8)) * 5, *[3] * 60]
    context = of_knobs([1.0] * 100, [{"DEPTH": depth} for depth in depths])
    found = spread.entropy(context, campaign(context))
    assert found is not None
    assert found.windows.bits[0] == pytest.approx(3, abs=0.02)
    assert found.windows.bits[-1] == 0
    assert found.decline is not None
    assert found.decline.bits_per_e > 0
    assert found.decline_p == pytest.approx(1 / 200)
    assert "trials falls from" in " ".join(f.text for f in report(context).findings)


def test_cycles_are_peaks_that_random_orders_lack() -> None:
    """Wide and narrow stretches in turn: as many peaks as turns, and more than by chance."""
    wide, narrow = list(range(8)) * 50, [1] * 400
    depths = [*narrow, *wide, *narrow, *wide, *narrow, *wide, *narrow]
    context = of_knobs([1.0] * len(depths), [{"DEPTH": depth} for depth in depths])
    found = spread.entropy(context, campaign(context))
    assert found is not None
    assert len(found.peaks) == 3
    assert found.peaks_p == pytest.approx(1 / 200)


def test_few_choices_have_no_windows() -> None:
    """Thirty-nine choices: the finding says how many are needed."""
    context = of_knobs([1.0] * 39, [{"DEPTH": n % 3} for n in range(39)])
    found = spread.entropy(context, campaign(context))
    assert found is not None
    assert found.windows.why == "39 choices are known; windows need 40"


def test_specialisation_and_new_bests_are_correlated_in_windows() -> None:
    """Windows of 100 trials of both, a step of 25; the test takes every fourth of them."""
    first = [1] * 200 + [n % 4 for n in range(100)]
    second = [2] * 200 + [n % 4 for n in range(100)]
    context = two_agents(first, second)
    found = spread.together(context, campaign(context))
    assert found is not None
    assert list(found.windows["end"]) == list(range(100, 601, 25))
    assert found.windows["divergence"].iloc[0] == pytest.approx(1)
    assert found.windows["divergence"].iloc[-1] == pytest.approx(0, abs=1e-9)
    assert found.apart.n == 6
    few = two_agents([1] * 30, [2] * 30)
    assert spread.together(few, campaign(few)) is None


# --- repeats --------------------------------------------------------------------------------------


def test_equal_texts_are_repeats_and_tell_the_noise() -> None:
    """1.0 and 1.2, 2.0 and 2.0: s² = (.02 + 0) / 2, so the pooled deviation is .1."""
    texts = [{"sha256": name} for name in ("a", "a", "b", "c")]
    runs = [
        run_rows("gpt-s1", [1.0, 1.2, 2.0, None], trials=texts),
        run_rows("opus-s1", [2.0], trials=[{"sha256": "b"}]),
    ]
    context = context_of(runs)
    whole = campaign(context)
    same = duplicates.keys(context, whole)
    rows = duplicates.table(context, whole, same).set_index("contestant")
    assert list(rows.loc["gpt", ["known trials", "repeats within a run"]]) == [4, 1]
    assert rows.loc["gpt", "also in another run"] == 1
    assert rows.loc["opus", "share repeated"] == 0
    noise = duplicates.noise(whole, same)
    assert noise is not None
    assert noise.sd == pytest.approx(0.1)
    assert (noise.degrees, noise.n) == (2, 4)
    assert noise.low < noise.sd < noise.high


def test_without_texts_equal_settings_are_repeats() -> None:
    """An import has no texts; a trial without settings equals no other."""
    context = of_knobs([1.0] * 4, [{"A": 1, "B": 2}, {"B": 2, "A": 1}, {}, {}])
    whole = campaign(context)
    rows = duplicates.table(context, whole, duplicates.keys(context, whole))
    assert list(rows[["known trials", "repeats within a run"]].iloc[0]) == [2, 1]


# --- the whole report -----------------------------------------------------------------------------


def crowd() -> Context:
    """200 contestants with hostile names among them."""
    names = ["<script>", "$x$", "=cmd()", "_hidden", "Ωmega ü", *[f"c{n}" for n in range(195)]]
    runs = [run_rows(f"{name}-s1", [3.0, 2.0, 1.5]) for name in names]
    knobs = [
        row
        for name in names
        for row in knob_rows(f"{name}-s1", [{"$DEPTH$": n % 3, "<b>": "^_"} for n in range(3)])
    ]
    return context_of(runs, knobs, FEW)


def varied() -> Context:
    """Agents whose values and settings differ, some failed."""
    rng = np.random.default_rng(1)
    runs, knobs = [], []
    for name in ("gpt", "opus", "tpe"):
        for seed in (1, 2):
            run = f"{name}-s{seed}"
            drawn = [
                {"DEPTH": int(rng.integers(1, 5)), "LR": float(rng.random()), "ACTIVATION": kind}
                for kind in rng.choice(["relu", "gelu", "$\\alpha$"], 120)
            ]
            values = [None if n % 9 == 8 else 1 + rng.random() + k["DEPTH"]
                      for n, k in enumerate(drawn)]  # fmt: skip
            runs.append(run_rows(run, values, direction="maximize"))
            knobs += knob_rows(run, drawn)
    return context_of(runs, knobs, FEW)


CONTEXTS: dict[str, Callable[[], Context]] = {
    "one trial": lambda: context_of([run_rows("gpt-s1", [3.0])]),
    "all failed": lambda: of_knobs([None] * 60, [{"DEPTH": n} for n in range(60)]),
    "all equal": lambda: of_knobs([3.0] * 60, [{"DEPTH": n % 3} for n in range(60)]),
    "no variance within groups": lambda: of_knobs(
        [1.0] * 20 + [2.0] * 20, settings_of("DEPTH", (1, 20), (2, 20))
    ),
    "values of one size": lambda: of_knobs([-3e299, 2e299, 1.0] * 20, [{"DEPTH": 1}] * 60),
    "varied": varied,
    "a crowd": crowd,
}


@cache
def reported(name: str) -> Report:
    """The report on one of these contexts, made once for all tests; its figures are drawn."""
    return drawn(report, CONTEXTS[name]())


@pytest.mark.parametrize("name", CONTEXTS)
def test_every_context_gives_a_report_that_can_be_drawn(name: str) -> None:
    """Whatever the runs are, there are findings, and each figure can be drawn."""
    found = reported(name)
    assert found.findings
    for figure in found.figures:
        assert figure.text
        assert "nan" not in figure.text
    named = {table.name for table in found.tables}
    assert named >= {finding.source for finding in found.findings}
    assert "nan" not in " ".join(finding.text for finding in found.findings)


def test_one_value_gives_no_p() -> None:
    """Nothing is claimed of a run with one trial."""
    findings = reported("one trial").findings
    assert not any(finding.told for finding in findings)
    assert "p =" not in " ".join(finding.text for finding in findings)


def test_the_study_of_varied_runs_has_all_figures() -> None:
    """With settings, several contestants and hundreds of trials, every figure is there."""
    assert [figure.name for figure in reported("varied").figures] == [
        "campaign-variance", "campaign-heatmap", "campaign-growth", "campaign-innovation",
        "campaign-entropy", "campaign-specialisation", "campaign-windows",
    ]  # fmt: skip
