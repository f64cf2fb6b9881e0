"""A made-up training: values of settings of the 14 knobs of `[large]`, with noise and failures.

It has the shape of what the studies report. Learning rates have optima on a logarithmic scale, and
two of them go together. Wide and deep models are better until they no longer fit into memory. Some
knobs matter little. Nothing is taken from a real training. Standard library only: the optimizer's
image runs it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

NOISE = 0.003  # standard deviation of what is measured
MEMORY = 5.1  # what fits
DIVERGES = 0.94  # of the range of MATRIX_LR, on its logarithmic scale
BEST = {  # knob → where in its range its optimum is, and what the whole range away from it costs
    "HEAD_DIM": (0.5, 0.01),
    "DEVICE_BATCH_SIZE": (0.6, 0.005),
    "TOTAL_BATCH_SIZE": (0.25, 0.10),
    "EMBEDDING_LR": (0.50, 0.06),
    "UNEMBEDDING_LR": (0.55, 0.05),
    "MATRIX_LR": (0.30, 0.20),
    "SCALAR_LR": (0.5, 0.01),
    "WEIGHT_DECAY": (0.25, 0.04),
    "WARMUP_RATIO": (0.15, 0.02),
    "WARMDOWN_RATIO": (0.75, 0.06),
    "FINAL_LR_FRAC": (0.2, 0.02),
}
PATTERNS = {"SSSL": 0.0, "SSLL": 0.004, "SLSL": 0.006, "LSSL": 0.008, "SSSS": 0.015, "LLLL": 0.02}
TOGETHER = 0.10  # what it costs when the rates of matrices and embeddings move apart
SIZE_GAIN = 0.08
Space = Mapping[str, Mapping[str, Any]]


def place(knob: Mapping[str, Any], value: float) -> float:
    """Where a value lies in its knob's range, from 0 to 1, on its scale."""
    low, high = float(knob["low"]), float(knob["high"])
    if knob.get("log"):
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low)


def true_value(space: Space, knobs: Mapping[str, Any]) -> float | None:
    """The value without noise, to be minimised; None where the training fails.

    Args:
        space: knob → range, as `trainer/search_space.toml` has it.
        knobs: a setting of it.
    """
    at = {name: place(space[name], knobs[name]) for name in space if name != "WINDOW_PATTERN"}
    size = math.log2(knobs["DEPTH"] * knobs["ASPECT_RATIO"] / 256)  # 0 to 3.6
    batch = math.log2(knobs["DEVICE_BATCH_SIZE"] / 32)
    if size + batch > MEMORY or at["MATRIX_LR"] > DIVERGES:
        return None
    apart = at["MATRIX_LR"] - at["EMBEDDING_LR"] + BEST["EMBEDDING_LR"][0] - BEST["MATRIX_LR"][0]
    return (
        1.0
        + sum(cost * (at[name] - best) ** 2 for name, (best, cost) in BEST.items())
        + TOGETHER * apart**2
        + SIZE_GAIN * (size / 3.6 - 0.8) ** 2
        + PATTERNS[knobs["WINDOW_PATTERN"]]
    )


def measured(space: Space, knobs: Mapping[str, Any], seed: int, number: int) -> float | None:
    """What a trial measures: the value with noise, or None for a failure.

    One training in twenty fails whatever its setting. Chance depends on seed and number alone.
    """
    chance = random.Random(f"{seed} {number}")
    value = true_value(space, knobs)
    crashes, noise = chance.random() < 0.05, chance.gauss(0.0, NOISE)
    return None if value is None or crashes else value + noise
