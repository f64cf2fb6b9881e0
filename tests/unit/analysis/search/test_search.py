"""The report "search", against figures that were published and cases reckoned by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from runner.analysis import search
from runner.analysis.report import Context, Report
from runner.analysis.search import effort, tables
from tests.unit.analysis.made import Made, context

COUNTED = [30.0, 10.0, 20.0, 5.0]
PUBLISHED = [
    # contestant, own baseline, best, trials with a value, trials, trials better than the agent
    ("random", 0.48786, 0.46311, 2503, 2503, 1),
    ("gp", 0.48693, 0.45873, 72, 74, 22),
    ("cmaes", 0.48785, 0.45857, 76, 76, 28),
]


def published() -> Context:
    """Runs with the figures of the study that set Claude Code beside Optuna's samplers."""
    agent = [0.4889, *[0.47] * 45, 0.4667]
    runs = [Made("claude", agent, kind="agent", run={"usd": 27.21})]
    for name, first, best, values, trials, better in PUBLISHED:
        worse = [0.47] * (values - 1 - better)
        runs.append(
            Made(name, [first, *worse, *[0.4666] * (better - 1), best, *[None] * (trials - values)])
        )
    return context(*runs)


def rows(report: Report, name: str) -> pd.DataFrame:
    return next(table.rows for table in report.tables if table.name == name)


def test_the_published_table_comes_out() -> None:
    """Best, improvement, trials, trials better than the agent, and cost are those of the study."""
    table = rows(search.report(published()), "search").set_index("contestant")
    assert list(table.index) == ["cmaes", "gp", "random", "claude"]
    assert table["best"].to_dict() == {
        "cmaes": 0.45857, "gp": 0.45873, "random": 0.46311, "claude": 0.4667,
    }  # fmt: skip
    improvements = {"random": 0.0248, "gp": 0.0282, "cmaes": 0.0293, "claude": 0.0222}
    # .02475 of Random lies between two printed figures.
    assert table["improvement"].to_dict() == pytest.approx(improvements, abs=0.0000501)
    assert table["trials"].to_dict() == {"random": 2503, "gp": 74, "cmaes": 76, "claude": 47}
    better = table["better than the agent"].to_dict()
    assert better == {"random": 1, "gp": 22, "cmaes": 28, "claude": 0}
    assert table.loc["claude", "model cost (USD)"] == 27.21


def test_each_is_held_against_each() -> None:
    """A cell counts the row's values that are better than the column's best; equal is not."""
    found = tables.beats(two := of("minimize"), effort.used(two)).rows.set_index("contestant")
    assert found.loc["b", "better than a"] == 2  # 3 and 4 are under 5, 5 is not
    assert found.loc["a", "better than b"] == 0
    assert found.loc["a", "better than a"] == 0


def of(direction: str) -> Context:
    """Two contestants; where more is better, the values are negated."""
    sign = 1 if direction == "minimize" else -1
    a = Made("a", [sign * value for value in COUNTED], direction=direction, usd=0.5)
    b = Made(
        "b", [sign * value for value in (8.0, 5.0, 4.0, 3.0)], direction=direction, kind="agent"
    )
    return context(a, b)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_run_is_counted_to_its_best_and_to_the_target(direction: str) -> None:
    """The target is the worst of the bests, 5: reached by a's fourth trial and by b's second."""
    made = search.report(of(direction))
    table = rows(made, "search-runs").set_index("contestant")
    assert table["trials to the target"].to_dict() == {"a": 4, "b": 2}
    assert table["trials to the best"].to_dict() == {"a": 4, "b": 4}
    assert table["training time (s) to the target"].to_dict() == {"a": 40.0, "b": 20.0}
    assert table["US dollars to the target"].to_dict() == {"a": 2.0, "b": 0.0}
    assert table["incumbents"].to_dict() == {"a": 3, "b": 4}
    assert any("reached" in finding.text and "a " in finding.text for finding in made.findings)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_area_is_the_mean_height_over_a_common_range(direction: str) -> None:
    """From trial 1 to 4, a is 30, 10, 10 and b is 8, 5, 4 high: 50/3 and 17/3."""
    sign = 1 if direction == "minimize" else -1
    both = of(direction)
    found = effort.areas(both, effort.used(both), effort.TRIALS)
    assert found.of == pytest.approx({"a": sign * 50 / 3, "b": sign * 17 / 3})


