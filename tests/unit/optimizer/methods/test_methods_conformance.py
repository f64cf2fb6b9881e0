"""Every method that searches settings keeps the rules of all samplers, with a model of any kind."""
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

METHODS = ("llm-knobs", "warm", "centaur", "llm-space")
TRIALS = 14  # past the warm-up of Centaur
TURNS = 0.5

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def opener() -> Callable[..., Any]:
    """Opens searches with a model that answers by seed, trial and place, and now and then badly."""
    models: dict[Path, Doubled] = {}

    def search(state: Path, method: str, seed: int, direction: str, space: Any) -> Any:
        def answer(prompt: Prompt, trial: int, place: int) -> str | NoAnswer:
            if (trial + place) % 7 == 3:
                return NoAnswer("an outage")
            if prompt.purpose == "space":
                return json.dumps({knob.name: ranges_of(knob) for knob in space})
            drawn = random_settings(space, seed, 1000 * trial + place, 5)
            return json.dumps({"settings": drawn} if prompt.purpose == "first" else drawn[0])

        model = models.setdefault(state, Doubled(answer))
        constants = "".join(f"{knob.name} = {knob.default!r}\n" for knob in space)
        return guided_runs.opened(
            state, method, model,
            seed=seed, space=space, direction=direction, train_py=constants, ratio=TURNS,
        ).search  # fmt: skip

    return search


def ranges_of(knob: Any) -> dict[str, Any]:
    """A knob as a model proposes it."""
    if knob.type == "categorical":
        return {"type": knob.type, "choices": knob.choices}
    step = {} if knob.step is None else {"step": knob.step}
    return {"type": knob.type, "low": knob.low, "high": knob.high, "log": knob.log} | step


OPENER = opener()


@pytest.mark.parametrize("rule", sampler_conformance.RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("method", METHODS)
def test_a_method_keeps_the_rules(method: str, rule: Callable[..., None]) -> None:
    """Seeds, restarts, three outstanding trials, failures, directions and ends: as they must be."""
    rule(method, TRIALS, opener=OPENER)
