"""The study of a space with conditions: what is run, what a sampler sees, and what is repeated."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from start_config import Condition, KnobRange

from runner.records.layout import ROOT
from runner.wire.space import active, effective, parse_space

SPACE = parse_space(
    {
        "OPTIMIZER": KnobRange("categorical", "adam", choices=("adam", "muon", "sgd")),
        "BETA": KnobRange("float", 0.9, low=0.5, high=0.99, when=Condition("OPTIMIZER", ("adam",))),
        "MOMENTUM": KnobRange(
            "float", 0.5, low=0.0, high=0.9, step=0.1, when=Condition("OPTIMIZER", ("muon", "sgd"))
        ),
        "DEPTH": KnobRange("int", 4, low=2, high=8, step=2),
    }
)
FINITE = parse_space(
    {
        "DEPTH": KnobRange("int", 2, low=1, high=2, when=Condition("NORM", (True,))),
        "NORM": KnobRange("categorical", False, choices=(False, True)),
    }
)
TRIALS = 24
SAMPLERS = ("random", "qmc", "tpe", "tpe-independent", "cmaes", "catcma", "nsga2")


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The optimizer's own module `search`, with its neighbours under their bare names."""
    monkeypatch.syspath_prepend(str(ROOT / "images" / "optimizer"))
    before = set(sys.modules)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna says that QMC is experimental
        yield importlib.import_module("search")
    for name in set(sys.modules) & {"search", "samplers", "journal"} - before:
        del sys.modules[name]


def loss(knobs: dict[str, Any]) -> float:
    """Lowest with muon, a momentum of 0.9 and a depth of 8."""
    branch = {"adam": 0.3 - 0.1 * knobs["BETA"], "sgd": 0.4, "muon": 0.1}[knobs["OPTIMIZER"]]
    return float(branch + 0.1 * (0.9 - knobs["MOMENTUM"]) - 0.01 * knobs["DEPTH"])


def played(search: Any, state: Path, sampler: str, *, broken_at: int | None = None) -> list[Any]:
    """The settings of a search; it is opened anew after so many asks."""
    settings = []
    study = search.Search(state, sampler, 7, "minimize", SPACE)
    for number in range(TRIALS):
        asked = study.ask()
        if number == broken_at:
            study = search.Search(state, sampler, 7, "minimize", SPACE)
            (again,) = study.outstanding()
            assert again == asked
        settings.append(asked.knobs)
        study.tell(number, "ok", loss(asked.knobs), {})
    return settings


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_an_inactive_knob_keeps_its_default(search: Any, tmp_path: Path, sampler: str) -> None:
    """Every setting names every knob; trial 0 is every default; both branches are searched."""
    settings = played(search, tmp_path, sampler)
    assert settings[0] == {"OPTIMIZER": "adam", "BETA": 0.9, "MOMENTUM": 0.5, "DEPTH": 4}
    for knobs in settings:
        assert list(knobs) == [knob.name for knob in SPACE]
        alive = active(SPACE, knobs)
        assert ("BETA" in alive) == (knobs["OPTIMIZER"] == "adam")
        assert ("MOMENTUM" in alive) == (knobs["OPTIMIZER"] != "adam")
        assert "BETA" in alive or knobs["BETA"] == 0.9
        assert "MOMENTUM" in alive or knobs["MOMENTUM"] == 0.5
        assert knobs["DEPTH"] in (2, 4, 6, 8)
        assert round(knobs["MOMENTUM"] * 10) == pytest.approx(knobs["MOMENTUM"] * 10)
    assert len({knobs["OPTIMIZER"] for knobs in settings}) > 1
    assert len({knobs["MOMENTUM"] for knobs in settings}) > 1
    assert len({knobs["BETA"] for knobs in settings}) > 1


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_resumed_search_goes_on_with_the_same_settings(
    search: Any, tmp_path: Path, sampler: str
) -> None:
    """Opened anew in the middle of a trial, it repeats that setting and gives the same ones."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = played(search, tmp_path / "a", sampler)
    assert played(search, tmp_path / "b", sampler, broken_at=15) == whole


def test_a_sampler_learns_from_what_was_run(search: Any, tmp_path: Path) -> None:
    """It sees the default of an inactive knob, and the study's export names it as well."""
    study = search.Search(tmp_path, "random", 7, "minimize", SPACE)
    settings = [study.ask().knobs for _ in range(TRIALS)]
    for number, knobs in enumerate(settings):
        study.tell(number, "ok", loss(knobs), {})
    trials = study._trials()
    assert any(trial.params != knobs for trial, knobs in zip(trials, settings, strict=True))
    proposals = sys.modules["proposals"]
    as_run = partial(effective, SPACE)
    shown = proposals.seen(trials, study._study.direction, as_run)
    assert [one.knobs for one in shown] == settings
    for trial, knobs in zip(trials, settings, strict=True):
        assert trial.params | trial.user_attrs.get(search.RAN, {}) == knobs


