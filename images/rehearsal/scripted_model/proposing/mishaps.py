"""What is wrong with some answers, as it is with those of real models.

`DRESSES` change the text of a good answer, `FLAWS` its values; the texts of `UNUSABLE` and the
ways of `BROKEN_CODE` leave nothing that can be used.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from .code import with_line
from .reading import Request

REFUSAL = "I am not able to propose this. Please tell me more about what you want to reach."
UNUSABLE = ("", REFUSAL, '{"')
NO_SUCH_KNOB = "DROPOUT"


def fenced(text: str) -> str:
    """In a fence."""
    return f"```json\n{text}\n```"


def with_prose(text: str) -> str:
    """With a sentence before and after it."""
    return f"The results so far leave this to be tried:\n\n{text}\n\nIt may well be better."


def with_trailing_comma(text: str) -> str:
    """With a comma after the last value."""
    return f"{text[:-1]},}}" if text.endswith("}") and len(text) > len("{}") else text


DRESSES: tuple[Callable[[str], str], ...] = (fenced, with_prose, with_trailing_comma)


def out_of_range(request: Request, made: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """A number of the setting is beyond its range."""
    names = [name for name in made if _is_number(request, name)]
    if not names:
        return made
    name = rng.choice(names)
    knob = request.space[name]
    beyond = knob.high + (knob.high - knob.low)
    return made | {name: round(beyond) if knob.type == "int" else beyond}


def duplicate(request: Request, made: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """The setting of an earlier result."""
    earlier = [dict(one.knobs) for one in request.results if one.knobs]
    return rng.choice(earlier) if earlier else made


def without_a_knob(_request: Request, made: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """A knob is missing."""
    missing = rng.choice(sorted(made)) if made else ""
    return {name: value for name, value in made.items() if name != missing}


def with_an_unknown_knob(
    _request: Request, made: dict[str, Any], _rng: random.Random
) -> dict[str, Any]:
    """A knob that the space does not have."""
    return made | {NO_SUCH_KNOB: 0.1}


FLAWS = (out_of_range, duplicate, without_a_knob, with_an_unknown_knob)


def flawed(request: Request, made: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """An answer with one flaw; of several settings, the last one has it."""
    flaw = rng.choice(FLAWS)
    if request.kind in ("knobs", "candidates", "override"):
        return flaw(request, made, rng)
    if request.kind == "first":
        *others, last = made["settings"]
        return {"settings": [*others, flaw(request, last, rng)]}
    if request.kind == "space":
        return made | {NO_SUCH_KNOB: {"type": "float", "low": 0.0, "high": 0.5}}
    if request.kind == "label":
        return {"probability": 1.5}
    return {"value": json.dumps(made.get("value"))}  # a number in quotes


def with_a_network(description: str, text: str) -> str:
    """Code that wants the network."""
    return code_answer(f"{description}; report it", with_line(text, "import socket"))


def that_does_not_parse(description: str, text: str) -> str:
    """Code with a slip."""
    return code_answer(description, f"{text}\nif True print('done')\n")


def without_code(description: str, _text: str) -> str:
    """Only the description."""
    return f"DESCRIPTION: {description}\n"


def without_a_fence(description: str, text: str) -> str:
    """The file as it is, which a reader may still take."""
    return f"# DESCRIPTION: {description}\n{text}"


BROKEN_CODE = (that_does_not_parse, without_code)
HARD_CODE = (*BROKEN_CODE, with_a_network, without_a_fence)


def code_answer(description: str, text: str) -> str:
    """A description and a whole file, in the form that is asked for."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"DESCRIPTION: {description}\n\n{fence}python\n{text.rstrip()}\n{fence}\n"


def _is_number(request: Request, name: str) -> bool:
    space: Mapping[str, Any] = request.space
    return name in space and space[name].type != "categorical"
