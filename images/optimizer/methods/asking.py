"""Asks a model for one thing, a second time where the first answer cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from models.answers import BadAnswerError, read_json
from models.terms import Model, NoAnswer, Prompt
from space import Knob

from methods.settings import DEFAULTED, Setting, is_duplicate, read_setting
from methods.terms import FALLBACK, MODEL, Past, Proposal

TRIES = 2
T = TypeVar("T")


@dataclass(frozen=True)
class Asked(Generic[T]):
    """What came of asking.

    Attributes:
        value: what was read; None where no answer could be used.
        requests: the gateway's names of the requests.
        repairs: what had to be mended in the answer that was read.
        why: why there is no value; else "".
    """

    value: T | None
    requests: tuple[str, ...]
    repairs: tuple[str, ...] = ()
    why: str = ""


def ask_for(model: Model, prompt: Prompt, read: Callable[[Mapping[str, Any]], T]) -> Asked[T]:
    """What `read` makes of the model's JSON object; the same prompt is asked twice at most.

    Args:
        model: what is asked.
        prompt: the request.
        read: makes a value of the object; it may raise a `BadAnswerError`.

    Raises:
        OutOfBudgetError: the run may not ask its model any more.
    """
    requests: list[str] = []
    why = ""
    for _ in range(TRIES):
        (answer,) = model.ask([prompt])
        if answer.request:
            requests.append(answer.request)
        if isinstance(answer, NoAnswer):
            why = answer.reason
            continue
        try:
            found = read_json(answer.text)
            return Asked(read(found.value), tuple(requests), found.repairs)
        except BadAnswerError as error:
            why = f"{error}; it was cut at {prompt.max_tokens} tokens" if answer.cut else str(error)
    return Asked(None, tuple(requests), why=why or "the model said nothing")


def usable_setting(value: Mapping[str, Any], space: tuple[Knob, ...]) -> Setting:
    """The setting that an object says.

    Raises:
        BadAnswerError: it has a value for no knob at all, so the setting would be the default.
    """
    setting = read_setting(value, space)
    if all(setting.changed.get(knob.name) == DEFAULTED for knob in space if knob.when is None):
        raise BadAnswerError("the answer has a value for no knob")
    return setting


def by_model(asked: Asked[Setting], setting: Setting, past: Sequence[Past]) -> Proposal:
    """The model's proposal of a setting that was asked for."""
    return Proposal(
        by=MODEL,
        knobs=setting.knobs,
        requests=asked.requests,
        changed=setting.changed,
        repairs=asked.repairs,
        duplicate=is_duplicate(setting.knobs, past),
    )


def fallback(asked: Asked[Any], knobs: dict[str, Any] | None = None) -> Proposal:
    """The proposal where no answer could be used.

    Args:
        asked: what came of asking.
        knobs: the setting; None: the inner sampler draws it, or chance where there is none.
    """
    return Proposal(FALLBACK, knobs, asked.requests, why=asked.why)
