"""The grid of a finite space, and spaces that are too large for one."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from samplers.grid import MAX_SETTINGS, NoGridError, is_grid, next_of_grid, settings
from samplers.scale import count_of, values_of

FINITE = [
    CategoricalDistribution(("a", "b")),
    IntDistribution(2, 8, step=3),
    IntDistribution(1, 8, log=True),
    FloatDistribution(0.0, 1.0, step=0.1),
    FloatDistribution(0.5, 0.5),
]
LARGE = [
    IntDistribution(2, 10**19),
    IntDistribution(0, MAX_SETTINGS),
    FloatDistribution(0.0, 1e12, step=1.0),
]


@pytest.mark.parametrize("knob", FINITE)
def test_values_are_counted_as_they_are_listed(knob: BaseDistribution) -> None:
    """The count is that of the list."""
    values = values_of(knob)
    assert values is not None
    assert count_of(knob) == len(values)


def test_every_setting_is_tried_once() -> None:
    """A seed draws the order; after the last setting there is none."""
    space = {str(place): knob for place, knob in enumerate(FINITE)}
    assert is_grid(space)
    every = list(settings(1, space))
    assert len(every) == 2 * 3 * 8 * 11
    assert next_of_grid(1, space, every[:5]) == every[5]
    assert next_of_grid(1, space, every) is None


@pytest.mark.parametrize("knob", LARGE)
def test_a_space_that_cannot_be_listed_is_no_grid(knob: BaseDistribution) -> None:
    """It is told from its bounds, at once, whatever stands beside it."""
    space = {"A": knob, "B": FloatDistribution(0.0, 1.0)}
    assert not is_grid({"A": knob})
    assert not is_grid(space)
    with pytest.raises(NoGridError, match="a grid of"):
        next(settings(1, {"A": knob}))
    with pytest.raises(NoGridError, match="no grid without a step: B"):
        next(settings(1, space))
