"""CatCMA with margin: CMA-ES that has a distribution for categorical and integer knobs, too.

Source: Hamano et al. 2025, arXiv:2504.07884; the algorithm is that of the package cmaes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from cmaes import CatCMAwM

from samplers.entry import Knobs, Space
from samplers.scale import from_unit, values_of

FEW = 33  # so many values of a knob have a margin; of more, rounding is as good


class CatCma:
    """Asks and tells in generations; see `AskTell` in entry.py.

    It begins in the middle of the space. A trial that failed is in no generation: a new draw takes
    its place. Neither is one whose result comes after its generation is over.

    Args:
        space: the knobs. A knob with one value keeps it.
        seed: the run's seed.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        values = {name: values_of(space[name]) for name in space}
        kinds = {name: _kind(name, space, its) for name, its in values.items()}
        self._fixed = {n: its[0] for n, its in values.items() if its and kinds[n] == "fixed"}
        self._chosen = {n: its for n, its in values.items() if its and kinds[n] == "choice"}
        self._counted = {n: its for n, its in values.items() if its and kinds[n] == "count"}
        self._real = [name for name, kind in kinds.items() if kind == "real"]
        self._algorithm = CatCMAwM(
            x_space=[[0.0, 1.0]] * len(self._real) or None,
            z_space=[np.linspace(0, 1, len(its)) for its in self._counted.values()] or None,
            c_space=[len(its) for its in self._chosen.values()] or None,
            seed=np.random.SeedSequence(seed).generate_state(1)[0],
        )
        self._drawn: dict[int, Any] = {}
        self._told: list[tuple[Any, float]] = []

    def ask(self, number: int) -> Knobs:
        """A draw of the present generation."""
        drawn = self._drawn[number] = self._algorithm.ask()
        real = {
            name: from_unit(self._space[name], float(at))
            for name, at in zip(self._real, () if drawn.x is None else drawn.x, strict=True)
        }
        counted = {
            name: its[round(float(at) * (len(its) - 1))]
            for (name, its), at in zip(
                self._counted.items(), () if drawn.z is None else drawn.z, strict=True
            )
        }
        chosen = {
            name: its[int(np.argmax(row))]
            for (name, its), row in zip(
                self._chosen.items(), () if drawn.c is None else drawn.c, strict=True
            )
        }
        found = self._fixed | real | counted | chosen
        return {name: found[name] for name in self._space}

    def tell(self, number: int, knobs: Knobs, value: float | None) -> None:
        """Count the result for the generation, and begin the next one when it is full."""
        del knobs  # the draw is known
        drawn = self._drawn.pop(number, None)
        if drawn is None or value is None:
            return
        self._told.append((drawn, value))
        if len(self._told) == self._algorithm.population_size:
            self._algorithm.tell(self._told)
            self._told.clear()
            self._drawn.clear()


def _kind(name: str, space: Space, values: Sequence[Any] | None) -> str:
    """How a knob is drawn: it has one value, is a choice, is counted with a margin, or is real."""
    if values is None:
        return "real"
    if len(values) == 1:
        return "fixed"
    if len(values) == 2 or not hasattr(space[name], "log"):  # the paper: two values are a choice
        return "choice"
    return "count" if len(values) < FEW and not getattr(space[name], "log", False) else "real"
