"""Asks a model many prompts side by side, and keeps account of what came back.

Invariant: whatever the answers are, each is either read or dropped, and what is dropped is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from models.answers import BadAnswerError, read_json
from models.terms import Answer, Model, NoAnswer, Prompt

Read = TypeVar("Read")
NO_ANSWER = "no answer"
MAX_REASON_CHARS = 200


class UnusableError(Exception):
    """An object of JSON that does not say what was asked for; the text says in what way."""


@dataclass(frozen=True)
class Replies:
    """The account of several requests.

    Attributes:
        requests: the gateway's names of them, where it gave one.
        repairs: what was mended ("fence") and what was dropped ("candidate out of range"): one
            entry each time.
        asked: how many requests there were.
        answered: how many of them were answered at all.
        reason: why the first that was of no use was so; "" where all were.
    """

    requests: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()
    asked: int = 0
    answered: int = 0
    reason: str = ""

    def __add__(self, other: Replies) -> Replies:
        return Replies(
            self.requests + other.requests,
            self.repairs + other.repairs,
            self.asked + other.asked,
            self.answered + other.answered,
            self.reason or other.reason,
        )


def ask_all(
    model: Model, prompts: Sequence[Prompt], read: Callable[[Mapping[str, Any]], Read]
) -> tuple[list[Read | None], Replies]:
    """What each prompt's answer says, in the order of the prompts; None for one of no use.

    Args:
        model: what is asked.
        prompts: asked side by side; each wants an object of JSON.
        read: what an object says; raises `UnusableError` where it says nothing of use.

    Raises:
        OutOfBudgetError: the run may not ask its model any more.
    """
    values: list[Read | None] = []
    account = Replies()
    for prompt, answer in zip(prompts, model.ask(prompts), strict=True):
        value, one = _read(answer, prompt.purpose, read)
        values.append(value)
        account += one
    return values, account


def counted(repairs: Sequence[str]) -> tuple[str, ...]:
    """Each kind once, with how often it was where that is more than once: "fence (12)".

    A trial has some 110 answers, and the ledger takes a few names.
    """
    times = Counter(repairs)
    return tuple(kind if times[kind] == 1 else f"{kind} ({times[kind]})" for kind in times)


def _read(
    answer: Answer | NoAnswer, purpose: str, read: Callable[[Mapping[str, Any]], Read]
) -> tuple[Read | None, Replies]:
    requests = (answer.request,) if answer.request else ()
    if isinstance(answer, NoAnswer):
        repairs = (f"{purpose}: {NO_ANSWER}",)
        return None, Replies(requests, repairs, 1, 0, answer.reason[:MAX_REASON_CHARS])
    try:
        found = read_json(answer.text, wanted=dict)
        return read(found.value), Replies(requests, tuple(found.repairs), 1, 1)
    except BadAnswerError as error:
        reason = str(error)[:MAX_REASON_CHARS]
        return None, Replies(requests, (f"{purpose}: unreadable",), 1, 1, reason)
    except UnusableError as error:
        return None, Replies(requests, (f"{purpose}: {error}",), 1, 1, f"{purpose}: {error}")
