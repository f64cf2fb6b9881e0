"""What a method asks a model, and what it gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Prompt:
    """One request to a model, complete in itself: no request refers to an earlier one.

    Attributes:
        purpose: what the answer is for, in one word, for records: knobs, code, candidates,
            prediction, label, override, space, first.
        text: the whole prompt; there is no system prompt and no tool.
        max_tokens: of the answer.
        temperature: of the sampling; None where the provider's default is to hold.
        schema: the JSON schema of the answer where it is to be JSON; a provider that can holds the
            model to it.
    """

    purpose: str
    text: str
    max_tokens: int
    temperature: float | None = None
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Answer:
    """What a model said.

    Attributes:
        text: all of it.
        request: the gateway's name of the request, under which `usage.jsonl` has its cost.
        cut: the answer reached `max_tokens`.
    """

    text: str
    request: str
    cut: bool = False


@dataclass(frozen=True)
class NoAnswer:
    """The model gave none; `reason` says why, for people: a refusal, an outage, a bad request."""

    reason: str
    request: str = ""


class Model(Protocol):
    """Answers prompts. The answers to one trial's prompts are kept, and repeated after a restart.

    So a method may ask again what it asked before it died; it must ask in the same order.
    """

    def ask(self, prompts: Sequence[Prompt]) -> list[Answer | NoAnswer]:
        """The answers, in the order of the prompts, which are asked side by side.

        Raises:
            OutOfBudgetError: the gateway admits no further request of this run.
            UselessModelError: the provider serves this run no model.
        """
        ...


class OutOfBudgetError(Exception):
    """The run's dollars or tokens are spent; the runner ends the run, so this ends the search."""


class UselessModelError(Exception):
    """The provider serves this run no model: an empty account, a refused key, an unknown name.

    Its text says which, for people. Nothing of it is kept, so a resumed run asks anew.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"the provider serves this run no model: {reason}")
