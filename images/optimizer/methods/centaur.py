"""centaur: CMA-ES asks every trial, and at a share of them a model may override it.

The model sees the state of CMA-ES and its next suggestion. Whatever is run is told to CMA-ES, which
counts it for its generation, so the model moves the distribution too.

Source: Centaur of autoresearch-automl: 10 trials before the first override, temperature 0.7, 16384
tokens, the best 5 and the last 20 results. Two things of its code are kept for its numbers alone
(`as_published`): the model's turn at every k-th trial, k = max(1, round(1/ratio)), which makes 0.8
all of them, and a random setting where the model fails. Here the turns are spread evenly at exactly
the ratio, and CMA-ES's own suggestion is run where the model fails.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import floor
from typing import Any

from distributions import distribution
from models.terms import Model, Prompt
from optuna.samplers import CmaEsSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from samplers.as_published import failure_value
from samplers.covariance import Look, look, shown_normal
from space import effective

from methods.asking import ask_for, by_model, fallback, usable_setting
from methods.context import fill, shown_best, shown_results
from methods.settings import random_settings, setting_schema
from methods.terms import AUTOML_2026, Past, Proposal, Search

CMAES = "cmaes"
WARM_UP_TRIALS = 10
TEMPERATURE, MAX_TOKENS = 0.7, 16384


class Centaur:
    """CMA-ES and a model by turns; see `Method` in terms.py.

    Args:
        search: what does not change.
        ratio: the share of the trials at which the model is asked, from 0 to 1.
        sampler_of: the CMA-ES of the study, from the run's seed and a trial's number.
    """

    def __init__(
        self, search: Search, ratio: float, sampler_of: Callable[[int, int], CmaEsSampler]
    ) -> None:
        self._search = search
        theirs = search.as_published == AUTOML_2026
        self._is_models = published_turn if theirs else model_turn
        self._toward = StudyDirection.MINIMIZE if search.minimize else StudyDirection.MAXIMIZE
        is_told = f"is told the value {failure_value(self._toward):g} in its place"
        self._learns = is_told if theirs else "learns nothing from it"
        self._is_random = theirs  # where the model fails
        self._ratio = ratio
        self._sampler_of = sampler_of
        self._space = {knob.name: distribution(knob) for knob in search.space}

    def propose(
        self, number: int, past: Sequence[Past], trials: Sequence[FrozenTrial], model: Model
    ) -> Proposal:
        """CMA-ES's own setting, or the model's where it has the turn and differs."""
        search = self._search
        if not self._is_models(number, self._ratio):
            return Proposal(CMAES)
        seen = look(self._sampler_of(search.seed, number), self._toward, trials, self._space)
        suggestion = effective(search.space, seen.suggestion)
        prompt = self._prompt(number, past, seen, suggestion)
        asked = ask_for(model, prompt, lambda value: usable_setting(value, search.space))
        if asked.value is None:
            at_random = random_settings(search.space, search.seed, number)[0]
            return fallback(asked, at_random if self._is_random else None)
        if _short(asked.value.knobs) == _short(suggestion):
            return Proposal(CMAES, None, asked.requests, asked.value.changed, asked.repairs)
        return by_model(asked, asked.value, past)

    def _prompt(
        self, number: int, past: Sequence[Past], seen: Look, suggestion: dict[str, Any]
    ) -> Prompt:
        search = self._search
        text = fill(
            search, "override",
            number=number, normal=shown_normal(seen.normal), learns=self._learns,
            suggestion=json.dumps(_short(suggestion)),
            best=shown_best(search, past), results=shown_results(search, past, also_running=True),
        )  # fmt: skip
        return Prompt("override", text, MAX_TOKENS, TEMPERATURE, setting_schema(search.space))


def model_turn(number: int, ratio: float) -> bool:
    """Whether the model is asked at this trial: evenly, at exactly the ratio after the warm-up.

    Of the first n trials after the warm-up, ⌊n · ratio⌋ are the model's.
    """
    after, share = number - WARM_UP_TRIALS, Fraction(str(ratio))
    return after >= 0 and floor((after + 1) * share) > floor(after * share)


def published_turn(number: int, ratio: float) -> bool:
    """Whether the study's code asks the model at this trial, which is more often than the ratio."""
    return number >= WARM_UP_TRIALS and ratio > 0 and number % max(1, round(1 / ratio)) == 0


def _short(knobs: dict[str, Any]) -> dict[str, Any]:
    """The setting as the prompt shows it, to six digits: a model that repeats it confirms it."""
    return {
        name: float(f"{value:.6g}") if isinstance(value, float) else value
        for name, value in knobs.items()
    }
