"""Looks into Optuna's CMA-ES: its next suggestion, and the normal distribution that it draws from.

Optuna pickles the state of the algorithm into the attributes of trials. It is read here by the
sampler's own methods, in a copy of the study, so that nothing of the study changes. CMA-ES works in
a unit cube; what is shown is in each knob's own unit, or in its natural logarithm for a log knob.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna._transform import _SearchSpaceTransform
from optuna.distributions import BaseDistribution
from optuna.samplers import CmaEsSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState


@dataclass(frozen=True)
class Normal:
    """The distribution from which CMA-ES draws.

    Attributes:
        knobs: the names, in the order of rows and columns; no categorical knob is among them.
        log: which of them are in their natural logarithm.
        mean: of each knob in its own unit, also for a log knob.
        sigma: the step size, in parts of a knob's range.
        covariance: shape (knobs, knobs), of the knobs' own units or logarithms.
        generation: how many times it has learned.
    """

    knobs: tuple[str, ...]
    log: tuple[str, ...]
    mean: tuple[float, ...]
    sigma: float
    covariance: tuple[tuple[float, ...], ...]
    generation: int


@dataclass(frozen=True)
class Look:
    """What CMA-ES would do next.

    Attributes:
        suggestion: a value for every knob.
        normal: None before a trial has been measured: then all knobs are drawn another way.
    """

    suggestion: dict[str, Any]
    normal: Normal | None


def look(
    sampler: CmaEsSampler,
    direction: StudyDirection,
    trials: Sequence[FrozenTrial],
    space: Mapping[str, BaseDistribution],
) -> Look:
    """The suggestion for the trial after these, and the distribution that it is drawn from.

    Args:
        sampler: that of the trial.
        direction: the study's.
        trials: all of the study, from number 0.
        space: the knobs.
    """
    study = optuna.create_study(sampler=sampler, direction=direction)
    study.add_trials(trials)
    trial = study.ask(dict(space))
    drawn = study.get_trials(deepcopy=False)[-1]
    return Look(dict(trial.params), _normal(sampler, study, drawn))


def shown_normal(normal: Normal | None) -> str:
    """The distribution as lines of JSON: one for each knob, then one for each row."""
    if normal is None:
        return "CMA-ES has no distribution yet: no trial has been measured."
    scale = {name: "log" if name in normal.log else "linear" for name in normal.knobs}
    knobs = [
        json.dumps({name: {"scale": scale[name], "mean": _short(mean)}})
        for name, mean in zip(normal.knobs, normal.mean, strict=True)
    ]
    rows = [
        json.dumps({name: dict(zip(normal.knobs, map(_short, row), strict=True))})
        for name, row in zip(normal.knobs, normal.covariance, strict=True)
    ]
    head = json.dumps({"generation": normal.generation, "sigma": _short(normal.sigma)})
    return "\n".join([head, "Mean:", *knobs, "Covariance:", *rows])


def _normal(sampler: CmaEsSampler, study: optuna.Study, drawn: FrozenTrial) -> Normal | None:
    space = sampler.infer_relative_search_space(study, drawn)
    completed = [one for one in sampler._get_trials(study) if one.number != drawn.number]
    if not space or not any(one.state == TrialState.COMPLETE for one in completed):
        return None
    unit = _SearchSpaceTransform(space, transform_step=True, transform_0_1=True)
    # What this very ask has learned is in the attributes of its own trial.
    algorithm = sampler._restore_optimizer([*completed, drawn])
    if algorithm is None:
        algorithm = sampler._init_optimizer(unit, study.direction)
    raw = _SearchSpaceTransform(space, transform_step=True).bounds
    low, width = raw[:, 0], raw[:, 1] - raw[:, 0]
    log = tuple(name for name, knob in space.items() if getattr(knob, "log", False))
    middle = low + algorithm.mean * width
    spread = algorithm._sigma**2 * algorithm._C * np.outer(width, width)
    return Normal(
        knobs=tuple(space),
        log=log,
        mean=tuple(
            float(np.exp(at)) if name in log else float(at)
            for name, at in zip(space, middle, strict=True)
        ),
        sigma=float(algorithm._sigma),
        covariance=tuple(tuple(map(float, row)) for row in spread),
        generation=int(algorithm.generation),
    )


def _short(value: float) -> float:
    return float(f"{value:.4g}")