@pytest.mark.parametrize("sampler", ["random", "grid", "catcma"])
def test_a_finite_space_ends_when_all_its_settings_were_tried(
    search: Any, tmp_path: Path, sampler: str
) -> None:
    """Without NORM, the depth is the default, so there are three settings and not four."""
    study = search.Search(tmp_path, sampler, 7, "minimize", FINITE)
    tried = []
    while (asked := study.ask()) is not None:
        tried.append(tuple(asked.knobs.items()))
        study.tell(asked.number, "ok", 1.0, {})
    assert set(tried) == {
        (("DEPTH", 2), ("NORM", False)),
        (("DEPTH", 1), ("NORM", True)),
        (("DEPTH", 2), ("NORM", True)),
    }
    assert len(set(tried[:-1])) == 2


def test_a_default_that_only_rounding_tells_from_its_grid_is_one_setting(
    search: Any, tmp_path: Path
) -> None:
    """0.1 + 2 × 0.1 is 0.3 in a grid, whether the knob is active or not."""
    steps = KnobRange("float", 0.3, low=0.1, high=0.5, step=0.1, when=Condition("MODE", ("x",)))
    modes = KnobRange("categorical", "y", choices=("x", "y", "z"))
    study = search.Search(
        tmp_path, "grid", 7, "minimize", parse_space({"MODE": modes, "RATE": steps})
    )
    tried = []
    while (asked := study.ask()) is not None:
        tried.append((asked.knobs["MODE"], round(asked.knobs["RATE"], 6)))
        study.tell(asked.number, "ok", 1.0, {})
    assert sorted(tried) == [*(("x", rate / 10) for rate in range(1, 6)), ("y", 0.3), ("z", 0.3)]


def test_a_setting_that_was_rounded_is_not_tried_again(search: Any, tmp_path: Path) -> None:
    """train.py trains 4 where 5 was asked for: both are tried then, and the search has an end."""
    space = parse_space({"WIDTH": KnobRange("int", 4, low=1, high=8)})
    study = search.Search(tmp_path, "grid", 7, "minimize", space)
    asked_for = []
    while (asked := study.ask()) is not None:
        asked_for.append(asked.knobs["WIDTH"])
        study.tell(asked.number, "ok", 1.0, {"WIDTH": max(2, asked.knobs["WIDTH"] // 2 * 2)})
    assert len(asked_for) == len(set(asked_for)) <= 8
    assert {max(2, width // 2 * 2) for width in asked_for} == {2, 4, 6, 8}


@pytest.mark.parametrize("sampler", ["random", "qmc", "tpe", "cmaes", "nsga2"])
def test_an_ask_that_another_run_left_unfinished_ends_nobody(
    search: Any, tmp_path: Path, sampler: str
) -> None:
    """In a shared study it is a trial without a setting, and stays one."""
    study = search.Search(tmp_path, sampler, 7, "minimize", SPACE)
    for _ in range(12):
        asked = study.ask()
        study.tell(asked.number, "ok", loss(asked.knobs), {})
    study._storage.create_new_trial(study._study._study_id)
    asked = study.ask()
    assert asked.number == 13
    assert list(asked.knobs) == [knob.name for knob in SPACE]
