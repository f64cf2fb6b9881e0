"""The report "knobs": rebuilt knobs, the unit cube, importance, and the front."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from runner.analysis import knobs
from runner.analysis.knobs.cube import cube, search_space, spreads
from runner.analysis.knobs.importance import importance
from runner.analysis.knobs.pareto import costs
from runner.analysis.output.figures import picture, styled
from tests.unit.analysis.made import Made, context


def test_a_task_of_ours_has_a_search_space() -> None:
    """Its knobs are those of the task; another's task has none."""
    known = search_space(context(Made("a", [1.0], run={"task": "pystdlib"})))
    assert {"DEPTH", "MATRIX_LR"} <= set(known)
    assert search_space(context(Made("a", [1.0]))) == {}


def square() -> list[dict[str, Any]]:
    """Four corners of a square, one after the other, and a knob that never varies."""
    return [{"A": a, "B": b, "C": 7} for a, b in ((0, 0), (0, 10), (5, 10), (5, 0))]


def test_the_spread_of_a_square() -> None:
    """Corners of the unit square: sides 1, diagonals √2, sd a half, four cells of four."""
    one = context(Made("a", [4.0, 3.0, 2.0, 1.0], knobs=square()))
    found = cube(one)
    assert [dimension.name for dimension in found.dimensions] == ["A", "B"]
    spread = spreads(one, found)[0]
    assert spread.pairwise == pytest.approx((4 + 2 * math.sqrt(2)) / 6)
    assert spread.from_first == pytest.approx((2 + math.sqrt(2)) / 3)
    assert spread.consecutive == pytest.approx(1)
    assert (spread.sd, spread.cells, spread.cells_share) == (0.5, 4, 1)


def test_a_task_of_ours_has_the_range_that_is_searched() -> None:
    """DEPTH is searched from 1 to 8 on a CPU; a trial beyond it widens the range."""
    made = Made("a", [3.0, 2.0], knobs=[{"DEPTH": 4}, {"DEPTH": 9}], run={"task": "pystdlib"})
    dimension = cube(context(made)).dimensions[0]
    assert (dimension.low, dimension.high, dimension.log) == (1, 9, False)


def test_a_foreign_range_is_logarithmic_if_its_values_look_so() -> None:
    """Powers of ten lie evenly in their logarithms, whole numbers do not."""
    chosen = [{"LR": 10.0**-n, "DEPTH": float(n)} for n in range(1, 13)]
    found = cube(context(Made("a", [1.0] * 12, knobs=chosen)))
    assert {one.name: one.log for one in found.dimensions} == {"LR": True, "DEPTH": False}


def of_one_knob(n: int) -> Made:
    """Values that depend on A and on nothing else, with a text that is no number."""
    rng = random.Random(1)
    chosen: list[dict[str, Any]] = [
        {"A": rng.random(), "B": rng.random(), "C": rng.choice("xy")} for _ in range(n)
    ]
    return Made("a", [(knobs["A"] - 0.5) ** 2 for knobs in chosen], knobs=chosen)


def test_the_knob_that_decides_has_the_variance() -> None:
    """The one knob that decides has nearly all of the variance; unseen trials are predicted."""
    found = cube(context(of_one_knob(60)))
    told = importance(found, found.points.index, samples=1)
    assert told.shares["knob"].iloc[0] == "A"
    assert told.shares["share"].iloc[0] > 0.8
    assert (told.n, told.why) == (60, "")
    assert told.r_squared is not None
    assert told.r_squared > 0.7
    again = importance(found, found.points.index, samples=1)
    assert again.shares.equals(told.shares)


def test_few_trials_have_no_importance() -> None:
    """With 19 trials nothing is said of importance but why."""
    found = cube(context(of_one_knob(19)))
    told = importance(found, found.points.index)
    assert told.shares.empty
    assert told.why == "19 trials have a value and all knobs; 20 needed"


def test_values_that_depend_on_no_knob_make_no_claim() -> None:
    """The forest predicts noise badly, and the finding says so instead of naming a knob."""
    rng = random.Random(2)
    made = of_one_knob(40)
    noise = Made("a", [rng.random() for _ in made.values], knobs=made.knobs)
    finding = next(
        f for f in knobs.report(context(noise)).findings if f.source == "knob-importance"
    )
    assert not finding.told
    assert "hardly depend" in finding.text


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1), ("maximize", -1)])
def test_the_front_has_what_nobody_beats(direction: str, sign: int) -> None:
    """Beaten: worse for as much, or as good for more. Equal runs are both on the front."""
    offers = {"cheap": (1, 5.0), "dear": (9, 1.0), "worse": (9, 2.0), "same": (9, 1.0),
              "late": (10, 1.0), "free": (0, 6.0)}  # fmt: skip
    made = [
        Made(name, [sign * value], direction=direction, usd=usd)
        for name, (usd, value) in offers.items()
    ]
    front = costs(context(*made)).set_index("contestant")["front"].to_dict()
    assert {name for name, on in front.items() if on} == {"free", "cheap", "dear", "same"}


def test_without_a_cost_there_is_no_front() -> None:
    """Where nothing cost anything, value against dollars cannot be told."""
    made = knobs.report(context(Made("a", [1.0]), Made("b", [2.0])))
    finding = next(finding for finding in made.findings if finding.source == "pareto")
    assert not finding.told
    assert "pareto" not in [figure.name for figure in made.figures]


def test_a_model_without_a_price_is_not_on_the_front() -> None:
    """A run whose requests took tokens for no dollars has no known cost, and that is said."""
    one = context(Made("a", [1.0], usd=2.0), Made("b", [2.0], usd=0.0), Made("c", [3.0], usd=1.0))
    asked = [("a-s1", 10, 2.0), ("b-s1", 10, 0.0), ("c-s1", 0, 0.0), ("c-s1", 5, 1.0)]
    requests = pd.DataFrame(asked, columns=["run", "tokens", "usd"])
    one = replace(one, frames=replace(one.frames, requests=requests))
    assert one.unpriced == ["b-s1"]
    assert list(costs(one)["contestant"]) == ["c", "a"]
    assert any("1 runs that asked a model" in each for each in knobs.report(one).left_out)


def test_a_source_without_costs_has_those_of_training() -> None:
    """With a price of an hour an import is on the front, and a note says whose cost is missing."""
    made = [Made("a", [1.0], run={"usd": None}), Made("b", [2.0], usd=1.0)]
    report = knobs.report(context(*made, compute_usd_per_hour=1.0))
    table = next(table for table in report.tables if table.name == "pareto")
    assert len(table.rows) == 2
    assert "The source of 1 of these runs" in table.notes[-1]


def test_the_slice_marks_failures() -> None:
    """The slice shows the knobs against each other; its failed trials are red crosses."""
    values = [4.0, None, 2.0, None]
    with styled():
        made = knobs.report(context(Made("a", values, knobs=square())))
        slices = next(figure for figure in made.figures if figure.name == "knob-slice")
        assert picture(slices.drawn).content
    crosses = [line for line in slices.drawn.axes[0].lines if line.get_label() == "failed"]
    assert [np.size(line.get_xdata()) for line in crosses] == [2]
    assert "2 that failed" in slices.text
