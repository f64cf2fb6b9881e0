"""A sampler of SMAC's kind that finds nothing new; the package itself is in the image alone."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import create_trial
from proposals import EverySettingTriedError, Proposals
from samplers.entry import Entry
from samplers.forest import first_of


class ExhaustedError(Exception):
    """In the place of SMAC's own."""


@pytest.fixture(autouse=True)
def smac(monkeypatch: pytest.MonkeyPatch) -> None:
    """As much of the package as is asked for."""
    exceptions: Any = ModuleType("smac.main.exceptions")
    exceptions.ConfigurationSpaceExhaustedException = ExhaustedError
    for name in ("smac", "smac.main"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "smac.main.exceptions", exceptions)


def test_a_space_that_smac_finds_exhausted_is_no_error() -> None:
    """It raises from within its iterator, and anything else that it raises goes on."""

    def raising(error: Exception) -> Iterator[Any]:
        def fail(_: int) -> Any:
            raise error

        return map(fail, [1])

    assert first_of(iter(["a", "b"])) == "a"
    assert first_of(raising(ExhaustedError())) is None
    with pytest.raises(ZeroDivisionError):
        first_of(raising(ZeroDivisionError()))


def proposals(space: dict[str, BaseDistribution]) -> Proposals:
    found_nothing = Entry(suggest=lambda *_: None)
    return Proposals(found_nothing, 1, StudyDirection.MINIMIZE, space, dict)


def test_where_nothing_new_is_found_the_rest_is_tried() -> None:
    """Each setting that is left comes once, and then the search is over."""
    space: dict[str, BaseDistribution] = {"X": IntDistribution(0, 3)}
    search, trials = proposals(space), []
    trials.append(create_trial(params={"X": 2}, distributions=space, value=1.0))
    for number in range(1, 4):
        knobs = search.propose(number, trials)
        assert knobs is not None
        trials.append(create_trial(params=knobs, distributions=space, value=1.0))
    assert sorted(trial.params["X"] for trial in trials) == [0, 1, 2, 3]
    with pytest.raises(EverySettingTriedError):
        search.propose(4, trials)


def test_a_space_without_an_end_is_drawn_from() -> None:
    """The study's own random sampler is left to draw."""
    space: dict[str, BaseDistribution] = {"X": FloatDistribution(0.0, 1.0)}
    tried = [create_trial(params={"X": 0.5}, distributions=space, value=1.0)]
    assert proposals(space).propose(1, tried) is None
