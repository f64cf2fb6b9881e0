"""The figure of one run, of six and of sixty: all of it is in the picture."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pytest

from runner.metrics import VAL_BPB
from runner.records.schema import TrialRecord
from runner.results.figure import LEGEND_ENTRIES, MANY_RUNS, STYLE, Curve, figure_of, median
from runner.results.reading import Run

LONG = "a-contestant-with-a-name-that-is-as-long-as-it-can-be-and-longer"


def made_run(name: str, seed: int, trials: int = 5) -> Run:
    """A run whose values fall by a little."""
    records = tuple(
        TrialRecord(
            trial=number, source="agent", request=f"r{number}", status="ok", judged=True,
            value=2.5 - number / 100 + seed / 500, train_seconds=60,
        )
        for number in range(1, trials + 1)
    )  # fmt: skip
    return Run(
        path=Path(f"{name}-s{seed}"), contestant=name, seed=seed, task="pystdlib", metric=VAL_BPB,
        kind="agent", rehearsed=False, result=None, trials=records, usage=(), claims=None,
        wall_seconds=1.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("contestants", "seeds", "entries"),
    [
        (["gpt"], 1, 1),
        (["gpt", "tpe"], 3, 6),
        ([LONG, "gpt"], 10, 20),
        (["gpt", "opus", "gemini", "tpe", "cmaes", "random"], 10, 6),
        ([f"contestant-{number}" for number in range(60)], 1, LEGEND_ENTRIES),
    ],
)
def test_the_legend_lies_beside_the_panels(
    contestants: list[str], seeds: int, entries: int
) -> None:
    """Every line of the legend is inside the figure, and covers none of the two panels."""
    runs = [made_run(name, seed) for name in contestants for seed in range(1, seeds + 1)]
    with matplotlib.rc_context(STYLE):
        figure = figure_of(runs)
        figure.draw_without_rendering()
        left, right = (axes.get_window_extent() for axes in figure.axes)
        legend = figure.axes[1].get_legend()
        assert legend is not None
        box = legend.get_window_extent()
    assert len({text.get_text() for text in legend.get_texts()}) == entries
    assert box.x0 >= right.x1
    assert box.x1 <= figure.bbox.x1
    assert box.y0 >= figure.bbox.y0
    assert min(left.width, right.width) >= 3 * figure.dpi  # three inches
    shown = "median" in figure.axes[1].get_title(loc="left")
    assert shown == (len(runs) > MANY_RUNS)


def test_a_median_begins_with_half_of_the_runs_and_outlives_short_ones() -> None:
    """A run that has ended keeps its best; one that has measured nothing yet does not count."""
    lines = [
        Curve([1.0, 4.0], [2.0, 1.0], [2.0, 1.0], 4.0),
        Curve([2.0], [3.0], [3.0], 12.0),
        Curve([6.0], [5.0], [5.0], 6.0),
    ]
    places, values = median(lines)
    assert (places[0], places[-1]) == (2.0, 12.0)
    assert (values[0], values[-1]) == (2.5, 3.0)
