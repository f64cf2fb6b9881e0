"""LLAMBO as OptunaHub has it: the surrogate says how likely a setting is among the best fifth.

Source: package/samplers/llambo of optuna/optunahub-registry (its `generative` surrogate), and how
autoresearch-automl describes it. Written afresh.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from models.terms import Model, Prompt
from optuna.trial import FrozenTrial
from space import effective

from methods.batches import UnusableError, ask_all
from methods.candidates import (
    ALPHA,
    FIRST,
    THEIR_ALPHA,
    Candidates,
    Scored,
    Shown,
    propose_best,
    random_proposal,
    shown_setting,
)
from methods.settings import is_duplicate, number_of, object_schema
from methods.terms import AUTOML_2026, Past, Proposal, Search

TOP = 0.2  # the share of the trials that is among the best
LABELS = 10  # of each candidate
THEIR_FIRST = 2  # the study's
TEMPERATURE, MAX_TOKENS = 0.7, 1024
SCHEMA = object_schema({"probability": {"type": "number"}})


class LlamboOptuna:
    """Asks for candidates as `Llambo` does, and runs the likeliest to be among the best 20 %.

    Each candidate gets ten probabilities, and the highest mean counts. So a trial takes as many
    requests as one of `Llambo`. The hub's sampler takes two orders of its examples in place of ten
    answers, and shows labels in place of values; here the model sees the values and the boundary.

    Two weaknesses of the hub's are mended, and kept where `as_published` names `automl-2026`: its
    model sees no categorical knob, which is drawn at random, and no failure. Then the model is also
    asked from trial 2 on, with the target of the study (see `Llambo`). The study's code in fact
    chooses the hub's surrogate of numbers, not the one that its text describes, which is this one.

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
        if self._search.as_published == AUTOML_2026:
            return self._as_published(number, past, model)
        shown = Shown(self._search, tuple(past))
        if number < FIRST or not shown.values:
            return random_proposal(self._search, number, past)
        return propose_best(shown, number, ALPHA, model, _scores)

    def _as_published(self, number: int, past: Sequence[Past], model: Model) -> Proposal:
        """The model chooses the numbers, by the trials that ended well; chance the rest."""
        random = random_proposal(self._search, number, past)
        shown = only_numbers(self._search, past)
        if number < THEIR_FIRST or not shown.values or not shown.search.space:
            return random
        found = propose_best(shown, number, THEIR_ALPHA, model, _scores)
        both = (random.knobs or {}) | (found.knobs or {})
        knobs = effective(self._search.space, both)
        return replace(found, knobs=knobs, duplicate=is_duplicate(knobs, past))


def only_numbers(search: Search, past: Sequence[Past]) -> Shown:
    """The search as the hub's sampler shows it: no categorical knob, and no failure."""
    space = tuple(replace(knob, when=None) for knob in search.space if knob.type != "categorical")
    names = {knob.name for knob in space}
    seen = [
        replace(one, knobs={name: one.knobs[name] for name in one.knobs if name in names})
        for one in past
        if one.status == "ok"
    ]
    return Shown(replace(search, space=space), tuple(seen))


def boundary_of(values: Sequence[float]) -> float:
    """The worst value of the best fifth, which has one at least.

    Args:
        values: what was measured, the best one first.
    """
    return values[math.ceil(TOP * len(values)) - 1]


def _scores(shown: Shown, candidates: Candidates, model: Model) -> Scored:
    """The mean probability of each candidate."""
    boundary = f"{boundary_of(shown.values):.6g}"
    asked = [
        Prompt("label", text, MAX_TOKENS, TEMPERATURE, SCHEMA)
        for setting in candidates.settings
        for text in [
            shown.prompt("label", setting=shown_setting(setting.knobs), boundary=boundary)
        ] * LABELS
    ]  # fmt: skip
    said, replies = ask_all(model, asked, _probability)
    groups = [said[first : first + LABELS] for first in range(0, len(said), LABELS)]
    known = [[one for one in group if one is not None] for group in groups]
    return [(sum(its) / len(its),) if its else None for its in known], replies


def _probability(said: Mapping[str, Any]) -> float:
    """The probability that an object says.

    Raises:
        UnusableError: it says no number from 0 to 1.
    """
    number = number_of(said.get("probability"))
    if number is None or not 0 <= number <= 1:
        raise UnusableError("no probability")
    return number
