"""What the figures of a search's strategy have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from runner.analysis.drawing import SHOWN, label
from runner.analysis.report import Context
from runner.analysis.strategy.categories import OTHER, rules

LETTERS_OF_A_RUN = 66  # of its name above its panel
WIDTH = 9.0  # inches
GREY = "#9A9A9A"
# Okabe and Ito, Color Universal Design (2008).
CATEGORY_COLOURS = dict(
    zip(
        (*rules().labels, OTHER),
        ("#CC79A7", "#56B4E9", "#E69F00", "#0072B2", "#009E73", GREY),
        strict=True,
    )
)


@dataclass(frozen=True)
class Searches:
    """What the figures show.

    Attributes:
        context: the runs whose values compare.
        experiments: as `experiments.experiments` gives them.
        runs: as `measures.per_run` gives them.
        contestants: as `measures.per_contestant` gives them.
    """

    context: Context
    experiments: pd.DataFrame
    runs: pd.DataFrame
    contestants: pd.DataFrame

    @cached_property
    def all_names(self) -> list[str]:
        """The contestants with experiments, the best first."""
        return [name for name in self.context.contestants if name in self.contestants.index]

    @property
    def names(self) -> list[str]:
        """Those that a figure shows."""
        return self.all_names[:SHOWN]

    @property
    def left_out(self) -> str:
        """What a caption says of contestants that are not shown; empty if all are."""
        more = len(self.all_names) - SHOWN
        return f" Shown are the best {SHOWN} contestants; {more} more are in the table." * (
            more > 0
        )

    def colour(self, contestant: str) -> str:
        """The contestant's colour in all figures."""
        return self.context.colours.get(contestant, GREY)

    @cached_property
    def best_runs(self) -> dict[str, str]:
        """Contestant → its run with the best value (the first one of several)."""
        runs = self.context.frames.runs
        order = (runs["best"] * self.context.sign).sort_values(kind="stable").index
        ordered = runs.loc[order]
        ordered = ordered[ordered["run"].isin(self.experiments["run"])]
        return dict(ordered.groupby("contestant")["run"].first())

    def of_best_runs(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Contestant and the experiments of its best run, for those that a figure shows."""
        grouped = dict(list(self.experiments.groupby("run")))
        for name in self.names:
            yield name, grouped[self.best_runs[name]]


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure; inches."""
    return Figure(figsize=(width, height), layout="constrained")


def row_height(rows: int) -> float:
    """Inches of a figure with a row a contestant."""
    return 1.4 + 0.34 * max(rows, 2)


def contestant_axis(axes: Axes, names: Sequence[str]) -> None:
    """A row a contestant, the best on top."""
    axes.set_yticks(range(len(names)), [label(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)


def whole_numbers(axes: Axes) -> None:
    """Ticks of the x-axis at whole numbers alone."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def contestant_legend(figure: Figure, searches: Searches, marker: str = "") -> None:
    """The contestants that are shown, beside the axes; by their line, or by a mark."""
    style: Any = {"marker": marker, "linestyle": "" if marker else "-"}
    handles = [Line2D([], [], color=searches.colour(name), **style) for name in searches.names]
    figure.legend(handles, [label(name) for name in searches.names], loc="outside right upper")


def category_legend(figure: Figure, labels: Iterable[str]) -> None:
    """The categories that are shown, below the axes."""
    given = set(labels)
    shown = [name for name in CATEGORY_COLOURS if name in given]
    handles = [Patch(color=CATEGORY_COLOURS[name]) for name in shown]
    figure.legend(handles, shown, loc="outside lower center", ncols=6, fontsize="small")
