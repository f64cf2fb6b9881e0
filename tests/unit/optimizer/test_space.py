"""The search space of the optimizer image: valid and invalid knobs, sizes, and descriptions."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from start_config import KnobRange

from images.optimizer.space import Knob, SpaceError, describe, parse_space, points

RATE = {"type": "float", "low": 0.005, "high": 0.2, "log": True, "default": 0.04}
DEPTH = {"type": "int", "low": 4, "high": 24, "default": 8}
PATTERN = {"type": "categorical", "choices": ("SSSL", "L"), "default": "L"}


def parsed(**knobs: dict[str, Any]) -> tuple[Knob, ...]:
    """The knobs of a space that is written as tables."""
    return parse_space({name: KnobRange(**fields) for name, fields in knobs.items()})


def test_a_published_space_is_read_in_its_order() -> None:
    """Knobs of all three types come out as they were written; a null counts as absent."""
    space = parsed(MATRIX_LR=RATE, DEPTH=DEPTH | {"choices": None}, W=PATTERN)
    assert space == (
        Knob("MATRIX_LR", "float", 0.04, low=0.005, high=0.2, log=True),
        Knob("DEPTH", "int", 8, low=4, high=24),
        Knob("W", "categorical", "L", choices=("SSSL", "L")),
    )


@pytest.mark.parametrize(
    ("knob", "complaint"),
    [
        (DEPTH | {"default": 30}, "default 30 is outside 4 to 24"),
        (DEPTH | {"low": 30}, "outside"),
        (DEPTH | {"low": 4.5}, "must be numbers of type int"),
        (DEPTH | {"default": True}, "must be numbers of type int"),
        (DEPTH | {"low": 0, "log": True}, "log needs a low above 0"),
        (DEPTH | {"step": 2, "log": True}, "log needs a low above 0 and no step"),
        (DEPTH | {"step": 3}, "not on the grid of step 3"),
        (DEPTH | {"step": 0}, "step 0 is not above 0"),
        (RATE | {"high": math.inf}, "must be numbers of type float"),
        (RATE | {"high": "0.2"}, "must be numbers of type float"),
        (PATTERN | {"choices": ()}, "has no choices"),
        (PATTERN | {"default": "S"}, "is none of its choices"),
        (PATTERN | {"choices": ("L", "L")}, "names a choice twice"),
    ],
)
def test_what_cannot_be_searched_is_refused_by_name(knob: dict[str, Any], complaint: str) -> None:
    """The error names the knob and what is wrong with it."""
    with pytest.raises(SpaceError) as caught:
        parsed(DEPTH=knob)
    assert str(caught.value).startswith("knob DEPTH: ")
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("knob", "size"),
    [
        (DEPTH, 21),
        (DEPTH | {"step": 4}, 6),
        (DEPTH | {"low": 8, "high": 8}, 1),
        (PATTERN, 2),
        (RATE, math.inf),
        (RATE | {"low": 0.04, "high": 0.04}, 1),
        ({"type": "float", "low": 0.0, "high": 1.0, "step": 0.1, "default": 0.3}, 11),
    ],
)
def test_the_settings_of_a_knob_are_counted(knob: dict[str, Any], size: float) -> None:
    """Both ends count; a real range has no count."""
    assert points(parsed(X=knob)) == size


def test_whole_numbers_may_come_with_a_point() -> None:
    """The runner's models hold bounds as real numbers, whatever the knob's type."""
    knob = DEPTH | {"low": 4.0, "high": 24.0}
    assert parsed(X=knob) == parsed(X=DEPTH)


def test_the_settings_of_a_space_multiply() -> None:
    """21 depths times 2 patterns; a space of no knobs has the one setting of all defaults."""
    assert points(parsed(DEPTH=DEPTH, W=PATTERN)) == 42
    assert points(()) == 1


def test_a_setting_is_described_in_short() -> None:
    """Four digits of a real number, everything else as it is."""
    knobs = {"MATRIX_LR": 0.0212345, "DEPTH": 4, "WINDOW_PATTERN": "SSSL"}
    assert describe(knobs) == "MATRIX_LR=0.02123 DEPTH=4 WINDOW_PATTERN=SSSL"


@given(
    low=st.integers(-(10**6), 10**6),
    steps=st.integers(0, 1000),
    step=st.integers(1, 50),
    at=st.integers(0, 1000),
)
def test_every_value_of_a_grid_can_be_the_default(low: int, steps: int, step: int, at: int) -> None:
    """A default on the grid is accepted, one past its end is refused, and the grid is counted."""
    knob = {"type": "int", "low": low, "high": low + steps * step, "step": step}
    inside = knob | {"default": low + min(at, steps) * step}
    assert points(parsed(X=inside)) == steps + 1
    with pytest.raises(SpaceError):
        parsed(X=knob | {"default": low + (steps + 1) * step})
