"""The figures of the report "search": curves of the best value, incumbents, and outcomes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from runner.analysis.drawing import GREY, RED, SHOWN, canvas, label
from runner.analysis.report import Context, Figure
from runner.analysis.search import effort, tables
from runner.analysis.statistics.arrays import Array
from runner.analysis.statistics.bootstrap import band
from runner.analysis.statistics.curves import on_grid

LABELLED, LETTERS = 14, 42  # incumbents with words, and of how many letters
POINTS = 200  # of the grid
FAR_APART = 10.0  # lengths of runs that differ by more need a logarithmic axis
STATUS_COLOURS = {
    "ok": "#0072b2", "pruned": "#56b4e9", "crash": "#d55e00", "oom": "#cc79a7",
    "timeout": "#e69f00", "rejected": "#000000", "killed": "#bbbbbb",
}  # fmt: skip


def draw(context: Context, trials: pd.DataFrame) -> tuple[Figure, ...]:
    """All figures that the trials give.

    Args:
        context: the runs.
        trials: as `effort.used` gives them.
    """
    drawn = [_curves(context, trials, unit) for unit in effort.UNITS]
    drawn += [_incumbents(context, trials), _outcomes(context, trials)]
    return tuple(figure for figure in drawn if figure is not None)


def _curves(context: Context, trials: pd.DataFrame, unit: effort.Unit) -> Figure | None:
    """The best value so far against one unit: thin lines are runs, thick ones their mean."""
    curves = effort.steps(trials, unit)
    names = [name for name in context.contestants if any(c.contestant == name for c in curves)]
    names = names[:SHOWN]
    curves = [curve for curve in curves if curve.contestant in names]
    spent = [curve for curve in curves if curve.end > 0]
    if not spent:
        return None
    longest = max(curve.end for curve in spent)
    divisor, title = effort.scale(unit, longest)
    drawing, axes = canvas(9.4, 4.8)
    axis = axes[0][0]
    logarithmic = _far_apart(spent)
    low = min(curve.at[0] for curve in spent if curve.at[0] > 0 or not logarithmic)
    grid = (np.geomspace if logarithmic else np.linspace)(low, longest, POINTS)
    free = []
    for name in names:
        own = [curve for curve in spent if curve.contestant == name]
        if own:
            _draw_contestant(context, axis, own, grid, divisor)
        else:
            free.append(name)
            best = tables.bests(context)[name]
            axis.axhline(best, color=context.colours[name], ls=":", label=f"{label(name)} (cost 0)")
    axis.set_xscale("log" if logarithmic else "linear")
    if unit is effort.TRIALS and not logarithmic:
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel(title)
    axis.set_ylabel(context.label)
    axis.set_title(f"Best {context.metric} so far")
    _frame(context, axis, curves)
    axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0)
    return Figure(
        f"best-by-{unit.name}",
        f"Best value so far against {unit.title}",
        drawing,
        _curves_caption(context, len(names), free),
        _curves_text(context, curves, divisor, title),
    )


def _draw_contestant(
    context: Context, axis: Axes, own: list[effort.Steps], grid: Array, divisor: float
) -> None:
    name = own[0].contestant
    colour = context.colours[name]
    several = len(own) > 1
    for curve in own:
        axis.step(
            np.append(curve.at, curve.end) / divisor, np.append(curve.best, curve.best[-1]),
            where="post", color=colour, lw=0.7 if several else 1.7, alpha=0.45 if several else 1.0,
            label=None if several else f"{label(name)} (1 run)",
        )  # fmt: skip
        axis.plot(curve.end / divisor, curve.best[-1], "o", ms=3, color=colour)
    rows = [on_grid(curve.at, curve.best * context.sign, grid, end=curve.end) for curve in own]
    settings = context.settings
    found = band(np.array(rows), resamples=settings.resamples, seed=settings.seed)
    if found is None:
        return
    everybody = np.where(found.n == len(own), context.sign, np.nan)
    axis.plot(
        grid / divisor, found.mean * everybody, color=colour, lw=2.2,
        drawstyle="steps-post", label=f"{label(name)} (mean of {len(own)})",
    )  # fmt: skip
    axis.fill_between(
        grid / divisor, found.low * everybody, found.high * everybody, color=colour, alpha=0.18,
        linewidth=0, step="post",
    )  # fmt: skip


def _far_apart(curves: list[effort.Steps]) -> bool:
    """Whether one contestant's runs are so much longer that the others would be a dash."""
    ends = [curve.end for curve in curves]
    starts = [curve.at[0] for curve in curves]
    return max(ends) > FAR_APART * min(ends) and max(starts) > 0 and min(starts) > 0


def _frame(context: Context, axis: Axes, curves: list[effort.Steps], headroom: float = 0.0) -> None:
    """Show the lines' range, but no very bad first value that would flatten all else.

    `headroom` is a share of that range, free on the side of the worse values.
    """
    best = min(context.sign * curve.best[-1] for curve in curves)
    first = np.array([context.sign * curve.best[0] for curve in curves])
    worst = min(first.max(), best + 2 * (float(np.median(first)) - best))
    margin = 0.06 * (worst - best) or 0.01 * abs(best) or 0.01
    ends = best - margin, worst + margin + headroom * (worst - best)
    axis.set_ylim(*sorted(context.sign * end for end in ends))


