"""How runs are cut into those whose values compare."""

from __future__ import annotations

from runner.analysis.comparison import contexts
from runner.analysis.report import Settings
from tests.analysis_rig import frames

RUNS = (
    {"run": "a-s1", "contestant": "a", "comparison": "x", "best": 3.0, "trials": 1},
    {"run": "b-s1", "contestant": "b", "comparison": "y", "direction": "maximize", "best": 3.0},
    {"run": "c-s1", "contestant": "c", "comparison": "y", "direction": "maximize", "best": 5.0},
    {"run": "d-s1", "contestant": "d", "comparison": "y", "direction": "maximize", "best": None},
)
TRIALS = ({"run": "a-s1", "trial": 1}, {"run": "c-s1", "trial": 1}, {"run": "c-s1", "trial": 2})


def test_tables_are_cut_together() -> None:
    """Each part has the trials of its own runs, and the part with most trials is first."""
    parts = contexts(frames(RUNS, TRIALS), Settings(target=4.0))
    assert [part.name for part in parts] == ["y", "x"]
    assert [list(part.frames.runs["run"]) for part in parts] == [
        ["b-s1", "c-s1", "d-s1"],
        ["a-s1"],
    ]
    assert [len(part.frames.trials) for part in parts] == [2, 1]
    assert {part.settings.target for part in parts} == {4.0}


def test_the_best_contestant_is_first() -> None:
    """By the direction of the metric; a contestant without a value is last."""
    first, second = contexts(frames(RUNS, TRIALS), Settings())
    assert first.contestants == ["c", "b", "d"]
    assert (first.sign, first.better) == (-1, "higher")
    assert (second.sign, second.better) == (1, "lower")
    assert set(first.colours) == {"b", "c", "d"}


def test_without_runs_there_is_nothing() -> None:
    """No part is made of nothing."""
    assert contexts(frames([]), Settings()) == []
