"""The samplers that Optuna brings along, each made for one ask."""

from __future__ import annotations

from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)

from samplers.entry import START_UP_TRIALS, seed_of_ask

NSGA2_POPULATION = 10  # Optuna's own 50 is half of a day's trials in the first generation


def random(run_seed: int, number: int) -> BaseSampler:
    """Uniform over the space; log knobs uniform in their logarithm."""
    return RandomSampler(seed=seed_of_ask(run_seed, number))


def tpe(run_seed: int, number: int) -> BaseSampler:
    """Tree-structured Parzen estimator, over all knobs jointly.

    Its densities are of whole settings, so it learns which knobs go together.

    Source: Bergstra et al. 2011; Watanabe 2023, arXiv:2304.11127 (there: multivariate).
    """
    return TPESampler(
        seed=seed_of_ask(run_seed, number), n_startup_trials=START_UP_TRIALS, multivariate=True
    )


def tpe_independent(run_seed: int, number: int) -> BaseSampler:
    """Tree-structured Parzen estimator, knob by knob: each has a density of its own.

    Source: Bergstra et al. 2011, and the default of Optuna before version 5.
    """
    return TPESampler(
        seed=seed_of_ask(run_seed, number), n_startup_trials=START_UP_TRIALS, multivariate=False
    )


def gp(run_seed: int, number: int) -> BaseSampler:
    """Gaussian process with a Matérn-2.5 kernel and log expected improvement; the values are noisy.

    Source: Ament et al. 2023, arXiv:2310.20708.
    """
    return GPSampler(
        seed=seed_of_ask(run_seed, number),
        n_startup_trials=START_UP_TRIALS,
        deterministic_objective=False,
    )


def cmaes(run_seed: int, number: int) -> CmaEsSampler:
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


def nsga2(run_seed: int, number: int) -> BaseSampler:
    """A genetic algorithm, NSGA-II, which with one objective keeps the best of each generation.

    The journal has the generation of each trial. A trial that failed is in none, and a new one
    takes its place.

    Source: Deb et al. 2002, IEEE Transactions on Evolutionary Computation 6(2).
    """
    return NSGAIISampler(seed=seed_of_ask(run_seed, number), population_size=NSGA2_POPULATION)


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
