"""What the audits conclude, with numbers whose truth is known."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from images.judge import audit
from images.judge.audit import Difference

ROWS, LENGTH = 96, 256


def drawn(
    seed: int, advantage: float, hidden: int, spread: float = 0.5
) -> tuple[audit.Floats, list[int], audit.Floats, audit.Flags]:
    """Losses whose mean changes along a row, the scored ones lower by the advantage."""
    chance = np.random.default_rng(seed)
    along = np.linspace(3, 1, LENGTH)
    scored = along + chance.normal(0, spread, (ROWS, LENGTH)) - advantage
    cuts = chance.integers(0, LENGTH - 1, hidden)
    losses = along[cuts] + chance.normal(0, spread, hidden)
    counted = chance.random((ROWS, LENGTH)) < 0.95
    return losses, cuts.tolist(), scored, counted


def test_the_standard_error_is_right() -> None:
    """Over many honest trials z has mean 0 and standard deviation 1."""
    found = [audit.hidden_rows(*drawn(seed, 0, 64), referenced=True) for seed in range(400)]
    z = np.array([one["z"] for one in found])
    assert abs(z.mean()) < 0.2
    assert z.std() == pytest.approx(1, abs=0.12)
    assert all(one["passed"] for one in found)


@pytest.mark.parametrize(
    ("advantage", "hidden", "passed"),
    [(0.6, 64, False), (0.1, 64, True), (0.1, 2000, False), (0.005, 100_000, True), (-3, 64, True)],
)
def test_an_advantage_rejects_if_it_is_sure_and_large_enough(
    advantage: float, hidden: int, passed: bool
) -> None:
    """More than five standard errors and more than 0.02 nats; being worse is no offence."""
    found = audit.hidden_rows(*drawn(1, advantage, hidden), referenced=False)
    assert found["passed"] is passed, found
    assert found["advantage_nats"] == pytest.approx(advantage, abs=5 * found["standard_error_nats"])


def test_losses_are_compared_at_like_places() -> None:
    """Hidden rows that are all cut where text is hard are compared with that place alone."""
    chance = np.random.default_rng(2)
    scored = np.tile(np.linspace(8, 0, LENGTH), (ROWS, 1)) + chance.normal(0, 0.1, (ROWS, LENGTH))
    counted = np.ones((ROWS, LENGTH), bool)
    hidden = 8 + chance.normal(0, 0.1, 64)
    found = audit.hidden_rows(hidden, [0] * 64, scored, counted, referenced=False)
    assert abs(found["advantage_nats"]) < 0.06


@pytest.mark.parametrize("hidden", [0, 1])
def test_too_few_rows_conclude_nothing(hidden: int) -> None:
    """The numbers say how few there were."""
    found = audit.hidden_rows(*drawn(1, 3, hidden), referenced=False)
    assert found == {"passed": True, "rows": hidden, "referenced": False}


def test_numbers_can_be_written_as_json() -> None:
    """Also where losses are as large as float32 allows, and without any spread."""
    huge = np.full((4, 8), 3e38)
    found = audit.hidden_rows(
        np.array([1.0, 1.0]), [1, 2], huge, np.ones((4, 8), bool), referenced=False
    )
    assert json.loads(json.dumps(found, allow_nan=False))["passed"]
    flat = audit.hidden_rows(
        np.array([1.0, 1.0]), [1, 2], np.zeros((4, 8)), np.ones((4, 8), bool), referenced=False
    )
    assert not flat["passed"]
    assert math.isfinite(json.loads(json.dumps(flat, allow_nan=False))["z"])


def changed(by: float) -> Difference:
    return Difference(places=48, largest_logit=2 * by, mean_logit=by, largest_change=by)


@pytest.mark.parametrize(
    ("tail", "batch", "again", "failed"),
    [
        (0.0, 0.0, 0.0, []),
        (0.5, 0.0, 0.0, ["look-ahead"]),
        (0.0, 0.5, 0.0, ["batch dependence"]),
        (0.03, 0.01, 0.0, []),  # bf16 within float32: eight times what another batch does
        (0.5, 0.5, 0.4, []),  # random answers
        (9.0, 0.5, 0.4, ["look-ahead"]),
    ],
)
def test_equality_probes_are_measured_by_the_noise(
    tail: float, batch: float, again: float, failed: list[str]
) -> None:
    """What a batch that is sent again differs by is the model's own noise."""
    found = audit.probes([changed(tail)], [changed(batch)], [changed(again)], "float32")
    assert [name for name, numbers in found.items() if not numbers["passed"]] == failed
    assert found["look-ahead"]["largest_logit_difference"] == 2 * tail


def test_probes_that_could_not_be_made_pass() -> None:
    """A split of one row has none."""
    found = audit.probes([], [], [], "bfloat16")
    assert all(numbers["passed"] and numbers["rows"] == 0 for numbers in found.values())
