"""Settings, predictions and labels: answers that are JSON."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Mapping
from typing import Any

from .knowledge import aims, best, is_known
from .reading import Range, Request, at, number, scaled

# Standard deviations of the errors, as shares of a knob's range.
ERROR, ERROR_UNKNOWN, ERROR_NEAR_BEST = 0.15, 0.25, 0.08
TOWARD = 0.4  # how far a step from the best result goes to the known place
CORRECTION = 0.6  # and one from a sampler's suggestion
CHOICE_DISTANCE = 0.3  # of two categorical values
AMONG_BEST = 0.2  # the share of the results that counts as the best
SLOPE = 0.05  # how soon a label changes with the distance


def setting(request: Request, rng: random.Random) -> dict[str, Any]:
    """A setting about where good ones are; half the time, from the best result towards it."""
    good, base = aims(request), best(request)
    if base and rng.random() < 0.5:
        return _between(request, base, good, TOWARD, rng)
    return {
        name: _near(knob, good[name], ERROR if is_known(name) else ERROR_UNKNOWN, rng)
        for name, knob in request.space.items()
    }


def any_setting(request: Request, rng: random.Random) -> dict[str, Any]:
    """A setting at random, which helps nobody."""
    return {name: _anywhere(knob, rng) for name, knob in request.space.items()}


def override(request: Request, rng: random.Random) -> dict[str, Any]:
    """The sampler's suggestion, moved towards where good settings are."""
    return _between(request, request.suggestion, aims(request), CORRECTION, rng)


def first(request: Request, rng: random.Random) -> dict[str, Any]:
    """As many settings as are wanted."""
    return {"settings": [setting(request, rng) for _ in range(request.count)]}


def prediction(request: Request, rng: random.Random) -> dict[str, Any]:
    """A value that grows (or falls) with the square of the distance, as the results do."""
    seen = [
        (_distance(request, one.knobs) ** 2, one.value)
        for one in request.results
        if one.value is not None
    ]
    here = _distance(request, request.setting) ** 2
    values = [value for _, value in seen]
    spread = statistics.pstdev(values) if len(values) > 1 else 0.0
    middle, slope = _line(seen, spread or 0.1, -1 if request.higher else 1)
    return {"value": float(f"{middle + slope * here + rng.gauss(0, 0.2 * spread):.6g}")}


def any_prediction(request: Request, rng: random.Random) -> dict[str, Any]:
    """A value of some result, whatever the setting."""
    values = [one.value for one in request.results if one.value is not None] or [1.0]
    return {"value": rng.choice(values)}


def label(request: Request, rng: random.Random) -> dict[str, Any]:
    """How likely the setting is among the best: whether it is as near as the nearest results."""
    distances = sorted(
        _distance(request, one.knobs) for one in request.results if one.value is not None
    )
    bound = distances[int(AMONG_BEST * len(distances))] if distances else 0.2
    nearer = (bound - _distance(request, request.setting)) / SLOPE
    probability = 1 / (1 + math.exp(-min(max(nearer, -3.0), 3.0) + rng.gauss(0, 0.5)))
    return {"probability": round(probability, 3)}


def any_label(_request: Request, rng: random.Random) -> dict[str, Any]:
    """A probability at random."""
    return {"probability": round(rng.random(), 3)}


def _line(seen: list[tuple[float, float]], spread: float, sign: int) -> tuple[float, float]:
    """The line through what was seen: its value at distance 0, and its slope (of that sign)."""
    if not seen:
        return 1.0, sign * spread
    x, y = (statistics.fmean(column) for column in zip(*seen, strict=True))
    square = sum((one - x) ** 2 for one, _ in seen)
    slope = sum((one - x) * (value - y) for one, value in seen) / square if square > 1e-9 else 0.0
    if slope * sign <= 0:
        slope = sign * spread
    return y - slope * x, slope


def _distance(request: Request, knobs: Mapping[str, Any]) -> float:
    """How far a setting is from where good ones are: the root of the mean square of the places."""
    good = aims(request)
    apart = [_apart(knob, knobs.get(name), good[name]) for name, knob in request.space.items()]
    return math.sqrt(statistics.fmean(one * one for one in apart)) if apart else 0.0


def _apart(knob: Range, value: object, good: Any) -> float:
    if knob.type == "categorical":
        return 0.0 if value == good else CHOICE_DISTANCE
    real = number(value)
    return 0.0 if real is None else scaled(knob, real) - scaled(knob, good)


def _between(
    request: Request,
    base: Mapping[str, Any],
    good: Mapping[str, Any],
    share: float,
    rng: random.Random,
) -> dict[str, Any]:
    """From one setting a share of the way to another, with an error."""
    made = {}
    for name, knob in request.space.items():
        if knob.type == "categorical":
            stays = base.get(name) in knob.choices and rng.random() > share
            made[name] = base[name] if stays else good[name]
            continue
        real = number(base.get(name))
        begin, end = scaled(knob, good[name] if real is None else real), scaled(knob, good[name])
        made[name] = at(knob, begin + share * (end - begin) + rng.gauss(0, ERROR_NEAR_BEST))
    return made


def _near(knob: Range, good: Any, error: float, rng: random.Random) -> Any:
    if knob.type == "categorical":
        return rng.choice(knob.choices) if rng.random() < error else good
    return at(knob, scaled(knob, good) + rng.gauss(0, error))


def _anywhere(knob: Range, rng: random.Random) -> Any:
    return rng.choice(knob.choices) if knob.type == "categorical" else at(knob, rng.random())
