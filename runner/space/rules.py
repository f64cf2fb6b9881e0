"""The rules by which a range is proposed for a constant of train.py; docs/baselines.md has all.

The first rule that applies decides. A rule gives a range, or a reason to leave the constant out. A
proposal is where a person begins to edit: nothing in a text tells which ranges are worth searching.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from runner.space.found import Found
from runner.spec import Knob, Value

SHARES = {"RATIO", "FRAC", "FRACTION", "SHARE", "DROPOUT", "PROB", "PROBABILITY"}
AVERAGES = {"BETA", "MOMENTUM", "EMA"}
FEW, MANY = 16, 100  # powers of two from FEW on are sizes; whole numbers from MANY on have a scale


@dataclass(frozen=True)
class Proposal:
    """What a rule says of a constant: a range, or why there is none.

    Attributes:
        found: the constant.
        rule: the rule's name.
        knob: the range; None where the constant is left out.
        reason: why it is left out, or where the range comes from.
    """

    found: Found
    rule: str
    knob: Knob | None
    reason: str = ""


@dataclass(frozen=True)
class Rule:
    """A rule. `propose` gives a range, a reason to leave the constant out, or None: not mine."""

    name: str
    source: str
    propose: Callable[[Found], Knob | str | None]


def propose(found: Found, published: Mapping[str, Knob], section: str) -> Proposal:
    """The proposal for one constant.

    Args:
        found: the constant.
        published: the task's own space, which goes before all rules but that of the seed.
        section: the name of that space.
    """
    seed = _seed(found)
    if seed is not None:
        return Proposal(found, "seed", None, seed)
    known = published.get(found.name)
    if known is not None and _within(known, found):
        knob = known.model_copy(update={"default": found.value})
        return Proposal(found, "the task's own", knob, f"[{section}] of trainer/search_space.toml")
    for rule in RULES:
        said = rule.propose(found)
        if isinstance(said, Knob):
            return Proposal(found, rule.name, said, rule.source)
        if said is not None:
            return Proposal(found, rule.name, None, said)
    return Proposal(found, "no scale", None, f"{found.value} tells no scale")


def _within(knob: Knob, found: Found) -> bool:
    """Whether the constant has the type of a published knob and lies in its range."""
    value = found.value
    if knob.choices is not None:
        return value in knob.choices
    kind = int if knob.type == "int" else float
    return type(value) is kind and bool((knob.low or 0) <= value <= (knob.high or 0))


def _seed(found: Found) -> str | None:
    return "a seed is the same for every contestant" if "SEED" in found.words else None


def _fixed(found: Found) -> str | None:
    if not re.search(r"\bfixed\b", found.heading, re.IGNORECASE):
        return None
    return f"it stands under the heading {found.heading!r}"


def _truth(found: Found) -> Knob | None:
    if not isinstance(found.value, bool):
        return None
    return Knob(type="categorical", choices=[False, True], default=found.value)


def _words(found: Found) -> Knob | str | None:
    if not isinstance(found.value, str):
        return None
    if len(found.alternatives) < 2:
        return "neither its comment nor a comparison in the code names another word"
    return Knob(type="categorical", choices=list(found.alternatives), default=found.value)


def _several(found: Found) -> str | None:
    if not isinstance(found.value, tuple | list):
        return None
    return "a sampler sets one number or word; give each item a constant of its own to search it"


def _learning_rate(found: Found) -> Knob | None:
    is_rate = "LR" in found.words or {"LEARNING", "RATE"} <= found.words
    return _log(found, 10) if is_rate else None


def _decay(found: Found) -> Knob | None:
    return _log(found, 10) if found.words & {"DECAY", "PENALTY"} else None


def _epsilon(found: Found) -> Knob | None:
    return _log(found, 100) if found.words & {"EPS", "EPSILON"} else None


def _average(found: Found) -> Knob | None:
    value = found.value
    if not found.words & AVERAGES or type(value) is not float or not 0 <= value <= 0.999:
        return None
    return Knob(type="float", low=0.0, high=0.999, default=value)


def _share(found: Found) -> Knob | None:
    value = found.value
    if not found.words & SHARES or type(value) is not float or not 0 <= value <= 1:
        return None
    return Knob(type="float", low=0.0, high=1.0, default=value)


def _power_of_two(found: Found) -> Knob | None:
    value = found.value
    if type(value) is not int or value < FEW or value & (value - 1):
        return None
    choices: list[Value] = [value // 4, value // 2, value, value * 2, value * 4]
    return Knob(type="categorical", choices=choices, default=value)


def _count(found: Found) -> Knob | None:
    value = found.value
    if type(value) is not int or value < 1:
        return None
    if value >= MANY:
        return Knob(type="int", low=value // 4, high=value * 4, log=True, default=value)
    high = 4 if value == 1 else value * 2
    return Knob(type="int", low=max(1, value // 2), high=high, default=value)


def _scale(found: Found) -> Knob | None:
    return _log(found, 4)


def _log(found: Found, times: int) -> Knob | None:
    """A positive float from a `times`-th of its default to `times` as much, by its logarithm."""
    value = found.value
    if type(value) is not float or not 0 < value < math.inf:
        return None
    low, high = (float(f"{end:.6g}") for end in (value / times, value * times))
    if not 0 < low <= value <= high < math.inf:
        return None
    return Knob(type="float", low=low, high=high, log=True, default=value)


CUSTOM = "a choice of this project"
RULES: tuple[Rule, ...] = (
    Rule("fixed", "", _fixed),
    Rule("truth value", "both values", _truth),
    Rule("named words", "the words in its comment or in comparisons of the code", _words),
    Rule("several values", "", _several),
    Rule("learning rate", "÷10 to ×10, log: Bengio 2012, arXiv:1206.5533", _learning_rate),
    Rule("decay", "÷10 to ×10, log: Bengio 2012, arXiv:1206.5533", _decay),
    Rule("epsilon", "÷100 to ×100, log: Choi et al. 2019, arXiv:1910.05446", _epsilon),
    Rule("moving average", f"0 to 0.999: {CUSTOM}", _average),
    Rule("share", "0 to 1: what a share can be", _share),
    Rule("power of two", "÷4 to ×4, powers of two alone: what a text begins with", _power_of_two),
    Rule("count", f"½ to twice, from {MANY} on ÷4 to ×4 and log: {CUSTOM}", _count),
    Rule("scale", "÷4 to ×4, log: Bergstra and Bengio 2012", _scale),
)
