"""Reads a prompt of an optimiser: what it asks for, its space, its results and its code.

The prompts are those of setup_prompts/optimisers/. Nothing in a prompt raises: what cannot be read
is left out.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

HEADINGS = {
    "# Propose the next setting": "knobs",
    "# Propose first settings": "first",
    "# Check the next setting of CMA-ES": "override",
    "# Propose a search space": "space",
    "# Propose a setting that reaches a target": "candidates",
    "# Predict the value of a setting": "prediction",
    "# Is this setting among the best": "label",
    "# Rewrite train.py": "code",
}
SETTINGS_WANTED = 5  # where the prompt does not say how many
MOST_SETTINGS = 100
LARGEST, SMALLEST, SMALLEST_STEP = 1e100, 1e-100, 1e-9
_COUNT = re.compile(r"\b(\d{1,3})\b[^.\n]{0,40}\bsettings\b")
_FENCE = re.compile(r"(`{3,})(\w*)\s*$")


@dataclass(frozen=True)
class Range:
    """The values that a knob may take.

    Attributes:
        type: int, float or categorical.
        low, high: the smallest and the largest value of a number, in its own unit.
        log: its scale is logarithmic.
        step: the distance of its grid's values; None for none.
        choices: the values of a categorical knob.
        default: the value in trial 0; None where the prompt names none that is in the range.
    """

    type: str
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    step: float | None = None
    choices: tuple[Any, ...] = ()
    default: Any = None


@dataclass(frozen=True)
class Result:
    """A line of the results: its knobs, and its value in the metric's unit (None: a failure)."""

    knobs: Mapping[str, Any]
    value: float | None


@dataclass(frozen=True)
class Request:
    """What a prompt asks for, and what it shows.

    Attributes:
        kind: a value of `HEADINGS`.
        space: the knobs and their ranges.
        results: in the order of the prompt.
        higher: whether higher values are better.
        setting: what is to be judged; empty without a section `## Setting`.
        suggestion: of the sampler; empty without a section `## Suggestion`.
        code: the text of the first fence of Python; empty for none.
        count: how many settings are wanted.
    """

    kind: str
    space: Mapping[str, Range] = field(default_factory=dict)
    results: tuple[Result, ...] = ()
    higher: bool = False
    setting: Mapping[str, Any] = field(default_factory=dict)
    suggestion: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""
    count: int = SETTINGS_WANTED


def kind_of(prompt: str) -> str:
    """What a prompt asks for; empty for one that is no optimiser's."""
    return HEADINGS.get(prompt.lstrip().partition("\n")[0].strip(), "")


def read(prompt: str) -> Request:
    """All of a prompt that the scripted model looks at."""
    plain, codes = _divided(prompt)
    objects = list(_objects(plain))
    sections = _sections(plain)
    found = _COUNT.search("\n".join(plain))
    return Request(
        kind=kind_of(prompt),
        space={name: knob for one in objects for name, knob in _ranges(one)},
        results=tuple(result for one in objects if (result := _result(one))),
        higher=_is_higher_better("\n".join(plain)),
        setting=_first_object(sections.get("setting", "")),
        suggestion=_first_object(sections.get("suggestion", "")),
        code=codes[0] if codes else "",
        count=max(1, min(int(found[1]), MOST_SETTINGS)) if found else SETTINGS_WANTED,
    )


def number(value: object) -> float | None:
    """A finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) <= LARGEST else None  # NaN is not, either


def _divided(prompt: str) -> tuple[list[str], list[str]]:
    """The lines outside the fences of Python, and the texts inside them."""
    plain: list[str] = []
    codes: list[str] = []
    inside: list[str] = []
    close = ""
    for line in prompt.split("\n"):
        opened = None if close else _FENCE.match(line)
        if close and line.rstrip() == close:
            codes.append("".join(f"{one}\n" for one in inside))
            inside, close = [], ""
        elif close:
            inside.append(line)
        elif opened and opened[2] == "python":
            close = opened[1]
        else:
            plain.append(line)
    return plain, codes


def _sections(lines: list[str]) -> dict[str, str]:
    """The text below each heading of the second level, by its title in lower case."""
    sections: dict[str, list[str]] = {}
    title = ""
    for line in lines:
        if line.startswith("## "):
            title = line[3:].strip().lower()
        else:
            sections.setdefault(title, []).append(line)
    return {title: "\n".join(text) for title, text in sections.items()}


def _objects(lines: list[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.lstrip().startswith("{") and (found := _first_object(line)):
            yield found


def _first_object(text: str) -> dict[str, Any]:
    """The first JSON object of a text; empty for none."""
    begin = text.find("{")
    if begin < 0:
        return {}
    try:
        found, _ = json.JSONDecoder().raw_decode(text, begin)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _ranges(one: Mapping[str, Any]) -> Iterator[tuple[str, Range]]:
    for name, value in one.items():
        if isinstance(value, dict) and (knob := _range(value)):
            yield name, knob


def _range(value: Mapping[str, Any]) -> Range | None:
    kind, choices = value.get("type"), value.get("choices")
    if kind == "categorical" and isinstance(choices, list) and choices:
        default = value.get("default")
        return Range(
            kind, choices=tuple(choices), default=default if default in choices else choices[0]
        )
    low, high, step = (number(value.get(name)) for name in ("low", "high", "step"))
    if kind not in ("int", "float") or low is None or high is None or low >= high:
        return None
    default = number(value.get("default"))
    return Range(
        type=kind,
        low=low,
        high=high,
        log=bool(value.get("log")) and low > SMALLEST,
        step=step if step is not None and step > (high - low) * SMALLEST_STEP else None,
        default=default if default is not None and low <= default <= high else None,
    )


def _result(one: Mapping[str, Any]) -> Result | None:
    knobs = one.get("knobs")
    if "trial" not in one or not isinstance(knobs, dict):
        return None
    values = [value for name, value in one.items() if name not in ("trial", "knobs")]
    measured = [found for value in values if (found := number(value)) is not None]
    return Result(knobs, measured[0] if measured else None)


def _is_higher_better(text: str) -> bool:
    higher = len(re.findall(r"\bhigh(?:er|est)\b", text))
    lower = len(re.findall(r"\blow(?:er|est)\b", text))
    return higher > lower


def scaled(knob: Range, value: float) -> float:
    """Where a value lies in its knob's range, from 0 to 1, on its scale; beyond it, the end."""
    value = min(max(value, knob.low), knob.high)
    if knob.log:
        return math.log(value / knob.low) / math.log(knob.high / knob.low)
    return (value - knob.low) / (knob.high - knob.low)


def at(knob: Range, place: float) -> int | float:
    """The value at a place from 0 to 1 of a knob's range, on its grid."""
    place = min(max(place, 0.0), 1.0)
    if knob.log:
        value = knob.low * (knob.high / knob.low) ** place
    else:
        value = knob.low + place * (knob.high - knob.low)
    if knob.step is not None:
        value = knob.low + round((value - knob.low) / knob.step) * knob.step
        value = value if value <= knob.high else value - knob.step
    value = min(max(value, knob.low), knob.high)
    return round(value) if knob.type == "int" else float(f"{value:.5g}")
