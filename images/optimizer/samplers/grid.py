"""Every setting of a finite space once, in an order that the seed draws.

Optuna's own grid does not know that trial 0 was the default, and would train it twice. The other
samplers take a setting from here when they only repeat themselves, so a finite space has an end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from samplers.entry import Knobs, Space
from samplers.scale import count_of, one_of, values_of

MAX_SETTINGS = 100_000
REPEATS = 10  # settings in a row that had been tried before: the sampler finds nothing new


class NoGridError(Exception):
    """The space is not finite, or too large to be tried out; the text says which."""


def next_of_grid(
    run_seed: int,
    space: Space,
    tried: Iterable[Mapping[str, Any]],
    as_run: Callable[[Mapping[str, Any]], Knobs] = dict,
) -> Knobs | None:
    """The first setting, in the order of the run's seed, that no trial has had; None: no more.

    Args:
        run_seed: draws the order, which is that of the whole run.
        space: all of it finite.
        tried: the settings of the trials so far, as asked for and as train.py rounded them.
        as_run: of a setting, the one that is run. Of those that come to the same, one is tried.

    Raises:
        NoGridError: a knob has no end of values, or there are more than `MAX_SETTINGS` settings.
    """
    had = {key_of(knobs) for knobs in tried}
    for setting in settings(run_seed, space):
        key = key_of(setting)
        if key_of(as_run(setting)) == key and key not in had:
            return setting
    return None


def is_grid(space: Space) -> bool:
    """Whether all settings of the space can be tried out."""
    sizes = [count_of(distribution) for distribution in space.values()]
    return max(sizes, default=1) <= MAX_SETTINGS and math.prod(sizes) <= MAX_SETTINGS


def only_repeated(trials: Sequence[Mapping[str, Any]]) -> list[bool]:
    """For each trial, and for the next one, whether those just before it brought nothing new.

    Args:
        trials: the setting of each, from 0.

    Returns:
        One entry more than there are trials.
    """
    had: set[frozenset[tuple[str, Any]]] = set()
    found, in_a_row = [], 0
    for knobs in trials:
        found.append(in_a_row >= REPEATS)
        setting = key_of(knobs)
        in_a_row = in_a_row + 1 if setting in had else 0
        had.add(setting)
    return [*found, in_a_row >= REPEATS]


def settings(run_seed: int, space: Space) -> Iterator[Knobs]:
    """All settings of a finite space, in the order of a seed.

    Raises:
        NoGridError: a knob has no end of values, or there are more than `MAX_SETTINGS` settings.
    """
    counts = {name: count_of(distribution) for name, distribution in space.items()}
    endless = [name for name, count in counts.items() if count == math.inf]
    if endless:
        raise NoGridError(f"no grid without a step: {', '.join(endless)}")
    size = math.prod(counts.values())
    if size > MAX_SETTINGS:
        raise NoGridError(f"a grid of {size} settings, at most {MAX_SETTINGS}")
    values = {name: values_of(distribution) for name, distribution in space.items()}
    sizes = [len(its) for its in values.values() if its is not None]
    order = np.random.default_rng(run_seed).permutation(math.prod(sizes))
    for place in order:
        digits = np.unravel_index(int(place), sizes)
        yield {
            name: its[int(digit)]
            for (name, its), digit in zip(values.items(), digits, strict=True)
            if its is not None
        }


def key_of(knobs: Mapping[str, Any]) -> frozenset[tuple[str, Any]]:
    """The same for settings that only rounding tells apart."""
    return frozenset((name, one_of(value)) for name, value in knobs.items())
