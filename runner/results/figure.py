"""`convergence.png`: the best value measured so far, against trials and against training time.

Each task has a row of panels of its own, because values of different tasks do not compare. Each run
is a line, each contestant a colour, each seed a dash pattern, and each measured trial a faint dot.
At the end of a line a dot is the best measured value, a cross the best that its agent claimed, and
a diamond the mean that the referee found.

Of many runs each is a thin line without dots, and each contestant has a bold one: the median of its
runs. The legend then names the contestants.
"""

from __future__ import annotations

import io
import math
import statistics
from bisect import bisect_right
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
MANY_RUNS = 20  # of one task: with more of them, nobody can tell the lines of the runs apart
DPI = 150
INCHES = (9.4, 4.2)  # of one row of panels, without the legend
LEGEND_ROWS = 16  # as many as fit beside a row of panels
LEGEND_ENTRIES = 48
LABEL_CHARS = 40
CHARACTER_INCHES, HANDLE_INCHES = 0.078, 0.6  # of the legend: a character, and what is before it
MEDIAN_POINTS = 120
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
    with matplotlib.rc_context(STYLE):
        _save(figure_of(drawn), path)
    return True


def figure_of(runs: Sequence[Run]) -> Figure:
    """The figure of runs that all measured something, a row for each task."""
    compared = [list(runs) for _, runs in groupby(runs, key=lambda run: run.comparison)]
    names = sorted({run.contestant for run in runs})
    colours = {name: matplotlib.colormaps["tab10"](index % 10) for index, name in enumerate(names)}
    width = INCHES[0] + max(legend_inches(_labels(of_task)) for of_task in compared)
    figure = Figure((width, INCHES[1] * len(compared)), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(compared), 2, squeeze=False, sharey="row")
    for of_task, (by_trial, by_time) in zip(compared, panels, strict=True):
        _draw_task(of_task, (by_trial, by_time), colours)
    return figure


def _draw_task(runs: Sequence[Run], panels: tuple[Axes, Axes], colours: Mapping[str, Any]) -> None:
    """Draw runs that have a task and a metric in common."""
    by_trial, by_time = panels
    task, metric = runs[0].heading, runs[0].metric
    longest = max(run.train_seconds for run in runs)
    hours = longest >= SECONDS_PER_HOUR
    unit = SECONDS_PER_HOUR if hours else SECONDS_PER_MINUTE
    draw = _draw_contestants if len(runs) > MANY_RUNS else _draw_runs
    of_trials = draw(by_trial, runs, 0, colours)
    draw(by_time, runs, unit, colours)
    by_trial.set_title(f"{plain(task)}: best {metric.name} so far", loc="left", fontweight="bold")
    by_trial.set_ylabel(plain(metric.label))
    by_trial.set_xlabel("trials")
    by_trial.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(runs) > MANY_RUNS:
        by_time.set_title("thin: a run; bold: the median of a contestant's runs", loc="left")
    by_time.set_xlabel(f"training {'hours' if hours else 'minutes'}, summed over trials")
    by_time.tick_params(labelleft=False)
    _add_legend(by_time, _labels(runs))
    _frame(by_trial, of_trials, runs)


def _draw_runs(
    panel: Axes, runs: Sequence[Run], unit: float, colours: Mapping[str, Any]
) -> list[Curve]:
    """A line for each run, in the order of its labels."""
    curves = [curve(run, unit) for run in runs]
    for run, line, label in zip(runs, curves, _labels(runs), strict=True):
        dashes = DASHES[(run.seed - 1) % len(DASHES)]
        style = {"color": colours[run.contestant], "linestyle": dashes}
        _draw(panel, line, style, label, Marks(run.claimed_value, run.verified_value))
    return curves


