"""What a part of the analysis is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd
from matplotlib import figure

from runner.results.dataframes import Frames

FULL_BUDGET = 0.99  # of a budget, from which on a run counts as whole (automl study)


@dataclass(frozen=True)
class Settings:
    """What a person may set.

    Attributes:
        compute_usd_per_hour: what an hour of a device costs, in US dollars, for runs that began
            without a price; 0 leaves it out.
        target: a value whose reaching is timed; None takes the worst of the contestants' bests.
        resamples: of a bootstrap or a permutation.
        seed: of their random numbers.
    """

    compute_usd_per_hour: float = 0.0
    target: float | None = None
    resamples: int = 10_000
    seed: int = 0


@dataclass(frozen=True)
class Context:
    """The runs whose values compare, and how they are shown.

    Attributes:
        name: of the comparison, as `Frames.runs.comparison` has it.
        frames: the tables, cut to this comparison.
        colours: contestant → colour, `#rrggbb`; the same in all figures.
        settings: what a person may set.
    """

    name: str
    frames: Frames
    colours: Mapping[str, str]
    settings: Settings = Settings()

    @property
    def metric(self) -> str:
        """The metric's name."""
        return str(self.frames.runs["metric"].iloc[0])

    @property
    def label(self) -> str:
        """Name, unit and direction, for the axis of a figure."""
        first = self.frames.runs.iloc[0]
        unit = f", {first['unit']}" if first["unit"] else ""
        return f"{first['metric']}{unit} ({self.better} is better)"

    @property
    def sign(self) -> int:
        """1 where less is better, -1 where more is: `sign * value` is less for the better value."""
        return 1 if self.frames.runs["direction"].iloc[0] == "minimize" else -1

    @property
    def better(self) -> str:
        """The word for a better value: "lower" or "higher"."""
        return "lower" if self.sign > 0 else "higher"

    @cached_property
    def contestants(self) -> list[str]:
        """All contestants, the one with the best value first; those without a value last."""
        best = self.frames.runs["best"] * self.sign
        order = best.groupby(self.frames.runs["contestant"]).min().sort_values(kind="stable")
        return [str(name) for name in order.index]

    @property
    def noise_sd(self) -> float | None:
        """The standard deviation of a training of the pristine train.py, where it is known."""
        known = self.frames.runs["noise_sd"].dropna()
        return float(known.iloc[0]) if len(known) and known.nunique() == 1 else None

    @cached_property
    def unpriced(self) -> list[str]:
        """The runs with a request that took tokens and has no price: it counts as 0 dollars."""
        requests = self.frames.requests
        without = requests[(requests["tokens"] > 0) & ~(requests["usd"] > 0)]
        runs = self.frames.runs["run"]
        return [str(run) for run in runs[runs.isin(without["run"])]]


@dataclass(frozen=True)
class Table:
    """A table of a report.

    Attributes:
        name: of its files, in small letters with hyphens.
        title: what it shows.
        rows: the table, with the columns' names as people read them.
        notes: how it was made and what to mind, a sentence each.
    """

    name: str
    title: str
    rows: pd.DataFrame
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Figure:
    """A figure of a report.

    Attributes:
        name: of its files, in small letters with hyphens.
        title: what it shows.
        drawn: the figure.
        caption: what to see in it and how it was made.
        text: what it shows, for people who cannot see it.
    """

    name: str
    title: str
    drawn: figure.Figure
    caption: str
    text: str


@dataclass(frozen=True)
class Finding:
    """A sentence that the figures hold.

    Attributes:
        text: the sentence, with its numbers.
        source: the table or figure that has them, by name.
        n: on how many observations it rests.
        told: False of what cannot be told; `text` then says why.
    """

    text: str
    source: str
    n: int
    told: bool = True


@dataclass(frozen=True)
class Report:
    """One part of the analysis.

    Attributes:
        name: of the part, in small letters with hyphens.
        title: its heading.
        tables: in the order in which they are shown.
        figures: in the order in which they are shown.
        findings: in the order in which they are shown.
        left_out: what was not used, and why, a sentence each.
    """

    name: str
    title: str
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    findings: tuple[Finding, ...] = ()
    left_out: tuple[str, ...] = field(default=())
