"""`convergence.png`: the best measured val_bpb so far, against trials and against training time.

One row of panels a task, because bits per byte of different tasks do not compare; one line a run,
one colour a contestant, one dash pattern a seed. Every measured trial is a faint dot.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from runner.results.reading import Run, value

DASHES: Any = ("-", (0, (5, 2)), (0, (1, 1)), (0, (5, 1, 1, 1)))  # a seed each, in turn
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
    """Draw the runs that measured anything; without one, take an older figure away.

    Returns:
        Whether there is a figure now.
    """
    drawn = [run for run in runs if run.best]
    if not drawn:
        path.unlink(missing_ok=True)
        return False
    tasks = sorted({run.task for run in drawn})
    names = sorted({run.contestant for run in drawn})
    colours = {name: matplotlib.colormaps["tab10"](index % 10) for index, name in enumerate(names)}
    with matplotlib.rc_context(STYLE):
        figure = Figure((INCHES[0], INCHES[1] * len(tasks)), dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(len(tasks), 2, squeeze=False, sharey="row")
        for task, (by_trial, by_time) in zip(tasks, panels, strict=True):
            of_task = [run for run in drawn if run.task == task]
            _draw_task(task, of_task, (by_trial, by_time), colours)
        _save(figure, path)
    return True


def _draw_task(
    task: str, runs: Sequence[Run], panels: tuple[Axes, Axes], colours: Mapping[str, Any]
) -> None:
    by_trial, by_time = panels
    longest = max(run.train_seconds for run in runs)
    hours = longest >= SECONDS_PER_HOUR
    unit = SECONDS_PER_HOUR if hours else SECONDS_PER_MINUTE
    for run in runs:
        look = {"color": colours[run.contestant], "linestyle": DASHES[(run.seed - 1) % len(DASHES)]}
        label = plain(f"{run.run_id} (rehearsed)" if run.rehearsed else run.run_id)
        _draw(by_trial, curve(run, 0), look, label)
        _draw(by_time, curve(run, unit), look, label)
    by_trial.set_title(f"{plain(task)}: best val_bpb so far", loc="left", fontweight="bold")
    by_trial.set_ylabel("val_bpb, bits per byte (lower is better)")
    by_trial.set_xlabel("trials")
    by_trial.xaxis.set_major_locator(MaxNLocator(integer=True))
    by_time.set_xlabel(f"training {'hours' if hours else 'minutes'}, summed over trials")
    by_time.tick_params(labelleft=False)
    by_time.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, borderaxespad=0)
    _frame(by_trial, runs)


@dataclass(frozen=True)
class Curve:
    """A run's way down: where each measured trial ended, its val_bpb, and the best so far.

    `end` is where the run's last trial ended, measured or not.
    """

    at: list[float]
    bpbs: list[float]
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
    measured = [(at, bpb) for at, trial in both if (bpb := value(trial)) is not None]
    bpbs = [bpb for _, bpb in measured]
    return Curve([at for at, _ in measured], bpbs, list(accumulate(bpbs, min)), places[-1])


def plain(name: str) -> str:
    """The name in the characters that every font has."""
    return name.encode("ascii", "replace").decode("ascii")


def _draw(
    panel: Axes,
    way: Curve,
    look: dict[str, Any],
    label: str,
) -> None:
    panel.scatter(way.at, way.bpbs, s=9, color=look["color"], alpha=0.22, linewidths=0)
    best_at_end = way.best[-1]
    panel.step([*way.at, way.end], [*way.best, best_at_end], where="post", label=label, **look)
    panel.plot(way.end, best_at_end, "o", markersize=4, color=look["color"])


def _frame(panel: Axes, runs: Sequence[Run]) -> None:
    """The y range of the best-so-far lines: a trial gone far wrong must not flatten them."""
    lines = [best for run in runs for best in curve(run, 0).best]
    low, high = min(lines), max(lines)
    margin = 0.06 * (high - low) or 0.01 * high
    panel.set_ylim(low - margin, high + margin)


def _save(figure: Figure, path: Path) -> None:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    aside = path.with_name(f".{path.name}.part")
    aside.write_bytes(picture.getvalue())
    aside.replace(path)
