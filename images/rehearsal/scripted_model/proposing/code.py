"""Edits of a train.py: one constant at a time, and now and then another line."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .knowledge import LARGE_CODE, SMALL_CODE, SMALL_DEPTH

KNOWN_SHARE, LINE_SHARE = 0.6, 0.1
NAME = re.compile(r"[A-Z][A-Z0-9_]*$")
INTEGER, POWER = re.compile(r"-?\d{1,12}$"), re.compile(r"(\d{1,3})\*\*(\d{1,2})$")
FLOAT = re.compile(r"-?\d{1,20}\.\d{0,20}(e-?\d{1,2})?$")
TEXT = re.compile(r"\"[\w .-]{0,40}\"$|'[\w .-]{0,40}'$")
RATES = (
    "MATRIX_LR", "EMBEDDING_LR", "UNEMBEDDING_LR", "SCALAR_LR", "WEIGHT_DECAY", "WARMDOWN_RATIO",
    "FINAL_LR_FRAC",
)  # fmt: skip
FACTORS = (0.5, 0.7, 0.8, 1.25, 1.5, 2.0)
# Changes no value of the model: numbers too small for the normal format count as 0.
HARMLESS = "torch.set_flush_denormal(True)"


@dataclass(frozen=True)
class Constant:
    """A constant of a train.py: where its text is, and its value."""

    line: int
    written: str
    value: Any


def constants(text: str) -> dict[str, Constant]:
    """The constants that are assigned once to a number or a string, on one line each."""
    found: dict[str, Constant] = {}
    twice: set[str] = set()
    for place, line in enumerate(text.split("\n")):
        left, equals, right = line.partition("=")
        name = left.partition(":")[0].strip()
        written = right.partition("#")[0].strip()
        if not equals or left[:1].isspace() or not NAME.match(name):
            continue
        value = _value(written)
        twice |= {name} if name in found or value is None else set()
        found[name] = Constant(place, written, value)
    return {name: one for name, one in found.items() if name not in twice}


def edited(text: str, rng: random.Random) -> tuple[str, str]:
    """What was changed, in words, and the new text; the same text where nothing can be changed."""
    found = constants(text)
    if rng.random() < LINE_SHARE and HARMLESS not in text and "\nimport torch\n" in text:
        return "flush denormal numbers to 0 on the CPU", with_line(text, HARMLESS)
    aims = {name: aim for name, aim in known(found).items() if _differ(found[name].value, aim)}
    if aims and rng.random() < KNOWN_SHARE:
        name = rng.choice(sorted(aims))
        old = found[name].value
        new = _rounded(old + (aims[name] - old) * rng.uniform(0.6, 1.1), old)
    elif rates := [name for name in RATES if name in found and _is_number(found[name].value)]:
        name = rng.choice(rates)
        old = found[name].value
        new = _rounded(old * rng.choice(FACTORS) or rng.choice((0.02, 0.05, 0.1)), old)
    else:
        return _any_number(text, found, rng)
    return f"{name} from {old} to {new}", replaced(text, found[name], new)


def known(found: Mapping[str, Constant]) -> dict[str, Any]:
    """The good values of those constants of which something is known, in train.py's units."""
    depth = found["DEPTH"].value if "DEPTH" in found else None
    small = isinstance(depth, int) and depth <= SMALL_DEPTH // 2
    table = SMALL_CODE if small else LARGE_CODE
    return {
        name: aim for name, aim in table.items() if name in found and _is_number(found[name].value)
    }


def replaced(text: str, constant: Constant, new: object) -> str:
    """The text with another value of a constant."""
    lines = text.split("\n")
    left, equals, right = lines[constant.line].partition("=")
    lines[constant.line] = left + equals + right.replace(constant.written, repr(new), 1)
    return "\n".join(lines)


def _any_number(text: str, found: Mapping[str, Constant], rng: random.Random) -> tuple[str, str]:
    numbers = [name for name, one in found.items() if isinstance(one.value, float)]
    if not numbers:
        return "nothing that is worth a try", text
    name = rng.choice(numbers)
    old = found[name].value
    new = _rounded(old * rng.choice(FACTORS), old)
    return f"{name} from {old} to {new}", replaced(text, found[name], new)


def with_line(text: str, line: str) -> str:
    """The text with another line before its first constant, where all is imported."""
    at = min((one.line for one in constants(text).values()), default=0)
    lines = text.split("\n")
    return "\n".join([*lines[:at], line, *lines[at:]])


def _value(written: str) -> Any:
    """The value of a literal number, a power or a string; None for anything else."""
    written = written.replace("_", "") if written[:1].isdigit() else written
    if INTEGER.match(written):
        return int(written)
    if FLOAT.match(written):
        return float(written)
    if power := POWER.match(written):
        return int(power[1]) ** int(power[2])
    return written[1:-1] if TEXT.match(written) else None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float))


def _differ(old: Any, aim: float) -> bool:
    return bool(abs(old - aim) > 0.03 * abs(aim))


def _rounded(value: float, old: float) -> int | float:
    return max(1, round(value)) if isinstance(old, int) else float(f"{value:.4g}")
