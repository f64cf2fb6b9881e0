"""What every prompt shows of a search: its space and its results, the same for each method.

It is bounded: a space has one line a knob, and of the results only the last and the best are shown.
Both are JSON, one object a line, because models read and write that most reliably.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from string import Template
from typing import Any

from space import Knob

from methods.terms import Past, Search

LAST_SHOWN, BEST_SHOWN = 20, 5


def fill(search: Search, name: str, **values: object) -> str:
    """The template of that name, filled in with these values and those of every prompt.

    Raises:
        KeyError: there is no such template, or it names a value that is not given.
    """
    given = {
        "task": search.task,
        "metric": search.metric,
        "lower": "lower" if search.minimize else "higher",
        "lowest": "lowest" if search.minimize else "highest",
        "trial_seconds": f"{search.trial_seconds:g}",
        "machine": search.machine,
        "space": shown_space(search.space),
    }
    return Template(search.prompts[name]).substitute(given, **values)


def shown_space(space: Sequence[Knob]) -> str:
    """One line of JSON for each knob."""
    return "\n".join(json.dumps({knob.name: _range(knob)}) for knob in space)


def shown_results(
    search: Search, past: Sequence[Past], last: int = LAST_SHOWN, *, also_running: bool = False
) -> str:
    """The last results, oldest first, one line of JSON each; a sentence where there is none.

    Args:
        search: what does not change.
        past: all earlier trials.
        last: how many of those that ended are shown.
        also_running: show those under way after them, so that none is proposed again.
    """
    finished = [one for one in past if one.status != "running"]
    running = [one for one in past if one.status == "running"] if also_running else []
    return "\n".join(_line(search, one) for one in [*finished[-last:], *running]) or "None yet."


def shown_best(search: Search, past: Sequence[Past], best: int = BEST_SHOWN) -> str:
    """The best results, the best one first."""
    return "\n".join(_line(search, one) for one in ranked(search, past)[:best]) or "None yet."


def ranked(search: Search, past: Sequence[Past]) -> list[Past]:
    """The trials that ended well, the best one first; of equals, the earlier one."""
    whole = [one for one in past if one.status == "ok" and one.value is not None]
    return sorted(whole, key=lambda one: (one.value or 0.0) * (1 if search.minimize else -1))


def _line(search: Search, one: Past) -> str:
    """One result; its status where it is no measurement of the whole training."""
    whole = one.status == "ok" and one.value is not None
    value: float | str = float(f"{one.value:.6g}") if whole else one.status
    return json.dumps({"trial": one.number, search.metric: value, "knobs": one.knobs})


def _range(knob: Knob) -> Mapping[str, Any]:
    if knob.type == "categorical":
        shown: dict[str, Any] = {"type": knob.type, "choices": list(knob.choices)}
    else:
        number = int if knob.type == "int" else float
        shown = {"type": knob.type, "low": number(knob.low), "high": number(knob.high)}
        shown |= {"log": True} if knob.log else {}
        shown |= {"step": knob.step} if knob.step is not None else {}
    shown["default"] = knob.default
    if knob.when is not None:
        shown["only when"] = {knob.when.knob: list(knob.when.values)}
    return shown
