"""How much of each budget of a run is spent, as small bars."""

from __future__ import annotations

from dataclasses import dataclass

from runner.records.schema import Spent
from runner.spec import Budget

FULL, EMPTY = "█", "░"
SHORT_NAMES = {"train_hours": "train", "total_usd": "total"}


@dataclass(frozen=True)
class Share:
    """A budget: its name, what is used of it, and its bound, both in the budget's unit."""

    name: str
    used: float
    bound: float

    @property
    def part(self) -> float:
        """The part that is used, from 0 to 1."""
        return min(1.0, max(0.0, self.used / self.bound))

    @property
    def percent(self) -> str:
        """The part in percent; 100 only if nothing is left."""
        return f"{int(100 * self.part)}%"

    def bar(self, cells: int) -> str:
        """The name in six characters, the bar, and the percentage."""
        name = SHORT_NAMES.get(self.name, self.name)
        return f"{name:6} {bar(self.part, cells)} {self.percent:>4}"

    def amounts(self) -> str:
        """What is used of how much: `0.5 of 8 hours`."""
        unit = self.name.replace("_", " ")
        return f"{_short(self.used)} of {_short(self.bound)} {unit}"


def shares(budget: Budget, spent: Spent) -> list[Share]:
    """The bounds that a run has, the one that is nearest to its end first."""
    used = {
        "hours": spent.wall_seconds / 3600,
        "train_hours": spent.train_seconds / 3600,
        "trials": spent.trials,
        "usd": spent.usd,
        "tokens": spent.tokens,
        "total_usd": spent.usd + budget.compute_usd(spent.device_seconds),
    }
    found = [
        Share(name, float(used[name]), bound)
        for name, bound in budget.as_dict().items()
        if bound is not None
    ]
    return sorted(found, key=lambda share: -share.part)


def bar(part: float, cells: int) -> str:
    """A bar of so many characters. It is full only at the end, and empty only at the beginning."""
    filled = round(cells * part)
    if 0 < part < 1:
        filled = min(max(filled, 1), cells - 1)
    return FULL * filled + EMPTY * (cells - filled)


def _short(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 1000 or amount == int(amount) else f"{amount:.3g}"