def _draw_contestants(
    panel: Axes, runs: Sequence[Run], unit: float, colours: Mapping[str, Any]
) -> list[Curve]:
    """A thin line for each run, and a bold one for each contestant."""
    groups = _by_contestant(runs)
    curves: list[Curve] = []
    ranks = {name: rank for rank, name in enumerate(colours)}
    for group, label in zip(groups, _labels(runs), strict=True):
        name = group[0].contestant
        colour, dashes = colours[name], DASHES[ranks[name] // 10 % len(DASHES)]
        lines = [curve(run, unit) for run in group]
        for line in lines:
            at_ends = [*line.at, line.end], [*line.best, line.best[-1]]
            panel.step(*at_ends, where="post", color=colour, linewidth=0.6, alpha=0.35)
        middle = median(lines)
        panel.step(*middle, where="post", label=label, color=colour, linestyle=dashes)
        curves += lines
    return curves


def _by_contestant(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs of each contestant, in the order of their best runs."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.contestant, []).append(run)
    return list(groups.values())


def _labels(runs: Sequence[Run]) -> list[str]:
    """What the legend says of runs that have a task and a metric in common."""
    if len(runs) <= MANY_RUNS:
        return [_label(run.run_id, [run]) for run in runs]
    return [
        _label(
            group[0].run_id if len(group) == 1 else f"{group[0].contestant}, {len(group)} runs",
            group,
        )
        for group in _by_contestant(runs)
    ]


def _label(name: str, runs: Sequence[Run]) -> str:
    """The name, without its middle if it is long: its end tells seeds apart.

    It says of runs that any of them was rehearsed or is unsafe.
    """
    half = LABEL_CHARS // 2
    short = plain(name if len(name) <= LABEL_CHARS else f"{name[:half]}...{name[3 - half :]}")
    marks = {
        "rehearsed": any(run.rehearsed for run in runs),
        "unsafe": any(run.unsafe for run in runs),
    }
    marked = ", ".join(mark for mark, is_true in marks.items() if is_true)
    return f"{short} ({marked})" if marked else short


def legend_inches(labels: Sequence[str]) -> float:
    """How wide a legend with these labels is."""
    longest = max(map(len, labels[:LEGEND_ENTRIES]))
    return _columns(labels) * (HANDLE_INCHES + CHARACTER_INCHES * longest)


def _columns(labels: Sequence[str]) -> int:
    return math.ceil(min(len(labels), LEGEND_ENTRIES) / LEGEND_ROWS)


def _add_legend(panel: Axes, labels: Sequence[str]) -> None:
    """The legend beside the panel; of very many lines it names those that are best."""
    lines, _ = panel.get_legend_handles_labels()
    more = len(lines) - LEGEND_ENTRIES
    panel.legend(
        lines[:LEGEND_ENTRIES], labels[:LEGEND_ENTRIES],
        title=f"the best {LEGEND_ENTRIES}, and {more} more" if more > 0 else None,
        alignment="left", loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False,
        borderaxespad=0, ncols=_columns(labels),
    )  # fmt: skip


def median(lines: Sequence[Curve]) -> tuple[list[float], list[float]]:
    """Where, and what, the median of the best values so far of some runs is.

    It begins where half of the runs have measured anything. A run that has ended keeps its best.
    """
    begins = sorted(line.at[0] for line in lines)[(len(lines) - 1) // 2]
    width = max(line.end for line in lines) - begins
    places = [begins + width * at / MEDIAN_POINTS for at in range(MEDIAN_POINTS + 1)]
    values = [
        [line.best[bisect_right(line.at, place) - 1] for line in lines if line.at[0] <= place]
        for place in places
    ]
    return places, [statistics.median(each) for each in values]


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


def _frame(panel: Axes, curves: Sequence[Curve], runs: Sequence[Run]) -> None:
    """Show the range of the best-so-far lines, so that no very bad trial flattens them."""
    lines = [best for line in curves for best in line.best]
    lines += [run.verified_value for run in runs if run.verified_value is not None]
    low, high = min(lines), max(lines)
    margin = 0.06 * (high - low) or 0.01 * abs(high) or 0.01
    panel.set_ylim(low - margin, high + margin)


def _save(figure: Figure, path: Path) -> None:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    write_whole(path, picture.getvalue())
