"""Whole searches of LLAMBO against random search: ten seeds, thirty trials each, a fifth fail."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.llambo_rig import (
    METHODS,
    FakeModel,
    best_of,
    best_of_random,
    chance_of,
    helpful,
    searched,
    useless,
)

SEEDS, TRIALS = range(10), 30


def wins_over_random(method: str, says: Any) -> int:
    """Of how many seeds the search ends with a better setting than random search."""
    return sum(
        best_of(searched(method, FakeModel(says, seed), seed, TRIALS)[1])
        < best_of_random(seed, TRIALS)
        for seed in SEEDS
    )


def only(purpose: str) -> Any:
    """A model that is helpful for prompts of one purpose, and useless for the others."""

    def said(prompt: Any, chance: random.Random) -> Any:
        helps = (prompt.purpose == "candidates") == (purpose == "candidates")
        return (helpful if helps else useless)(prompt, chance)

    return said


@pytest.mark.parametrize("method", METHODS)
def test_a_helpful_model_beats_random(method: str) -> None:
    """It wins so many seeds that chance has less than 0.05 for it, by the sign test."""
    assert chance_of(wins_over_random(method, helpful), len(SEEDS)) < 0.05


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("purpose", ["candidates", "scores"])
def test_each_half_of_the_help_is_used(method: str, purpose: str) -> None:
    """Good candidates with random scores win eight seeds of ten, and so does the reverse."""
    assert wins_over_random(method, only(purpose)) >= 8


@pytest.mark.parametrize("method", METHODS)
def test_a_useless_model_is_no_worse_than_chance(method: str) -> None:
    """Random candidates with random scores are random settings: a fair coin wins each seed.

    So random search may win nine seeds or more with a probability of 1.1 %: that would be more than
    noise.
    """
    losses = len(SEEDS) - wins_over_random(method, useless)
    assert chance_of(losses, len(SEEDS)) > 0.02