def _curves_caption(context: Context, shown: int, free: list[str]) -> str:
    caption = (
        "Thin lines are runs. A thick line is their mean as far as all of them go, with a 95 % "
        f"bootstrap band over runs ({context.settings.resamples:,} resamples, point by point)."
    )
    everybody = len(context.contestants)
    if everybody > shown:
        caption += f" Shown are the best {shown} of {everybody} contestants."
    if free:
        caption += f" Dotted: the best of contestants that cost nothing ({len(free)})."
    return caption


def _curves_text(context: Context, curves: list[effort.Steps], divisor: float, title: str) -> str:
    ends = [
        f"{label(name)} from {own[0].best[0]:.4g} to {_best(context, own):.4g} within "
        f"{max(curve.end for curve in own) / divisor:.3g}"
        for name in context.contestants
        if (own := [curve for curve in curves if curve.contestant == name])
    ]
    return f"Step curves of {context.label} against {title}: {'; '.join(ends)}."


def _best(context: Context, own: list[effort.Steps]) -> float:
    return context.sign * min(context.sign * float(curve.best[-1]) for curve in own)


def _incumbents(context: Context, trials: pd.DataFrame) -> Figure | None:
    """All trials of the best run; each new best with the words for what changed."""
    measured = trials[trials["value"].notna()]
    if measured.empty:
        return None
    best = measured.loc[(context.sign * measured["value"]).idxmin()]
    run = trials[trials["run"] == best["run"]]
    curve = effort.steps(run, effort.TRIALS)[0]
    drawing, axes = canvas(9.2, 5.4)
    axis = axes[0][0]
    colour = context.colours[curve.contestant]
    axis.scatter(run[effort.TRIALS.column], run["value"], s=12, color=GREY, linewidths=0)
    axis.step([*curve.at, curve.end], [*curve.best, curve.best[-1]], where="post", color=colour)
    chosen = run[run["is_best"]]
    axis.scatter(chosen[effort.TRIALS.column], chosen["value"], s=26, color=colour, zorder=3)
    _frame(context, axis, [curve], headroom=0.3)  # for the words
    axis.set_xlim(0, 1.22 * curve.end + 1)
    failed = run[run["status"].isin(tables.FAILURES)][effort.TRIALS.column]
    axis.plot(failed, np.full(len(failed), 0.02), "x", color=RED, ms=5,
              transform=axis.get_xaxis_transform())  # fmt: skip
    gains = context.sign * (chosen["value"].shift() - chosen["value"])
    for index in gains.nlargest(LABELLED).index:
        row = chosen.loc[index]
        words = tables.what_changed(row.to_dict())
        axis.annotate(
            label(words, LETTERS) if words else f"trial {row['trial']}",
            (row[effort.TRIALS.column], row["value"]), textcoords="offset points",
            xytext=(4, 6 * context.sign), va="bottom" if context.sign > 0 else "top",
            rotation=28 * context.sign, fontsize=7.5, annotation_clip=True,
        )  # fmt: skip
    axis.set_xlabel("trials")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_ylabel(context.label)
    axis.set_title(f"What improved {label(run['run'].iloc[0])}, the run with the best value")
    return Figure(
        "incumbents",
        "What improved the best run",
        drawing,
        f"Dots are trials, coloured ones became the best; the {min(LABELLED, len(gains))} largest "
        "gains have words. Red crosses at the bottom are failed trials; values far off are cut.",
        f"{len(chosen)} of {len(run)} trials became the best of run {run['run'].iloc[0]}, from "
        f"{curve.best[0]:.4g} to {curve.best[-1]:.4g}; {len(failed)} trials failed.",
    )


def _outcomes(context: Context, trials: pd.DataFrame) -> Figure | None:
    """How the trials of each contestant ended, as shares."""
    names = [name for name in context.contestants if (trials["contestant"] == name).any()][:SHOWN]
    if not names:
        return None
    rows = trials[trials["contestant"].isin(names)]
    counts = pd.crosstab(rows["contestant"].astype(object), rows["status"].astype(object))
    counts = counts.reindex(index=names[::-1], columns=list(tables.STATUSES), fill_value=0)
    shares = 100 * counts.div(counts.sum(axis="columns"), axis="index")
    drawing, axes = canvas(8.6, 1.3 + 0.34 * len(names))
    axis, left = axes[0][0], np.zeros(len(names))
    for status in tables.STATUSES:
        if counts[status].any():
            wide = shares[status].to_numpy()
            axis.barh(
                range(len(names)), wide, left=left, color=STATUS_COLOURS[status], label=status
            )
            left = left + wide
    axis.set_yticks(
        range(len(names)),
        [f"{label(name)} ({counts.loc[name].sum()})" for name in counts.index],
    )
    axis.set_xlim(0, 100)
    axis.set_xlabel("% of trials")
    axis.set_title("How trials ended")
    axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0)
    more = len(context.contestants) - len(names)
    return Figure(
        "outcomes",
        "How trials ended",
        drawing,
        "In brackets: the number of trials."
        + (f" Shown are the best {len(names)} contestants; {more} more are not." if more else ""),
        "; ".join(
            f"{label(name)}: {counts.loc[name, 'ok']} of {counts.loc[name].sum()} trials ended well"
            for name in names
        ),
    )
