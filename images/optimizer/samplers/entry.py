"""What a row of the table of samplers is, and the seeds of asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler

START_UP_TRIALS = 10

Space = Mapping[str, BaseDistribution]  # knob name → Optuna's distribution, in the space's order
Knobs = dict[str, Any]  # knob name → value, one for each knob of the space


@dataclass(frozen=True)
class Seen:
    """One trial as an algorithm that is no sampler of Optuna's sees it.

    Attributes:
        knobs: the values that were run, which train.py may have rounded.
        value: what was measured, to be minimised whatever the metric; None while the trial is
            under way. A failure has the worst value of a whole trial, and None before there is one;
            a pruned trial has its last estimate, but none that is better than that.
    """

    knobs: Knobs
    value: float | None


class AskTell(Protocol):
    """An algorithm with a state of its own, which a study's history can rebuild.

    It must depend on its arguments and on these two calls only, not on a clock and not on chance
    without a seed: a resumed run makes it anew and repeats the calls in their order.
    """

    def ask(self, number: int) -> Knobs:
        """A value for every knob, within its range. `number` counts the run's trials."""
        ...

    def tell(self, number: int, knobs: Knobs, value: float | None) -> None:
        """Take the result of a trial, in the order of the trials' ends.

        Args:
            number: that of the ask. Some come without one: 0 is the default of every knob, and a
                finite space is tried out where an algorithm only repeats itself.
            knobs: the values that were run, which train.py may have rounded.
            value: to be minimised, whatever the metric; None for a trial that failed or was pruned.
        """
        ...


@dataclass(frozen=True)
class Entry:
    """A row of the table: exactly one of `make`, `suggest`, `ask_tell` and `tries_all`.

    Args:
        make: a sampler of Optuna's for one ask, from the run's seed and the trial's number.
        learns_from_trials: show that sampler the trials as they were run, and failures as the worst
            value measured. Only for samplers that keep nothing in the study but its trials.
        ranks_pruned: of those, it reads pruned trials itself, by their steps and values. Another
            one would pass over them, and is shown each as its last estimate, but as no better than
            the worst whole trial.
        suggest: a setting, from the run's seed, the trial's number, the space and the trials so
            far, oldest first; None where it finds none that has not been tried.
        ask_tell: an algorithm with a state, from the space and the run's seed.
        tries_all: every setting of a finite space once (grid.py).
    """

    make: Callable[[int, int], BaseSampler] | None = None
    learns_from_trials: bool = False
    ranks_pruned: bool = False
    suggest: Callable[[int, int, Space, Sequence[Seen]], Knobs | None] | None = None
    ask_tell: Callable[[Space, int], AskTell] | None = None
    tries_all: bool = False


def seed_of_ask(run_seed: int, number: int) -> int:
    """A 32-bit seed for one ask, independent of those of other asks and other runs.

    Source: numpy.random.SeedSequence, which is made for spawning streams that do not overlap.
    """
    return int(np.random.SeedSequence([run_seed, number]).generate_state(1)[0])
