"""Every sampler keeps the rules of `tests/sampler_conformance.py`, all but those of the image."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from samplers import SAMPLERS
from start_config import OwnSampler

from runner import samplers
from runner.records.layout import ROOT
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


def documented() -> OwnSampler:
    """The example of docs/baselines.md."""
    text = (ROOT / "docs" / "baselines.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?class Hill.*?)```", text, re.DOTALL)
    return OwnSampler("hill.py", "Hill", example)


def test_both_tables_have_the_same_samplers() -> None:
    """What the host offers is what the image has, in the same order."""
    assert list(samplers.load()) == list(SAMPLERS)


@pytest.mark.parametrize("rule", sampler_conformance.RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("sampler", HERE)
def test_a_sampler_keeps_the_rules(sampler: str, rule: Callable[..., None]) -> None:
    """Seeds, restarts, three outstanding trials, failures, directions and ends: as they must be."""
    rule(sampler, TRIALS)


@pytest.mark.parametrize("rule", sampler_conformance.RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize(
    "mine", [OPTUNAS, documented()], ids=["a sampler of Optuna's", "ask and tell"]
)
def test_a_users_own_sampler_keeps_the_rules(mine: OwnSampler, rule: Callable[..., None]) -> None:
    """The same rules hold for what a user brings along."""
    rule("mine", TRIALS, own=mine)
