"""llm-space: a model reads train.py once and proposes the search space; then a sampler searches it.

What it proposes is held against the text: a knob must be an ALL_CAPS constant of train.py, its type
is that constant's, and its default is the constant's value, so that trial 0 is the unchanged file
for this contestant too. What does not hold is left out and named. A seed is no knob.

Source: ours. The studies had spaces that a model wrote, made by hand from its words; random search
in such a space came near to all others (notes on the Orze campaign).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import constants
from model_config import MAX_CHANGE_CHARS, MAX_NAME_CHARS
from models.answers import BadAnswerError
from models.terms import Model, Prompt
from optuna.trial import FrozenTrial
from space import Knob, SpaceError, parse_space
from start_config import KnobRange

from methods.asking import ask_for
from methods.context import fill
from methods.fallbacks import GaveUpError
from methods.settings import UNKNOWN, number_of
from methods.terms import DEFAULT, Past, Proposal, Search

FEWEST_KNOBS, MOST_KNOBS, MOST_CHOICES, MOST_NAMED = 2, 40, 64, 60
MAX_TOKENS, TEMPERATURE = 8192, 0.7
LARGEST, MOST_STEPS = 1e15, 1e6  # beyond these no sampler can work with a range
TYPES: dict[type, Literal["int", "float"]] = {int: "int", float: "float"}


@dataclass(frozen=True)
class Read:
    """A space as it was read.

    Attributes:
        space: knob → its range.
        changed: knob → "unknown", or "left out: " and why.
    """

    space: dict[str, KnobRange]
    changed: dict[str, str]


@dataclass(frozen=True)
class ProposedSpace:
    """What came of asking for a space.

    Attributes:
        space: knob → its range.
        proposal: that of trial 0.
    """

    space: dict[str, KnobRange]
    proposal: Proposal


class SamplerAlone:
    """Leaves every trial to the sampler; see `Method` in terms.py.

    Args:
        inner: its name.
    """

    def __init__(self, inner: str) -> None:
        self._inner = inner

    def propose(
        self, number: int, past: Sequence[Past], trials: Sequence[FrozenTrial], model: Model
    ) -> Proposal:
        """A place for the sampler's setting."""
        del number, past, trials, model
        return Proposal(self._inner)


def propose_space(search: Search, train_py: str, model: Model) -> ProposedSpace:
    """The space that a model proposes for a train.py.

    Args:
        search: what does not change; its space is the task's own, which the model is not shown.
        train_py: the text with which every contestant begins.
        model: what is asked.

    Raises:
        OutOfBudgetError: the run may not ask its model any more.
        UselessModelError: the provider serves this run no model.
        GaveUpError: the model gave no space that can be searched.
        ConstantsError: train.py does not parse.
    """
    values = constants.read(train_py)
    text = fill(
        search, "space", train_py=train_py, fewest=FEWEST_KNOBS, most=MOST_KNOBS
    )  # fmt: skip
    prompt = Prompt("space", text, MAX_TOKENS, TEMPERATURE)  # free names have no strict schema
    asked = ask_for(model, prompt, lambda value: _usable_space(value, values))
    if asked.value is None:
        raise GaveUpError(f"the model gave no space that can be searched: {asked.why}")
    read = asked.value
    proposal = Proposal(
        DEFAULT, requests=asked.requests, changed=read.changed, repairs=asked.repairs
    )
    return ProposedSpace(read.space, proposal)


def read_space(said: Mapping[str, Any], values: Mapping[str, Any]) -> Read:
    """The knobs of an object that can be searched, and what was left out.

    Args:
        said: knob → {type, low, high, log, choices}, as a model wrote it.
        values: the constants of train.py.
    """
    space: dict[str, KnobRange] = {}
    changed: dict[str, str] = {}
    for name, fields in said.items():
        fault = UNKNOWN if name not in values else ""
        if not fault and len(space) == MOST_KNOBS:
            fault = f"left out: there are {MOST_KNOBS} knobs before it"
        if not fault:
            try:
                space[name] = _range(name, fields, values[name])
            except SpaceError as error:
                fault = f"left out: {error.fault}"
        if fault and len(changed) < MOST_NAMED:
            changed[name[:MAX_NAME_CHARS]] = fault[:MAX_CHANGE_CHARS]
    return Read(space, changed)


