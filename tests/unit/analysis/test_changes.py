"""What a cell of the tables says of the knobs that a trial changed."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from runner.analysis.changes import changed_knobs


def test_pairs_are_old_and_new() -> None:
    """Each knob has its value before and after; values keep their types."""
    cell = json.dumps({"LR": [0.1, 0.2], "PATTERN": ["SL", None], "on": [True, False]})
    assert changed_knobs(cell) == {"LR": (0.1, 0.2), "PATTERN": ("SL", None), "on": (True, False)}


@pytest.mark.parametrize(
    "cell", ["", "{}", "{", "[1]", "3", '"x"', None, pd.NA, float("nan"), "[" * 100_000]
)
def test_a_cell_in_another_form_has_none(cell: object) -> None:
    """What an old or a foreign table holds there is no reason to fail."""
    assert changed_knobs(cell) == {}


def test_what_is_no_pair_is_left_out() -> None:
    """A single value, or three, say nothing of before and after."""
    assert changed_knobs('{"A": 1, "B": [1], "C": [1, 2, 3], "D": {"a": 1}, "E": [1, 2]}') == {
        "E": (1, 2)
    }
