"""The answer to a prompt of an optimiser."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from typing import Any

from . import mishaps, ranges, settings
from .code import edited
from .reading import Request, kind_of, read

HARD_SHARE = 1 / 8  # of all answers
MIXED, GOOD, BAD, USELESS = "mixed", "good-answers", "bad-answers", "useless-answers"
QUALITIES = (GOOD, BAD, USELESS)  # beside MIXED, which needs no word

Draw = Callable[[Request, random.Random], dict[str, Any]]
HELPFUL: dict[str, Draw] = {
    "knobs": settings.setting,
    "candidates": settings.setting,
    "override": settings.override,
    "first": settings.first,
    "space": lambda request, _rng: ranges.proposed(request),
    "prediction": settings.prediction,
    "label": settings.label,
}
AT_RANDOM: dict[str, Draw] = {
    "knobs": settings.any_setting,
    "candidates": settings.any_setting,
    "override": settings.any_setting,
    "first": lambda request, rng: {
        "settings": [settings.any_setting(request, rng) for _ in range(request.count)]
    },
    "space": lambda request, _rng: ranges.proposed(request),
    "prediction": settings.any_prediction,
    "label": settings.any_label,
}


def is_asked(prompt: str) -> bool:
    """Whether a prompt is an optimiser's."""
    return bool(kind_of(prompt))


def place_of(prompt: str, before: int = 0) -> int:
    """The place of a prompt among the draws: a hash of it, without the blanks around it.

    Args:
        prompt: the whole of it.
        before: how often it was asked before; a model's answers to one prompt differ, too.
    """
    asked = f"{prompt.strip()}{before or ''}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(asked).digest()[:8])


def answer(prompt: str, seed: int, place: int, quality: str = MIXED) -> str:
    """What the model answers to a prompt that `is_asked`.

    Args:
        prompt: the whole of it.
        seed: the run's.
        place: which of the model's draws this is; another place draws another answer.
        quality: `MIXED` (helpful, a share of `HARD_SHARE` is hard to use), or all of them `GOOD`,
            `BAD` (nothing can be used) or `USELESS` (well formed, at random).

    Raises:
        ValueError: the prompt is none of an optimiser.
    """
    request = read(prompt)
    if not request.kind:
        raise ValueError("this prompt has no heading of an optimiser's")
    rng = random.Random(f"proposal {seed} {place}")
    hard = quality == BAD or (quality == MIXED and rng.random() < HARD_SHARE)
    if request.kind == "code":
        return _code(request, rng, hard, quality)
    if quality == BAD:
        return rng.choice(mishaps.UNUSABLE)
    made = (AT_RANDOM if quality == USELESS else HELPFUL)[request.kind](request, rng)
    return _hard(request, made, rng) if hard else json.dumps(made)


def _hard(request: Request, made: dict[str, Any], rng: random.Random) -> str:
    """An answer in one of the forms that make an answer hard to use."""
    form = rng.choice(("dress", "flaw", "flaw", "nothing"))
    if form == "dress":
        return rng.choice(mishaps.DRESSES)(json.dumps(made))
    if form == "flaw":
        return json.dumps(mishaps.flawed(request, made, rng))
    return rng.choice(mishaps.UNUSABLE)


def _code(request: Request, rng: random.Random, hard: bool, quality: str) -> str:
    description, text = edited(request.code, rng)
    if not hard:
        return mishaps.code_answer(description, text)
    forms = mishaps.BROKEN_CODE if quality == BAD else mishaps.HARD_CODE
    if rng.random() < 1 / 4:
        return rng.choice(mishaps.UNUSABLE)
    return rng.choice(forms)(description, text)
