"""What a task measures: the metric's name, its unit, and which of two values is better.

Every comparison of values goes through `Metric`: nothing else in the runner knows whether a task
is minimised or maximised.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

LARGEST = 1e300  # a value of a greater magnitude is no measurement: differences would overflow
SMALLEST_IN_DECIMALS = 1e-3  # a smaller value would lose its digits with four decimals

T = TypeVar("T")

Direction = Literal["minimize", "maximize"]

Bound = Annotated[float, Field(allow_inf_nan=False)]


class Metric(BaseModel):
    """What each trial of a task measures.

    Attributes:
        name: as train.py prints it, and as tables and prompts show it.
        unit: of its values, as the axis of a figure shows it; empty for a bare number.
        direction: whether the task is to minimise or to maximise it.
        above: no value can be this low or lower; None where there is no such bound.
        below: no value can be this high or higher; None where there is no such bound.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,39}$")]
    unit: Annotated[str, Field(max_length=60)] = ""
    direction: Direction
    above: Bound | None = None
    below: Bound | None = None

    def rank(self, value: float) -> float:
        """A number by which values can be sorted: the lower it is, the better is the value."""
        return value if self.direction == "minimize" else -value

    def better(self, value: float, other: float) -> bool:
        """Whether `value` is better than `other`."""
        return self.rank(value) < self.rank(other)

    def better_of(self, first: float, second: float) -> float:
        """The better of two values; the first of equals."""
        return second if self.better(second, first) else first

    def gain(self, value: float, over: float) -> float:
        """By how much `value` is better than `over`, in the metric's unit; negative if worse."""
        return self.rank(over) - self.rank(value)

    def best(self, items: Iterable[T], value: Callable[[T], float | None]) -> T | None:
        """The item with the best value, the first of equals; None when no item has a value."""
        best: tuple[float, T] | None = None
        for item in items:
            found = value(item)
            if found is not None and (best is None or self.better(found, best[0])):
                best = found, item
        return None if best is None else best[1]

    def measured(self, value: float | None) -> float | None:
        """The value, if it is one that this metric can have; else None."""
        if value is None or not math.isfinite(value) or abs(value) > LARGEST:
            return None
        too_low = self.above is not None and value <= self.above
        too_high = self.below is not None and value >= self.below
        return None if too_low or too_high else value

    def shown(self, value: float) -> str:
        """The value for a person: four decimals, or four digits of a very small one."""
        return f"{value:.3e}" if 0 < abs(value) < SMALLEST_IN_DECIMALS else f"{value:.4f}"

    @property
    def lower(self) -> str:
        """The word for a better value: "lower" or "higher"."""
        return "lower" if self.direction == "minimize" else "higher"

    @property
    def lowest(self) -> str:
        """The word for the best value: "lowest" or "highest"."""
        return "lowest" if self.direction == "minimize" else "highest"

    @property
    def prompt_values(self) -> dict[str, str]:
        """What the prompts say of the metric, by the names in setup_prompts/README.md."""
        return {"metric": self.name, "lower": self.lower, "lowest": self.lowest}

    @property
    def label(self) -> str:
        """Name, unit and direction for the axis of a figure."""
        name = f"{self.name}, {self.unit}" if self.unit else self.name
        return f"{name} ({self.lower} is better)"


# What the language-model tasks measure, and what every run of schema version 1 measured.
VAL_BPB = Metric(name="val_bpb", unit="bits per byte", direction="minimize", above=0.0, below=100.0)
