"""The benchmark of the samplers: its objective, and what its tables conclude."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.baselines import __main__ as bench
from benchmarks.baselines import objective
from runner import samplers
from runner.records.layout import ROOT
from runner.spec import read_table

SPACE = read_table(ROOT / "trainer" / "search_space.toml")[bench.SPACE]
DEFAULT: dict[str, Any] = {name: knob["default"] for name, knob in SPACE.items()}


def test_the_objective_has_the_fourteen_knobs() -> None:
    """The default trains, every knob moves its value, and noise is small."""
    value = objective.true_value(SPACE, DEFAULT)
    assert value is not None
    for name in objective.BEST:
        ends = [{name: SPACE[name][end]} for end in ("low", "high")]
        moved = [objective.true_value(SPACE, DEFAULT | end) for end in ends]
        assert any(one is not None and one != value for one in moved), name
    worse = objective.true_value(SPACE, DEFAULT | {"WINDOW_PATTERN": "LLLL"})
    assert worse is not None
    assert worse > value
    measured = [objective.measured(SPACE, DEFAULT, 1, number) for number in range(400)]
    crashed = sum(one is None for one in measured)
    assert 5 < crashed < 40
    assert all(abs(one - value) < 5 * objective.NOISE for one in measured if one is not None)
    assert measured == [objective.measured(SPACE, DEFAULT, 1, number) for number in range(400)]


def test_too_large_a_model_and_too_high_a_rate_fail() -> None:
    """Failures have a region, which a sampler can learn."""
    large = {"DEPTH": 24, "ASPECT_RATIO": 128, "DEVICE_BATCH_SIZE": 256}
    assert objective.true_value(SPACE, DEFAULT | large) is None
    assert objective.true_value(SPACE, DEFAULT | {"MATRIX_LR": 0.2}) is None


def test_the_sign_test_is_one_sided_and_corrected() -> None:
    """Ten wins of ten are 1/1024, times the number of models; what has no model is not tested."""
    reference = [1.0] * 10
    best = {"random": reference, "qmc": [0.5] * 10, "tpe": [0.9] * 10, "gp": [1.1] * 10}
    assert bench.against(best) == pytest.approx({"tpe": 2 / 1024, "gp": 1.0})
    assert bench.against({"random": reference, "tpe": reference}) == {"tpe": 1.0}


def test_the_tables_have_a_line_for_each_sampler() -> None:
    """All that were measured with so many trials, the best first."""
    runs = {str(seed): {"best": 1.0 - seed / 100, "failed": 6} for seed in range(10)}
    better = {seed: {"best": one["best"] - 0.1, "failed": 0} for seed, one in runs.items()}
    table = bench.found_table({"random": {"60": runs}, "tpe": {"60": better}, "gp": {}}, 60)
    lines = table.splitlines()[2:]
    assert lines[0] == "| tpe | 0.8550 | 10 of 10 | 0.0010 | 0% |"
    assert lines[1] == "| random | 0.9550 |  |  | 10% |"
    assert len(lines) == 2
    assert "nothing to compare with" in bench.found_table({"tpe": {"60": runs}}, 60)
    place = {str(one): {"ask": 0.5, "processor": 0.4} for one in bench.PLACES}
    assert "| gp | 0.400 / 0.500 | 0.400 / 0.500 | 0.400 / 0.500 |" in bench.time_table(
        {"gp": place}
    )


def test_every_sampler_is_of_a_known_kind() -> None:
    """The names that the benchmark treats differently are names of samplers."""
    assert {*bench.OF_TRIALS, *bench.WITHOUT_MODEL, bench.NO_GRID} <= samplers.load().keys()
