"""CMA-ES as autoresearch-automl ran it, for comparisons with its numbers alone.

A failed trial is told as a loss of 100, which bends the covariance. Only the sampler sees that
value: in the study's journal, in the ledger and to the model the trial is a failure.
"""

from __future__ import annotations

import copy

from optuna.samplers import CmaEsSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from samplers.entry import seed_of_ask

FAILURE = 100.0  # of a loss, to be minimised


class FailuresAsLosses(CmaEsSampler):
    """Optuna's CMA-ES to which failures are measurements."""

    def _get_trials(self, study: Study) -> list[FrozenTrial]:
        """The trials that it learns from, by their numbers."""
        failed = study._get_trials(deepcopy=False, states=(TrialState.FAIL,), use_cache=True)
        told = [_with(failure_value(study.direction), trial) for trial in failed]
        return sorted([*super()._get_trials(study), *told], key=lambda trial: trial.number)


def cmaes_of_automl(run_seed: int, number: int) -> CmaEsSampler:
    """CMA-ES over the numeric knobs; the others, and those before it, are drawn at random.

    Source: autoresearch-automl, whose sampler has Optuna's own settings.
    """
    return FailuresAsLosses(seed=seed_of_ask(run_seed, number), warn_independent_sampling=False)


def failure_value(direction: StudyDirection) -> float:
    """What CMA-ES is told of a failed trial, in the metric's own direction."""
    return FAILURE if direction == StudyDirection.MINIMIZE else -FAILURE


def _with(value: float, trial: FrozenTrial) -> FrozenTrial:
    told = copy.copy(trial)
    told.value = value
    return told
