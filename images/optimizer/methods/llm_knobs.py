"""llm-knobs: a model proposes each setting, from the space and the results alone.

Source: the agent "KA (14 HPs)" of autoresearch-automl: the last 20 results and the best one, one
request a trial, temperature 0.7, 2048 tokens. Where no answer can be used, a random setting is run.
"""

from __future__ import annotations

from collections.abc import Sequence

from models.terms import Model, Prompt
from optuna.trial import FrozenTrial

from methods.asking import ask_for, by_model, fallback, usable_setting
from methods.context import fill, shown_best, shown_results
from methods.settings import setting_schema
from methods.terms import Past, Proposal, Search

TEMPERATURE, MAX_TOKENS = 0.7, 2048


class LlmKnobs:
    """One request a trial; see `Method` in terms.py."""

    def __init__(self, search: Search) -> None:
        self._search = search

    def propose(
        self, number: int, past: Sequence[Past], trials: Sequence[FrozenTrial], model: Model
    ) -> Proposal:
        """The model's setting, or a named fallback."""
        del number, trials
        search = self._search
        prompt = Prompt(
            purpose="knobs",
            text=fill(
                search, "knobs",
                results=shown_results(search, past, also_running=True),
                best=shown_best(search, past, best=1),
            ),
            max_tokens=MAX_TOKENS,
            temperature=TEMPERATURE,
            schema=setting_schema(search.space),
        )  # fmt: skip
        asked = ask_for(model, prompt, lambda value: usable_setting(value, search.space))
        if asked.value is None:
            return fallback(asked)
        return by_model(asked, asked.value, past)
