"""Every sampler keeps the rules of `tests/sampler_conformance.py`, all but those of the image."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from collections.abc import Callable

import pytest
from samplers import SAMPLERS
from start_config import OwnSampler

from runner import samplers
from tests import sampler_conformance

IN_THE_IMAGE = {"gp", "smac"}  # torch and SMAC are there alone; tests/docker/test_samplers.py
HERE = sorted(SAMPLERS.keys() - IN_THE_IMAGE)
TRIALS = 26  # more than two generations of CMA-ES, CatCMA and NSGA-II

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def own(text: str) -> OwnSampler:
    """A user's own sampler."""
    return OwnSampler("mine.py", "Mine", text)


OPTUNAS = own(
    """
from optuna.samplers import TPESampler

class Mine(TPESampler):
    learns_from_trials = True

    def __init__(self, seed):
        super().__init__(seed=seed, n_startup_trials=4)
"""
)
ASK_TELL = own(
    """
import numpy as np

class Mine:
    def __init__(self, space, seed):
        self.space, self.chance = space, np.random.default_rng(seed)
        self.best, self.least, self.told = {}, float("inf"), 0

    def ask(self, number):
        return {name: self.value(name, knob) for name, knob in self.space.items()}

    def tell(self, number, knobs, value):
        self.told += 1
        if value is not None and value < self.least:
            self.best, self.least = knobs, value

    def value(self, name, knob):
        if self.best and self.chance.random() < 0.6:
            return self.best[name]
        if hasattr(knob, "choices"):
            return knob.choices[self.chance.integers(len(knob.choices))]
        at = self.chance.random() * (0.5 + 0.5 / (1 + self.told))
        if knob.step:
            return knob.low + knob.step * round(at * (knob.high - knob.low) / knob.step)
        return knob.low + at * (knob.high - knob.low)
"""
)


def test_both_tables_have_the_same_samplers() -> None:
    """What the host offers is what the image has, in the same order."""
    assert list(samplers.load()) == list(SAMPLERS)


@pytest.mark.parametrize("rule", sampler_conformance.RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("sampler", HERE)
def test_a_sampler_keeps_the_rules(sampler: str, rule: Callable[..., None]) -> None:
    """Seeds, restarts, three outstanding trials, failures, directions and ends: as they must be."""
    rule(sampler, TRIALS)


@pytest.mark.parametrize("rule", sampler_conformance.RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("mine", [OPTUNAS, ASK_TELL], ids=["a sampler of Optuna's", "ask and tell"])
def test_a_users_own_sampler_keeps_the_rules(mine: OwnSampler, rule: Callable[..., None]) -> None:
    """The same rules hold for what a user brings along."""
    rule("mine", TRIALS, own=mine)