def test_a_short_contestant_does_not_cut_the_range() -> None:
    """Who tried less than a tenth of the median has no area; the others keep theirs."""
    long = [Made(name, [3.0] + [2.0] * 29) for name in "ab"]
    three = context(*long, Made("c", [1.0]))
    found = effort.areas(three, effort.used(three), effort.TRIALS)
    assert set(found.of) == {"a", "b"}
    assert any("c" in note.split() or "c." in note for note in found.notes)


def test_dollars_are_model_and_devices() -> None:
    """At 36 dollars an hour, ten seconds cost ten cents; an unknown model then costs nothing."""
    model, seconds = pd.Series([1.0, np.nan]), pd.Series([10.0, 20.0])
    price, free = pd.Series([36.0, 36.0]), pd.Series([0.0, 0.0])
    assert effort.dollars(model, seconds, price).to_list() == pytest.approx([1.1, 0.2])
    assert effort.dollars(model, seconds, free).isna().to_list() == [False, True]
    assert effort.dollars(model, seconds * np.nan, free).to_list()[0] == 1.0


def test_a_runs_own_price_of_a_device_goes_before_the_one_that_is_set() -> None:
    """A device is held for longer than a training; what tells only of training has that."""
    own = {"compute_usd_per_hour": 72.0, "device_seconds": 30.0}
    held = {"device_seconds_so_far": [30.0]}
    two = context(
        Made("a", [1.0], run=own, each=held), Made("b", [1.0], usd=2.0), compute_usd_per_hour=36.0
    )
    assert effort.used(two).set_index("contestant")[effort.DOLLARS.column].to_dict() == {
        "a": pytest.approx(0.6), "b": pytest.approx(2.1)
    }  # fmt: skip
    table = rows(search.report(two), "search").set_index("contestant")
    assert table["compute (USD)"].to_dict() == pytest.approx({"a": 0.6, "b": 0.1})


def test_failures_have_wilson_intervals() -> None:
    """Of ten trials five crashed: 50 %, with Wilson's interval from 24 to 76 %."""
    made = search.report(context(Made("a", [1.0, None] * 5)))
    row = rows(made, "search-outcomes").iloc[0]
    assert (row["ok"], row["crash"], row["failed"], row["failed %"]) == (5, 5, 5, 50)
    assert (row["95 % low"], row["95 % high"]) == pytest.approx((23.66, 76.34), abs=0.01)


def test_incumbents_say_what_changed() -> None:
    """Each new best has its gain, the contestant's words, and the knobs with both values."""
    each: dict[str, list[Any]] = {
        "change": ["", "a smaller rate", "", ""],
        "knobs_changed": ["{}", '{"LR": [0.1, 0.05]}', "{}", "not JSON"],
        "other_changes": [False, False, False, True],
    }
    made = search.report(context(Made("a", COUNTED, each=each)))
    table = rows(made, "search-incumbents")
    assert table["trial"].to_list() == [0, 1, 3]
    assert table["gain"].to_list()[1:] == [20.0, 5.0]
    assert table["changed"].to_list() == ["", "a smaller rate: LR 0.1 → 0.05", "other lines"]


def test_improvements_have_an_interval_only_with_several_runs() -> None:
    """Two runs give an interval over runs; one run gives the sentence that it cannot be told."""
    several = [Made("a", [3.0, 2.0], 1), Made("a", [3.0, 1.0], 2), Made("b", [3.0, 1.5])]
    made = search.report(context(*several))
    table = rows(made, "search").set_index("contestant")
    assert table.loc["a", "improvement"] == 1.5
    assert (table.loc["a", "95 % low"], table.loc["a", "95 % high"]) == (1.0, 2.0)
    assert np.isnan(table.loc["b", "95 % low"])
    untold = [finding.text for finding in made.findings if not finding.told]
    assert any("improvement of b" in text for text in untold)


def test_a_unit_that_is_not_known_is_not_drawn() -> None:
    """An import without times and costs has curves over trials alone, and that is said."""
    unknown = dict.fromkeys(("elapsed_seconds", "train_seconds_so_far", "usd_so_far"), [None] * 2)
    made = search.report(context(Made("a", [2.0, 1.0], kind="imported", each=unknown)))
    names = [figure.name for figure in made.figures]
    assert [name for name in names if name.startswith("best-by")] == ["best-by-trials"]
    assert len([reason for reason in made.left_out if reason.startswith("Not known")]) == 3
