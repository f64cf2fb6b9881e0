"""What the scripted model knows: about where good values of the constants of train.py are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .reading import Range, Request, number

SMALL_DEPTH = 8  # a space that ends here, or a train.py of half of it, is for a CPU

# Optima of benchmarks/baselines/objective.py, whose ranges are [large] of search_space.toml.
LARGE: Mapping[str, Any] = {
    "DEPTH": 20, "ASPECT_RATIO": 94, "HEAD_DIM": 128, "DEVICE_BATCH_SIZE": 100,
    "TOTAL_BATCH_SIZE": 155_872, "EMBEDDING_LR": 0.14, "UNEMBEDDING_LR": 0.0063,
    "MATRIX_LR": 0.015, "SCALAR_LR": 0.32, "WEIGHT_DECAY": 0.125, "WARMUP_RATIO": 0.045,
    "WARMDOWN_RATIO": 0.625, "FINAL_LR_FRAC": 0.04, "WINDOW_PATTERN": "SSSL",
}  # fmt: skip
# Measured on pystdlib on two cores (benchmarks/trainer/knobs.py): these win by more than the noise.
SMALL: Mapping[str, Any] = {
    "DEPTH": 2, "ASPECT_RATIO": 64, "MATRIX_LR": 0.08, "EMBEDDING_LR": 1.0,
}  # fmt: skip
# What agents that edited train.py on a large GPU ended with.
LARGE_CODE: Mapping[str, Any] = {
    "DEPTH": 9, "TOTAL_BATCH_SIZE": 2**18, "EMBEDDING_LR": 0.9, "UNEMBEDDING_LR": 0.005,
    "WARMDOWN_RATIO": 0.75, "FINAL_LR_FRAC": 0.05,
}  # fmt: skip
# In trainings of a few seconds the number of steps counts most: half the depth, the same ratio.
SMALL_CODE: Mapping[str, Any] = {"DEPTH": 2, "MATRIX_LR": 0.08, "EMBEDDING_LR": 1.0}


def best(request: Request) -> Mapping[str, Any]:
    """The knobs of the best result; empty where none has a value."""
    whole = [one for one in request.results if one.value is not None]
    sign = -1 if request.higher else 1
    return min(whole, key=lambda one: sign * (one.value or 0.0)).knobs if whole else {}


def aims(request: Request) -> dict[str, Any]:
    """A good value for every knob: the known one, else the best result's, else the default."""
    depth = request.space.get("DEPTH")
    known = SMALL if depth is not None and depth.high <= SMALL_DEPTH else LARGE
    found = best(request)
    return {
        name: _first_valid(knob, known.get(name), found.get(name), knob.default)
        for name, knob in request.space.items()
    }


def is_known(name: str) -> bool:
    """Whether something is known of a knob whatever the results."""
    return name in LARGE


def _first_valid(knob: Range, *values: object) -> Any:
    for value in values:
        if knob.type == "categorical":
            if value in knob.choices:
                return value
        elif (real := number(value)) is not None:
            inside = min(max(real, knob.low), knob.high)
            return round(inside) if knob.type == "int" else inside
    if knob.type == "categorical":
        return knob.choices[0]
    middle = (knob.low + knob.high) / 2
    return round(middle) if knob.type == "int" else middle
