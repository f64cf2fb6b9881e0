"""The table of samplers: a new one is one function and one entry in `SAMPLERS`.

Invariant: a sampler is made anew for every ask, so it holds no state that a restart would lose. Its
suggestion depends on the run's seed, the trial's number and the study's history, and on nothing
else: the same seed gives the same trials, and a resumed run gives those of an uninterrupted one.
What an algorithm carries from trial to trial (the covariance of CMA-ES, the place in a Sobol
sequence) is kept by Optuna itself, in the study's journal.

A failed trial is FAIL in the journal, without a value. Optuna's samplers pass over such trials, and
a Gaussian process, which has learned nothing from the failure, then suggests much the same setting
for ever. So a sampler with `learns_from_trials` is shown each failure as no better than the worst
value that was measured: the mildest value that still says "not there". CMA-ES fills its generation
with new draws instead: a made-up value would enter its covariance.

The same samplers see a knob that train.py had to round (a batch that does not divide) at the value
that was run, not at the one that they suggested.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)

START_UP_TRIALS = 10


def seed_of_ask(run_seed: int, number: int) -> int:
    """A 32-bit seed for one ask, independent of those of other asks and other runs.

    Source: numpy.random.SeedSequence, which is made for spawning streams that do not overlap.
    """
    return int(np.random.SeedSequence([run_seed, number]).generate_state(1)[0])


def random(run_seed: int, number: int) -> BaseSampler:
    """Uniform over the space; log knobs uniform in their logarithm."""
    return RandomSampler(seed=seed_of_ask(run_seed, number))


def tpe(run_seed: int, number: int) -> BaseSampler:
    """Tree-structured Parzen estimator, over all knobs jointly.

    Source: Bergstra et al. 2011; Watanabe 2023, arXiv:2304.11127.
    """
    return TPESampler(seed=seed_of_ask(run_seed, number), n_startup_trials=START_UP_TRIALS)


def gp(run_seed: int, number: int) -> BaseSampler:
    """Gaussian process with a Matérn-2.5 kernel and log expected improvement; the values are noisy.

    Source: Ament et al. 2023, arXiv:2310.20708.
    """
    return GPSampler(
        seed=seed_of_ask(run_seed, number),
        n_startup_trials=START_UP_TRIALS,
        deterministic_objective=False,
    )


def cmaes(run_seed: int, number: int) -> BaseSampler:
    """CMA-ES over the numeric knobs, from the middle of the space.

    CMA-ES has no notion of a categorical knob: those, and everything before the first
    generation, are drawn by a TPE that learns from the same trials.

    Source: Hansen 2016, arXiv:1604.00772.
    """
    return CmaEsSampler(
        seed=seed_of_ask(run_seed, number),
        independent_sampler=TPESampler(
            seed=seed_of_ask(run_seed, number), n_startup_trials=START_UP_TRIALS, multivariate=False
        ),
        warn_independent_sampling=False,
    )


def qmc(run_seed: int, number: int) -> BaseSampler:
    """A scrambled Sobol sequence: covers the space more evenly than chance.

    The scrambling must be that of the whole run, so it takes the run's own seed; the place in the
    sequence is in the journal.

    Source: Bergstra and Bengio 2012, section 5.
    """
    return QMCSampler(
        qmc_type="sobol",
        scramble=True,
        seed=run_seed,
        independent_sampler=RandomSampler(seed=seed_of_ask(run_seed, number)),
        warn_independent_sampling=False,
    )


@dataclass(frozen=True)
class Entry:
    """A row of the table.

    Args:
        make: the sampler for one ask, from the run's seed and the trial's number.
        learns_from_trials: show it the trials as they were run, and failures as the worst value
            measured. Only for samplers that keep nothing in the study but its trials.
        ranks_pruned: of those, it reads pruned trials itself, by their steps and values. Another
            one would pass over them, and is shown each as its last estimate, but as no worse than
            the worst whole trial.
    """

    make: Callable[[int, int], BaseSampler]
    learns_from_trials: bool = False
    ranks_pruned: bool = False


SAMPLERS: dict[str, Entry] = {
    "random": Entry(random),
    "qmc": Entry(qmc),
    "tpe": Entry(tpe, learns_from_trials=True, ranks_pruned=True),
    "gp": Entry(gp, learns_from_trials=True),
    "cmaes": Entry(cmaes),
}
