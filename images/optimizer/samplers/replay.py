"""Asks an algorithm that has a state, and rebuilds that state from the study after a restart.

Invariant: the algorithm has seen the asks and tells of the study in their order, whichever process
made them. Each result carries how many trials had been asked for and how many had been told before
it (`ORDER`), so the calls can be repeated exactly, also where several trials were outstanding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution

from samplers.entry import AskTell, Knobs, Space


class NotRepeatableError(Exception):
    """The algorithm suggested something else the second time; the text says where."""


class BadSuggestionError(Exception):
    """The algorithm suggested no setting of the space; the text says why."""


@dataclass(frozen=True)
class Told:
    """A trial with a result.

    Attributes:
        number: the trial's.
        asked: how many trials had been asked for when it was told, itself included.
        told: how many had been told before it.
        knobs: the values that were run.
        value: to be minimised; None for a failure.
    """

    number: int
    asked: int
    told: int
    knobs: Knobs
    value: float | None


class Replayed:
    """An algorithm that is one call after the other where its study is.

    Args:
        make: makes it anew, from the space and the run's seed.
        space: the knobs.
        seed: the run's seed.
    """

    def __init__(self, make: Callable[[Space, int], AskTell], space: Space, seed: int) -> None:
        self._make = make
        self._space = space
        self._seed = seed
        self._asked = self._told = 0
        self._algorithm = make(space, seed)

    def ask(self, number: int, asked: Sequence[Knobs | None], told: Sequence[Told]) -> Knobs:
        """The setting of the next trial.

        Args:
            number: the trial's.
            asked: what was suggested before, trial by trial from 0; None where the algorithm was
                not asked.
            told: the results, in any order.

        Raises:
            NotRepeatableError: a repeated ask gave something else than it had given.
            BadSuggestionError: the suggestion is not in the space.
        """
        if self._asked > number or self._told > len(told):
            self._begin()
        for result in sorted(told, key=lambda one: one.told)[self._told :]:
            self._ask_up_to(result.asked, asked)
            self._algorithm.tell(result.number, dict(result.knobs), result.value)
            self._told += 1
        self._ask_up_to(number, asked)
        self._asked = number + 1
        return self._checked(self._algorithm.ask(number))

    def _begin(self) -> None:
        self._asked = self._told = 0
        self._algorithm = self._make(self._space, self._seed)

    def _ask_up_to(self, end: int, asked: Sequence[Knobs | None]) -> None:
        """Repeat the asks that the algorithm has not seen, up to but without number `end`."""
        for number in range(self._asked, end):
            if asked[number] is None:
                continue
            again = self._checked(self._algorithm.ask(number))
            if again != asked[number]:
                raise NotRepeatableError(
                    f"setting {number} is {again} when it is asked for again, and was "
                    f"{asked[number]}: a sampler may depend on its seed and its trials only"
                )
        self._asked = max(self._asked, end)

    def _checked(self, knobs: Any) -> Knobs:
        if not isinstance(knobs, dict) or knobs.keys() != self._space.keys():
            raise BadSuggestionError(
                f"the sampler suggested {knobs!r:.200}, not a value for each of "
                f"{', '.join(self._space)}"
            )
        return {name: _in_range(name, self._space[name], knobs[name]) for name in self._space}


def _in_range(name: str, distribution: BaseDistribution, value: Any) -> Any:
    """The value as Optuna keeps it: an int for an int knob, whatever numpy made of it."""
    try:
        place = distribution.to_internal_repr(value)
        inside = bool(distribution._contains(place))
    except (TypeError, ValueError):
        inside = False
    if not inside:
        raise BadSuggestionError(f"the sampler suggested {name}={value!r:.200}: not in its range")
    return distribution.to_external_repr(place)
