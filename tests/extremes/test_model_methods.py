"""Methods that use a model against what they build on, on the made-up training, over ten seeds.

The model is a double that knows the optimum with an error (`tests/guided_runs.py`). Each comparison
is an exact one-sided sign test at a fourth of 5 %: four of them together hold by Holm's procedure.
"""

from __future__ import annotations

import math
import statistics

import pytest

from tests.guided_runs import best_of_method, best_of_sampler, helpful, useless

SEEDS, TRIALS = range(1, 11), 30
SIGNIFICANT = 0.05 / 4

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def chance_of(wins: int, of: int) -> float:
    """The chance of so many wins or more where neither side is better."""
    return float(sum(math.comb(of, k) for k in range(wins, of + 1)) / 2**of)


@pytest.mark.parametrize(
    ("method", "sampler"),
    [("llm-knobs", "random"), ("centaur", "cmaes"), ("warm", "tpe"), ("llm-space", "tpe")],
)
def test_a_helpful_model_makes_the_search_better(method: str, sampler: str) -> None:
    """At equal trials, the method finds the better setting more often than chance explains."""
    wins = sum(
        best_of_method(method, seed, TRIALS, helpful(seed)) < best_of_sampler(sampler, seed, TRIALS)
        for seed in SEEDS
    )
    assert chance_of(wins, len(SEEDS)) <= SIGNIFICANT, f"{wins} of {len(SEEDS)} seeds"


def test_a_useless_model_costs_centaur_no_more_than_noise() -> None:
    """Its mean is worse than that of CMA-ES by less than CMA-ES differs from seed to seed."""
    alone = [best_of_sampler("cmaes", seed, TRIALS) for seed in SEEDS]
    centaur = [best_of_method("centaur", seed, TRIALS, useless(seed)) for seed in SEEDS]
    worse_by = statistics.mean(centaur) - statistics.mean(alone)
    assert worse_by <= statistics.stdev(alone), f"worse by {worse_by:.4f}"
