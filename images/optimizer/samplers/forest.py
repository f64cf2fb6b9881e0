"""SMAC: a random forest as the model of the objective, and log expected improvement.

SMAC3's own intensifier has nothing to do here: each setting is trained once. So its selector of
configurations is asked directly, with a run history that is filled from the study at every ask.

Source: Lindauer et al. 2022, JMLR 23(54), the facade for hyperparameter optimisation.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.distributions import CategoricalDistribution, IntDistribution

from samplers.entry import START_UP_TRIALS, Knobs, Seen, Space, seed_of_ask
from samplers.scale import from_unit, to_unit, values_of

if TYPE_CHECKING:
    from ConfigSpace import Configuration, ConfigurationSpace

MANY = 10**9  # trials: no budget of SMAC's own
LEAST_COST = 1.0  # SMAC takes the logarithm of costs: values of 0 or less are shifted to above it


def suggest_by_forest(
    run_seed: int, number: int, space: Space, seen: Sequence[Seen]
) -> Knobs | None:
    """The next setting: of a Sobol sequence for the first ten trials, then by the forest.

    One ask in five is random, as SMAC's facade has it. None where SMAC finds no setting that is
    new.

    Args:
        run_seed: scrambles the Sobol sequence.
        number: the trial's, from 1.
        space: the knobs.
        seen: the trials so far.
    """
    from smac.scenario import Scenario

    logging.getLogger("smac").setLevel(logging.ERROR)
    measured = [trial for trial in seen if trial.value is not None]
    starting = number < START_UP_TRIALS or not measured
    seed = seed_of_ask(run_seed, 0 if starting else number)
    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(
            _configuration_space(space, seed), output_directory=Path(folder),
            deterministic=True, n_trials=MANY, seed=seed,
        )  # fmt: skip
        found = _of_sobol(scenario, number) if starting else _by_model(scenario, space, seen)
    return None if found is None else {name: _value(space, name, found[name]) for name in space}


def _of_sobol(scenario: Any, number: int) -> Configuration:
    """The place of this number in the sequence; a small space has fewer, and then it is random."""
    from smac.initial_design.sobol_design import SobolInitialDesign

    design = SobolInitialDesign(scenario, n_configs=number + 1).select_configurations()
    if number < len(design):
        return design[number]
    scenario.configspace.seed(seed_of_ask(scenario.seed, number))
    return scenario.configspace.sample_configuration()


def _by_model(scenario: Any, space: Space, seen: Sequence[Seen]) -> Configuration | None:
    import joblib
    from smac.facade.hyperparameter_optimization_facade import (
        HyperparameterOptimizationFacade as Facade,
    )
    from smac.initial_design.default_design import DefaultInitialDesign
    from smac.runhistory.dataclasses import TrialInfo

    facade = Facade(
        scenario,
        lambda config, seed: 0.0,  # noqa: ARG005 # never called: the runner trains
        initial_design=DefaultInitialDesign(scenario),
        logging_level=logging.ERROR,
    )
    history = facade.runhistory
    costs = [trial.value for trial in seen if trial.value is not None]
    shift = LEAST_COST - min(costs) if min(costs) <= 0 else 0.0
    for trial in seen:
        config = _configuration(scenario.configspace, space, trial.knobs)
        if trial.value is None:
            history.add_running_trial(TrialInfo(config, seed=0))
        else:
            history.add(config, trial.value + shift, seed=0, force_update=True)
    selector = facade.intensifier.config_selector
    selector._initial_design_configs = []  # the study has had its start
    with joblib.parallel_config(backend="sequential"):  # a pool for each prediction is what is slow
        return first_of(selector)


def first_of(selector: Iterable[Configuration]) -> Configuration | None:
    """What SMAC would try next; None where all that it thinks of has been tried."""
    from smac.main.exceptions import ConfigurationSpaceExhaustedException

    try:
        return next(iter(selector))
    except ConfigurationSpaceExhaustedException:
        return None


def _configuration_space(space: Space, seed: int) -> ConfigurationSpace:
    """The space in SMAC's terms: choices by their place, numbers between 0 and 1.

    A knob with a step counts its steps, and an integer on a logarithmic scale is rounded.
    """
    from ConfigSpace import Categorical, ConfigurationSpace, Float, Integer

    found = ConfigurationSpace(seed=seed)
    for name, distribution in space.items():
        values = values_of(distribution)
        if isinstance(distribution, CategoricalDistribution) or (values and len(values) == 1):
            assert values is not None
            found.add(Categorical(name, range(len(values))))
        elif values is not None and _is_counted(space, name):
            found.add(Integer(name, (0, len(values) - 1)))
        else:
            found.add(Float(name, (0.0, 1.0)))
    return found


def _is_counted(space: Space, name: str) -> bool:
    return not getattr(space[name], "log", False) and values_of(space[name]) is not None


def _configuration(configurations: Any, space: Space, knobs: Knobs) -> Configuration:
    from ConfigSpace import Configuration

    return Configuration(configurations, {name: _place(space, name, knobs[name]) for name in space})


def _place(space: Space, name: str, value: Any) -> int | float:
    """A value in SMAC's terms."""
    distribution, values = space[name], values_of(space[name])
    if isinstance(distribution, CategoricalDistribution) or (values and len(values) == 1):
        assert values is not None
        return values.index(value)
    if values is not None and _is_counted(space, name):
        return round(to_unit(distribution, value) * (len(values) - 1))
    return to_unit(distribution, value)


def _value(space: Space, name: str, place: Any) -> Any:
    """The reverse of `_place`."""
    distribution, values = space[name], values_of(space[name])
    if values is not None and (
        isinstance(distribution, CategoricalDistribution)
        or len(values) == 1
        or _is_counted(space, name)
    ):
        return values[int(place)]
    value = from_unit(distribution, float(place))
    return int(value) if isinstance(distribution, IntDistribution) else value
