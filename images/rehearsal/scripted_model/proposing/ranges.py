"""A search space from the constants of a train.py: ranges about the value there and a good one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .code import constants
from .knowledge import LARGE, SMALL, SMALL_DEPTH
from .reading import Request

PATTERNS = ("SSSL", "SSLL", "SLSL", "LLLL")
SHARES = ("WARMUP_RATIO", "WARMDOWN_RATIO", "FINAL_LR_FRAC", "WEIGHT_DECAY")  # of 1
SHARE_MARGIN = 0.15
NARROW, WIDE = 2.0, 3.0  # how far a range goes beyond a good value, and where none is known
SIZE_MARGIN = 1.25  # of whole numbers: a model that is twice as large may not fit
FEW = 6  # constants of a train.py of which nothing is known


def proposed(request: Request) -> dict[str, Any]:
    """Knob → its range, as a prompt for a search space wants it."""
    found = {name: one.value for name, one in constants(request.code).items()}
    depth = found.get("DEPTH")
    small = isinstance(depth, int) and depth <= SMALL_DEPTH // 2
    names = [name for name in LARGE if name in found]
    numbers = [name for name, value in found.items() if isinstance(value, float) and value > 0]
    return {
        name: made
        for name in names or numbers[:FEW]
        if (made := _range(name, found[name], (SMALL if small else LARGE).get(name)))
    }


def _range(name: str, old: Any, good: Any) -> Mapping[str, Any] | None:
    if isinstance(old, str):
        choices = dict.fromkeys([old, *PATTERNS])
        return {"type": "categorical", "choices": list(choices)}
    if name in SHARES:
        near = old if good is None else good
        low, high = max(0.0, near - SHARE_MARGIN), min(1.0, near + SHARE_MARGIN)
        return _number("float", min(low, old), max(high, old), log=False)
    if old <= 0:
        return None
    if isinstance(old, int):
        near, margin = (old, WIDE) if good is None else (good, SIZE_MARGIN)
        low, high = max(1, round(near / margin)), max(2, round(near * margin))
        return _number("int", min(low, old), max(high, old), log=high >= 16)
    near, margin = (old, WIDE) if good is None else (good, NARROW)
    return _number("float", min(near / margin, old), max(near * margin, old), log=True)


def _number(kind: str, low: float, high: float, log: bool) -> dict[str, Any]:
    digits = int if kind == "int" else lambda value: float(f"{value:.6g}")
    return {"type": kind, "low": digits(low), "high": digits(high), "log": log}
