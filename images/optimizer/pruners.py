"""The table of pruners: a new one is one function and one entry in `PRUNERS`.

A pruner looks at what was measured of a trial on its way and says whether the trial is to be ended.
Steps are whole percents of a training (docs/baselines.md). Invariant: a pruner is made anew for
every question, so it holds no state that a restart would lose. Its answer depends on the study's
journal, where Hyperband keeps the rungs that a trial has completed, and on nothing else.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable

from optuna.exceptions import ExperimentalWarning
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    PercentilePruner,
    WilcoxonPruner,
)
from optuna.study import Study
from optuna.trial import FrozenTrial

START_UP_TRIALS = 5  # whole trials before any is pruned
LEAST_VALUES = 3  # at the same step: settings whose steps are long lack some
WARM_UP_STEP = 20  # what is measured before says little about the end
KEPT_PERCENT = 25.0
FIRST_RUNG, WHOLE, REDUCTION = 10, 100, 3
P_VALUE = 0.1
RUNG = "completed_rung_"  # Optuna's name for the value with which a trial completed a rung


def none() -> BasePruner:
    """Every trial runs to its end."""
    return NopPruner()


def median() -> BasePruner:
    """Ends a trial whose best value so far is worse than the median of whole trials at that step.

    Source: Golovin et al. 2017 (Vizier), section 3.2.2, which compares running averages instead.
    """
    return MedianPruner(
        n_startup_trials=START_UP_TRIALS, n_warmup_steps=WARM_UP_STEP, n_min_trials=LEAST_VALUES
    )


def percentile() -> BasePruner:
    """As `median`, but a trial has to be among the best quarter."""
    return PercentilePruner(
        KEPT_PERCENT,
        n_startup_trials=START_UP_TRIALS,
        n_warmup_steps=WARM_UP_STEP,
        n_min_trials=LEAST_VALUES,
    )


def hyperband() -> BasePruner:
    """Successive halving in brackets: the best third of those at 10, 30 and 90 percent go on.

    Source: Li et al. 2018, arXiv:1603.06560; asynchronous as in Li et al. 2020, arXiv:1810.05934.
    """
    return HyperbandPruner(min_resource=FIRST_RUNG, max_resource=WHOLE, reduction_factor=REDUCTION)


def wilcoxon() -> BasePruner:
    """Ends a trial that is worse than the best one at the steps of both, by a signed-rank test.

    Source: Wilcoxon 1945; the pairs along one training are not independent, so `P_VALUE` is no
    rate of errors (docs/baselines.md).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return WilcoxonPruner(p_threshold=P_VALUE)


PRUNERS: dict[str, Callable[[], BasePruner]] = {
    "none": none,
    "median": median,
    "percentile": percentile,
    "hyperband": hyperband,
    "wilcoxon": wilcoxon,
}


def as_reported(trial: FrozenTrial, step: int, before: float | None) -> FrozenTrial:
    """The trial as it is when this step is reported: without later steps, and without its answer.

    Args:
        trial: with the new value of the step.
        step: what is being reported.
        before: the value that was reported at the same step before; None for the first time. A
            rung that was completed with it is not completed yet.
    """
    running = copy.copy(trial)
    steps = sorted(trial.intermediate_values.items())
    running.intermediate_values = {at: value for at, value in steps if at <= step}
    running.system_attrs = {
        name: value
        for name, value in trial.system_attrs.items()
        if before is None or not (name.startswith(RUNG) and value == before)
    }
    return running


def gives_up(pruner: str, study: Study, trial: FrozenTrial) -> bool:
    """Whether a pruner would end a trial, given its values so far and the study's other trials."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a best trial that lacks a step
        return PRUNERS[pruner]().prune(study, trial)
