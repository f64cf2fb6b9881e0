"""LLAMBO keeps the rules of all samplers, in a study and with a model that fails now and then."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from methods.settings import random_settings
from models.terms import NoAnswer, Prompt

from tests import guided_runs, sampler_conformance
from tests.guided_runs import Doubled

TRIALS = 8  # three of them with the model
STATES: dict[Path, Doubled] = {}

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def opened(state: Path, method: str, seed: int, direction: str, space: Any) -> Any:
    """A search whose model answers by seed, trial and place; a restart finds its answers again."""

    def answer(prompt: Prompt, trial: int, place: int) -> str | NoAnswer:
        if (trial + place) % 7 == 3:
            return NoAnswer("an outage")
        if prompt.purpose == "candidates":
            return json.dumps(random_settings(space, seed, 1000 * trial + place)[0])
        value = place % 13 if direction == "minimize" else -(place % 13)
        return json.dumps({"value": value, "probability": place % 13 / 13})

    model = STATES.setdefault(state, Doubled(answer))
    return guided_runs.opened(
        state, method, model, seed=seed, space=space, direction=direction
    ).search


@pytest.mark.parametrize("rule", sampler_conformance.RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("method", ["llambo", "llambo-optuna"])
def test_a_method_keeps_the_rules(method: str, rule: Callable[..., None]) -> None:
    """Seeds, restarts, three outstanding trials, failures, directions and ends: as they must be."""
    rule(method, TRIALS, opener=opened)
