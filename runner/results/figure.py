"""`convergence.png`: the best value measured so far, against trials and against training time.

Each task has a row of panels of its own, because values of different tasks do not compare. Each run
is a line, each contestant a colour, each seed a dash pattern, and each measured trial a faint dot.
At the end of a line a dot is the best measured value, a cross the best that its agent claimed, and
a diamond the mean that the referee found.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from runner.records.files import write_whole
from runner.results.reading import Run

DASHES: Any = ("-", (0, (5, 2)), (0, (1, 1)), (0, (5, 1, 1, 1)))  # one for each seed, in turn
DPI = 150
INCHES = (11.0, 4.2)  # of one row of panels
SECONDS_PER_HOUR, SECONDS_PER_MINUTE = 3600.0, 60.0
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "lines.linewidth": 1.7,
    "text.parse_math": False,  # a run called $x$ is no formula
}


def write_figure(runs: Sequence[Run], path: Path) -> bool:
    """Draw the runs that measured anything; without such a run, remove an older figure.

    Args:
        runs: in the order of `rows.ordered`.
        path: of the figure.

    Returns:
        Whether there is a figure now.
    """
    drawn = [run for run in runs if run.best]
    if not drawn:
        path.unlink(missing_ok=True)
        return False
    compared = [list(runs) for _, runs in groupby(drawn, key=lambda run: run.comparison)]
    names = sorted({run.contestant for run in drawn})
    colours = {name: matplotlib.colormaps["tab10"](index % 10) for index, name in enumerate(names)}
    with matplotlib.rc_context(STYLE):
        figure = Figure((INCHES[0], INCHES[1] * len(compared)), dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(len(compared), 2, squeeze=False, sharey="row")
        for of_task, (by_trial, by_time) in zip(compared, panels, strict=True):
            _draw_task(of_task, (by_trial, by_time), colours)
        _save(figure, path)
    return True


def _draw_task(runs: Sequence[Run], panels: tuple[Axes, Axes], colours: Mapping[str, Any]) -> None:
    """Draw runs that have a task and a metric in common."""
    by_trial, by_time = panels
    task, metric = runs[0].heading, runs[0].metric
    longest = max(run.train_seconds for run in runs)
    hours = longest >= SECONDS_PER_HOUR
    unit = SECONDS_PER_HOUR if hours else SECONDS_PER_MINUTE
    for run in runs:
        dashes = DASHES[(run.seed - 1) % len(DASHES)]
        style = {"color": colours[run.contestant], "linestyle": dashes}
        label = plain(f"{run.run_id} (rehearsed)" if run.rehearsed else run.run_id)
        marks = Marks(run.claimed_value, run.verified_value)
        _draw(by_trial, curve(run, 0), style, label, marks)
        _draw(by_time, curve(run, unit), style, label, marks)
    by_trial.set_title(f"{plain(task)}: best {metric.name} so far", loc="left", fontweight="bold")
    by_trial.set_ylabel(plain(metric.label))
    by_trial.set_xlabel("trials")
    by_trial.xaxis.set_major_locator(MaxNLocator(integer=True))
    by_time.set_xlabel(f"training {'hours' if hours else 'minutes'}, summed over trials")
    by_time.tick_params(labelleft=False)
    by_time.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, borderaxespad=0)
    _frame(by_trial, runs)


@dataclass(frozen=True)
class Curve:
    """How a run got better: where each measured trial ended, its value, and the best so far.

    `end` is where the run's last trial ended, whether it measured anything or not.
    """

    at: list[float]
    values: list[float]
    best: list[float]
    end: float


def curve(run: Run, unit_seconds: float) -> Curve:
    """The curve of a run with at least one measured trial.

    Args:
        run: the run.
        unit_seconds: seconds to the unit of the x axis; 0 counts trials instead.
    """
    trials = sorted(run.own_trials, key=lambda trial: trial.trial)
    spent = accumulate(trial.train_seconds for trial in trials)
    places = [at / unit_seconds if unit_seconds else n + 1.0 for n, at in enumerate(spent)]
    both = zip(places, trials, strict=True)
    measured = [(at, value) for at, trial in both if (value := run.value(trial)) is not None]
    values = [value for _, value in measured]
    best = list(accumulate(values, run.metric.better_of))
    return Curve([at for at, _ in measured], values, best, places[-1])


def plain(name: str) -> str:
    """The name in the characters that every font has."""
    return name.encode("ascii", "replace").decode("ascii")


@dataclass(frozen=True)
class Marks:
    """Values beside the measured ones: a cross for the best claimed, a diamond for the verified."""

    claimed: float | None
    verified: float | None


def _draw(panel: Axes, line: Curve, style: dict[str, Any], label: str, marks: Marks) -> None:
    panel.scatter(line.at, line.values, s=9, color=style["color"], alpha=0.22, linewidths=0)
    best_at_end = line.best[-1]
    panel.step([*line.at, line.end], [*line.best, best_at_end], where="post", label=label, **style)
    panel.plot(line.end, best_at_end, "o", markersize=4, color=style["color"])
    if marks.claimed is not None:
        panel.plot(line.end, marks.claimed, "x", markersize=5, color=style["color"])
    if marks.verified is not None:
        panel.plot(line.end, marks.verified, "D", markersize=5, color=style["color"], mfc="none")


def _frame(panel: Axes, runs: Sequence[Run]) -> None:
    """Show the range of the best-so-far lines, so that no very bad trial flattens them."""
    lines = [best for run in runs for best in curve(run, 0).best]
    lines += [run.verified_value for run in runs if run.verified_value is not None]
    low, high = min(lines), max(lines)
    margin = 0.06 * (high - low) or 0.01 * abs(high) or 0.01
    panel.set_ylim(low - margin, high + margin)


def _save(figure: Figure, path: Path) -> None:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    write_whole(path, picture.getvalue())
