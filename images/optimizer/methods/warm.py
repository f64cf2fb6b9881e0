"""warm: a model proposes the first trials, and then a sampler searches.

The model is asked once, for all of them, before anything but the default has been run. Its answer
is kept with those of trial 1 and read again at each of these trials: the prompt depends on nothing
that changes. What is missing of the settings is asked for once more; then the sampler takes over.
Without a single setting the search ends before the sampler's first: it would be no contestant of
the model's.

Source: ours. That a sampler does better from a model's first settings is reported by Liu et al.
2024, arXiv:2402.03921, section 4 ("zero-shot warm-starting").
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.answers import BadAnswerError, read_json
from models.terms import Model, NoAnswer, Prompt
from optuna.trial import FrozenTrial

from methods.asking import TRIES, usable_setting
from methods.context import fill, shown_results
from methods.fallbacks import GaveUpError
from methods.settings import Setting, is_duplicate, object_schema, setting_schema
from methods.terms import FALLBACK, WARM, Past, Proposal, Search

TEMPERATURE = 0.7
TOKENS, TOKENS_A_KNOB, MOST_TOKENS = 1024, 24, 16384


@dataclass
class _Found:
    """What has come of asking so far."""

    settings: list[Setting] = field(default_factory=list)
    repairs: list[tuple[str, ...]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    why: str = ""


class Warm:
    """A model's first settings, then those of a sampler; see `Method` in terms.py.

    Args:
        search: what does not change.
        inner: the sampler's name.
        first: how many trials after trial 0 the model proposes.
    """

    def __init__(self, search: Search, inner: str, first: int) -> None:
        self._search = search
        self._inner = inner
        self._first = first

    def propose(
        self, number: int, past: Sequence[Past], trials: Sequence[FrozenTrial], model: Model
    ) -> Proposal:
        """A setting of the model's, or a place for the sampler's.

        Raises:
            GaveUpError: the model gave no setting at all, so the search would be the sampler's.
        """
        del trials
        if number > self._first:
            return Proposal(self._inner)
        found = self._ask(model)
        if not found.settings:
            raise GaveUpError(f"the model gave no first setting: {found.why}")
        if number > len(found.settings):
            had = f"the model gave {len(found.settings)} of {self._first} settings"
            why = f"{had}: {found.why}" if found.why else had
            return Proposal(FALLBACK, None, tuple(found.requests), why=why)
        setting = found.settings[number - 1]
        return Proposal(
            by=WARM,
            knobs=setting.knobs,
            requests=tuple(found.requests),
            changed=setting.changed,
            repairs=found.repairs[number - 1],
            duplicate=is_duplicate(setting.knobs, past),
        )

    def _ask(self, model: Model) -> _Found:
        """The first settings, of two requests at most."""
        found = _Found()
        for _ in range(TRIES):
            missing = self._first - len(found.settings)
            if not missing:
                break
            (answer,) = model.ask([self._prompt(missing, found.settings)])
            found.requests += [answer.request] if answer.request else []
            if isinstance(answer, NoAnswer):
                found.why = answer.reason
                continue
            try:
                said = read_json(answer.text)
                settings = _settings(said.value, self._search)[:missing]
            except BadAnswerError as error:
                found.why = str(error)
                continue
            found.settings += settings
            found.repairs += [said.repairs] * len(settings)
        return found

    def _prompt(self, count: int, had: Sequence[Setting]) -> Prompt:
        search = self._search
        wanted = TOKENS + TOKENS_A_KNOB * len(search.space) * count
        listed = {"type": "array", "items": setting_schema(search.space)}
        return Prompt(
            purpose="first",
            text=fill(
                search, "first",
                count=count, results=shown_results(search, []),
                had="\n".join(json.dumps(one.knobs) for one in had) or "None yet.",
            ),
            max_tokens=min(wanted, MOST_TOKENS),
            temperature=TEMPERATURE,
            schema=object_schema({"settings": listed}),
        )  # fmt: skip


def _settings(value: Mapping[str, Any], search: Search) -> list[Setting]:
    """The settings of an answer that can be used.

    Raises:
        BadAnswerError: there is none.
    """
    listed = value.get("settings")
    if not isinstance(listed, list):
        raise BadAnswerError("the answer has no list of settings")
    usable = []
    for one in listed:
        try:
            usable.append(usable_setting(one if isinstance(one, dict) else {}, search.space))
        except BadAnswerError:
            continue  # the next request asks for what is missing
    if not usable:
        raise BadAnswerError("none of the settings has a value for a knob")
    return usable
