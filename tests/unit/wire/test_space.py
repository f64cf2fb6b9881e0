"""The search space of a baseline: valid and invalid knobs, sizes, and descriptions."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from start_config import Condition, KnobRange

from runner.wire.space import (
    Knob,
    SpaceError,
    active,
    describe,
    effective,
    parse_space,
    points,
)

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
        ({"type": "float", "default": 0.04}, "has no low or no high"),
        (DEPTH | {"choices": (4, 8)}, "choices is no field of type int"),
        (PATTERN | {"low": 1}, "low is no field of type categorical"),
        (PATTERN | {"log": True}, "log is no field of type categorical"),
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
    assert caught.value.hint


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


def when(parent: str, *values: Any) -> dict[str, Any]:
    """A condition as a field of a knob."""
    return {"when": Condition(parent, values)}


@pytest.mark.parametrize(
    ("condition", "complaint"),
    [
        (when("WIDTH", 1), "when names WIDTH, which the space lacks"),
        (when("MATRIX_LR", 0.04), "when names MATRIX_LR, which is a float"),
        (when("W"), "when names no value"),
        (when("W", "L", "SL"), "W is never 'SL'"),
        (when("DEPTH", 4, 30), "DEPTH is never 30"),
        (when("DEPTH", 4.5), "DEPTH is never 4.5"),
        (when("BETA", 1), "its condition depends on itself: BETA → BETA"),
        (when("GAMMA", 1), "its condition depends on itself: BETA → GAMMA → BETA"),
    ],
)
def test_a_condition_that_cannot_be_met_is_refused(
    condition: dict[str, Any], complaint: str
) -> None:
    """A parent that is not there, a value that it never has, and a cycle are named."""
    beta = {"type": "int", "low": 0, "high": 9, "default": 1}
    gamma = beta | when("BETA", 1)
    with pytest.raises(SpaceError) as caught:
        parsed(BETA=beta | condition, GAMMA=gamma, DEPTH=DEPTH, W=PATTERN, MATRIX_LR=RATE)
    assert str(caught.value) == f"knob BETA: {complaint}"
    assert caught.value.hint


CHAIN: dict[str, dict[str, Any]] = {
    "RATE": {"type": "int", "low": 1, "high": 5, "default": 3} | when("DEPTH", 8),
    "DEPTH": {"type": "int", "low": 6, "high": 10, "step": 2, "default": 6} | when("W", "L"),
    "W": PATTERN,
}


@pytest.mark.parametrize(
    ("drawn", "alive", "run"),
    [
        ((5, 8, "L"), {"RATE", "DEPTH", "W"}, (5, 8, "L")),
        ((5, 10, "L"), {"DEPTH", "W"}, (3, 10, "L")),
        ((5, 8, "SSSL"), {"W"}, (3, 6, "SSSL")),
    ],
)
def test_a_knob_below_an_inactive_one_is_inactive(
    drawn: tuple[Any, ...], alive: set[str], run: tuple[Any, ...]
) -> None:
    """Whatever was drawn for its parent, it keeps its default, as the parent does."""
    space = parsed(**CHAIN)
    setting = dict(zip(CHAIN, drawn, strict=True))
    assert active(space, setting) == alive
    assert effective(space, setting) == dict(zip(CHAIN, run, strict=True))


def test_settings_below_a_condition_are_counted_once() -> None:
    """One without L; with L two depths without a rate, and five rates at a depth of 8."""
    assert points(parsed(**CHAIN)) == 1 + (2 + 5)
    assert points(parsed(MATRIX_LR=RATE | when("W", "L"), W=PATTERN)) == math.inf


@given(st.data())
def test_the_count_is_that_of_all_settings_that_can_be_run(data: st.DataObject) -> None:
    """For random trees of conditions, against every draw that there is."""
    names = [f"K{i}" for i in range(data.draw(st.integers(1, 5)))]
    knobs: dict[str, dict[str, Any]] = {}
    for i, name in enumerate(names):
        high = data.draw(st.integers(0, 2))
        knob = {"type": "int", "low": 0, "high": high, "default": data.draw(st.integers(0, high))}
        if i and data.draw(st.booleans()):
            parent = data.draw(st.sampled_from(names[:i]))
            values = st.integers(0, int(knobs[parent]["high"]))
            knob |= when(parent, *data.draw(st.sets(values, min_size=1)))
        knobs[name] = knob
    space = parsed(**dict(data.draw(st.permutations(list(knobs.items())))))
    drawn = itertools.product(*(range(int(knob.high) + 1) for knob in space))
    order = [knob.name for knob in space]
    run = {tuple(effective(space, dict(zip(order, d, strict=True))).values()) for d in drawn}
    assert points(space) == len(run)