def described(space: Sequence[Knob]) -> str:
    """The space as a person reads it in a log: `DEPTH 4…12, MATRIX_LR 0.01…0.1 log`."""
    return ", ".join(f"{knob.name} {_range_words(knob)}" for knob in space)


def _usable_space(said: Mapping[str, Any], values: Mapping[str, Any]) -> Read:
    """The space.

    Raises:
        BadAnswerError: fewer knobs than `FEWEST_KNOBS` can be searched.
    """
    read = read_space(said, values)
    if len(read.space) < FEWEST_KNOBS:
        faults = "; ".join(f"{name}: {fault}" for name, fault in list(read.changed.items())[:3])
        raise BadAnswerError(
            f"of the proposed knobs {len(read.space)} can be searched, at least {FEWEST_KNOBS} are "
            f"needed{f' ({faults})' if faults else ''}"
        )
    return read


def _range(name: str, fields: Any, value: Any) -> KnobRange:
    """The range of one knob, checked by itself.

    Raises:
        SpaceError: it cannot be searched.
    """
    if not isinstance(fields, Mapping):
        raise _fault(name, "it is no object")
    if "SEED" in name.split("_"):
        raise _fault(name, "a seed is the same for every contestant")
    if not isinstance(value, (bool, int, float, str)):
        raise _fault(name, f"it is a {type(value).__name__} in train.py")
    wanted, kind = fields.get("type"), TYPES.get(type(value))
    if wanted == "categorical" or (wanted is None and fields.get("choices")):
        choices = _choices(name, fields.get("choices"), value)
        made = KnobRange("categorical", value, choices=choices)
    elif kind is not None and wanted in (kind, None):
        low, high, step = (number_of(fields.get(field)) for field in ("low", "high", "step"))
        log = str(fields.get("log")).lower() in ("true", "1")
        made = KnobRange(kind, value, low, high, log, step)
        _check_size(name, made)
    else:
        raise _fault(name, f"type {wanted!s:.20} does not fit a {type(value).__name__}")
    if parse_space({name: made})[0].size() < 2:
        raise _fault(name, "it has fewer than two values")
    return made


def _check_size(name: str, made: KnobRange) -> None:
    """Refuse a range that is too large for a sampler; what else is wrong, `parse_space` finds.

    Raises:
        SpaceError: an end or the default is beyond `LARGEST`, or there are too many steps.
    """
    low, high, step = made.low or 0.0, made.high or 0.0, made.step
    default = made.default if isinstance(made.default, (int, float)) else 0.0
    if max(abs(low), abs(high), abs(default)) > LARGEST:
        raise _fault(name, f"it reaches beyond {LARGEST:g}")
    if made.type == "float" and step and abs(high - low) / abs(step) > MOST_STEPS:
        raise _fault(name, f"it has more than {MOST_STEPS:g} steps")


def _choices(name: str, said: Any, value: Any) -> tuple[Any, ...]:
    """The choices, each of the constant's own type.

    Raises:
        SpaceError: there are none, too many, or one of another type.
    """
    if not isinstance(said, list) or len(said) > MOST_CHOICES:
        raise _fault(name, f"it has no list of 2 to {MOST_CHOICES} choices")
    kind = type(value)
    fitting = [_fitting(one, kind) for one in said]
    if strange := [one for one in fitting if type(one) is not kind]:
        raise _fault(name, f"the choice {strange[0]!r:.40} is no {kind.__name__}")
    choices = tuple(dict.fromkeys(fitting))
    if len(choices) < 2:
        raise _fault(name, f"it has no list of 2 to {MOST_CHOICES} choices")
    return choices


def _fitting(choice: Any, kind: type) -> Any:
    """A choice as the constant's type, where it is that number written as the other one."""
    if type(choice) not in (int, float) or kind not in (int, float):
        return choice
    fits = abs(choice) <= LARGEST and kind(choice) == choice  # no infinity, and no NaN
    return kind(choice) if fits else str(choice)


def _fault(name: str, fault: str) -> SpaceError:
    return SpaceError(name, fault, "it is left out")


def _range_words(knob: Knob) -> str:
    if knob.type == "categorical":
        return "|".join(map(str, knob.choices))
    return f"{knob.low:g}…{knob.high:g}{' log' if knob.log else ''}"
