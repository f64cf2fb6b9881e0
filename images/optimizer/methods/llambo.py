"""LLAMBO: Bayesian optimisation whose surrogate and whose candidates come from a language model.

Source: Liu et al. 2024, "Large Language Models to Enhance Bayesian Optimization", ICLR,
arXiv:2402.03921; tennisonliu/LLAMBO. Written afresh, with its figures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from models.terms import Model, Prompt
from optuna.trial import FrozenTrial

from methods.batches import UnusableError, ask_all
from methods.candidates import (
    ALPHA,
    FIRST,
    THEIR_ALPHA,
    Candidates,
    Score,
    Scored,
    Shown,
    propose_best,
    random_proposal,
    shown_setting,
)
from methods.settings import number_of, object_schema
from methods.terms import AUTOML_2026, Past, Proposal, Search

THEIR_FIRST = 1  # the study's
PREDICTIONS = 10  # of each candidate
TEMPERATURE, MAX_TOKENS = 0.7, 1024
LEAST_SPREAD = 1e-5  # upstream's, in the metric's unit: ten equal predictions are not certainty
PENALTY, FIRST_PENALTY = 0.5, 2.0  # the study's, in the unit of val_bpb
MOST = 1e12  # no metric here has such values: a larger number is no prediction
SCHEMA = object_schema({"value": {"anyOf": [{"type": "number"}, {"type": "null"}]}})


@dataclass(frozen=True)
class Prediction:
    """What a model expects of a setting: a value, or None where it expects a failure."""

    value: float | None


@dataclass(frozen=True)
class Predicted:
    """Several predictions of one setting, summed up.

    Attributes:
        mean: of them all; a failure counts as the worst value that was measured.
        spread: the standard deviation (divided by n) of those that are numbers.
    """

    mean: float
    spread: float


class Llambo:
    """Asks for candidates that reach a target, predicts each ten times, and runs the best of them.

    The target is better than the best value by a fifth of the range of what was measured. The best
    candidate is that of the highest expected improvement, by the mean and the spread of its ten
    predictions. A trial takes 110 requests, and at most 140 where candidates are asked for again.
    The first five settings are the default and four random ones, those of the sampler `random` with
    the same seed; upstream, too, starts from five that all its baselines share, and asks its
    model for first settings in another experiment only.

    Failures are shown as failures, with no value. A prediction may be that a setting fails. It then
    counts as the worst value that was measured, in the mean.

    Of the study `automl-2026` are kept, where `as_published` names it: the model is asked from
    trial 1 on. The target is *worse* than the best by a fifth of the range: alpha is −0.2 in an
    equation in which it must be above 0 to ask for more than the best. A failure has an invented
    value, 0.5 worse than any measured until then, which also stretches that range. Not kept is
    that unusable answers became a random setting without a word.

    Args:
        search: what does not change.
    """

    def __init__(self, search: Search) -> None:
        self._search = search

    def propose(
        self,
        number: int,
        past: Sequence[Past],
        trials: Sequence[FrozenTrial],  # noqa: ARG002 # for methods with an inner sampler
        model: Model,
    ) -> Proposal:
        """See `Method`."""
        search, theirs = self._search, self._search.as_published == AUTOML_2026
        seen = penalised(past, minimize=search.minimize) if theirs else past
        shown = Shown(search, tuple(seen))
        if number < (THEIR_FIRST if theirs else FIRST) or not shown.values:
            return random_proposal(search, number, past)
        return propose_best(shown, number, THEIR_ALPHA if theirs else ALPHA, model, _scores)


def summed_up(predictions: Sequence[Prediction], worst: float) -> Predicted | None:
    """The mean and the spread of a setting's predictions; None where there are none.

    A predicted failure moves the mean and not the spread. In the spread it would look like promise:
    of a setting that fails half the time, expected improvement would see the wide half below.

    Args:
        predictions: those that could be read.
        worst: the worst value that was measured, which stands for a failure.
    """
    if not predictions:
        return None
    numbers = [one.value for one in predictions if one.value is not None]
    failures = len(predictions) - len(numbers)
    mean = (sum(numbers) + failures * worst) / len(predictions)
    return Predicted(mean, max(_deviation(numbers), LEAST_SPREAD))


def expected_improvement(predicted: Predicted, best: float, *, minimize: bool) -> float:
    """By how much a setting is expected to beat the best one, if its value is normal.

    E[max(0, I)] for I ~ N(δ, s²) is δ·Φ(δ/s) + s·φ(δ/s), where δ is by how much the mean beats the
    best. It is 0 or more, in the metric's unit.

    Source: Jones, Schonlau, Welch 1998, "Efficient Global Optimization of Expensive Black-Box
        Functions", equation 15.
    """
    better = improvement(predicted, best, minimize=minimize)
    z = better / predicted.spread
    below = 0.5 * math.erfc(-z / math.sqrt(2))
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return max(0.0, better * below + predicted.spread * density)


def improvement(predicted: Predicted, best: float, *, minimize: bool) -> float:
    """By how much the mean beats the best value; below 0 where it does not."""
    return best - predicted.mean if minimize else predicted.mean - best


def _deviation(numbers: Sequence[float]) -> float:
    if not numbers:
        return 0.0
    mean = sum(numbers) / len(numbers)
    return math.sqrt(sum((one - mean) ** 2 for one in numbers) / len(numbers))


def penalised(past: Sequence[Past], *, minimize: bool) -> list[Past]:
    """The trials as the study shows them: a failure with an invented value.

    It is 0.5 worse than the worst that was measured before it, or 2.0 before anything was.

    Source: `tell` in llambo_original_backend.py of ferreirafabio/autoresearch-automl.
    """
    worse, worst = (1.0 if minimize else -1.0), None
    found = []
    for one in past:
        if one.status == "failed":
            value = worse * FIRST_PENALTY if worst is None else worst + worse * PENALTY
            found.append(replace(one, status="ok", value=value))
            continue
        found.append(one)
        if one.status == "ok" and one.value is not None:
            worst = one.value if worst is None else worse * max(worse * worst, worse * one.value)
    return found


def _scores(shown: Shown, candidates: Candidates, model: Model) -> Scored:
    """The expected improvement of each candidate; where that is the same, its mean counts."""
    asked = [
        Prompt("prediction", text, MAX_TOKENS, TEMPERATURE, SCHEMA)
        for setting in candidates.settings
        for text in [shown.prompt("prediction", setting=shown_setting(setting.knobs))] * PREDICTIONS
    ]
    said, replies = ask_all(model, asked, _prediction)
    values, minimize = shown.values, shown.search.minimize
    scores: list[Score | None] = []
    for first in range(0, len(said), PREDICTIONS):
        its = [one for one in said[first : first + PREDICTIONS] if one is not None]
        predicted = summed_up(its, worst=values[-1])
        if predicted is None:
            scores.append(None)
            continue
        expected = expected_improvement(predicted, values[0], minimize=minimize)
        scores.append((expected, improvement(predicted, values[0], minimize=minimize)))
    return scores, replies


def _prediction(said: Mapping[str, Any]) -> Prediction:
    """What an object predicts: a number, or that training fails.

    Raises:
        UnusableError: it says neither.
    """
    value = said.get("value", "")
    if value is None or (isinstance(value, str) and value.strip().lower() in ("fails", "failed")):
        return Prediction(None)
    number = number_of(value)
    if number is None or abs(number) > MOST:
        raise UnusableError("no number")
    return Prediction(number)
