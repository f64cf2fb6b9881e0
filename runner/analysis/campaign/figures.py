"""The figures of the report "campaign"."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import figure

from runner.analysis.campaign import progress
from runner.analysis.campaign.factors import Campaign
from runner.analysis.campaign.spread import Entropy, Specialisation, Together
from runner.analysis.campaign.variance import Explained, grid
from runner.analysis.drawing import SHOWN, label
from runner.analysis.report import Context, Figure

# Of Okabe and Ito's colours, which people of all kinds of colour vision tell apart.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#777777"
LINES = {"power law": (BLUE, "-"), "logarithm": (ORANGE, "--"), "exponential": (GREEN, ":")}
LONG = 20  # trials that are shown on a logarithmic axis


def _axes(width: float = 6.4, height: float = 3.8) -> tuple[figure.Figure, Any]:
    picture = figure.Figure(figsize=(width, height), layout="constrained")
    axes = picture.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return picture, axes


def _logarithmic(axes: Any) -> None:
    """A logarithmic axis whose numbers need no TeX, which names of contestants must not reach."""
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda count, _: f"{count:,.0f}")


def variance(found: list[Explained]) -> Figure | None:
    """Bars of ω² and η² of the factors that could be tested."""
    told = [one for one in found if one.anova.eta_squared is not None]
    shown = told[:SHOWN]
    if not shown:
        return None
    picture, axes = _axes(height=1.2 + 0.36 * len(shown))
    rows = np.arange(len(shown))
    eta = np.array([one.anova.eta_squared for one in shown], dtype=float)
    omega = np.array([one.anova.omega_squared for one in shown], dtype=float)
    axes.barh(rows, eta, color="#BBD7EA", edgecolor=BLUE, label="η²")
    axes.scatter(omega, rows, color=BLUE, zorder=3, label="ω²", s=22)
    axes.hlines(rows, [one.low for one in shown], [one.high for one in shown], color=GREY, lw=1.2)
    axes.set_yticks(rows, [label(one.factor) for one in shown])
    axes.invert_yaxis()
    axes.set_xlim(min(0.0, float(omega.min()) * 1.1), 1)
    axes.set_xlabel("share of the variance of the values")
    picture.legend(loc="outside upper center", ncols=2, frameon=False)
    said = "; ".join(
        f"{one.factor}: η² {one.anova.eta_squared:.2f}, ω² {one.anova.omega_squared:.2f}"
        for one in shown
    )
    rest = f" The first {SHOWN} of {len(told)} factors are shown." * (len(told) > SHOWN)
    return Figure(
        "campaign-variance",
        "Share of the variance that each factor explains",
        picture,
        "One-way analysis of variance over groups of ten trials or more. Grey: 95 % bootstrap "
        f"interval of the share. ω² takes off what chance adds.{rest}",
        f"Bars. {said}.",
    )


def growth(context: Context, whole: progress.Shape) -> Figure | None:
    """The best so far of the whole campaign, with the shapes laid through it."""
    if not len(whole.counts):
        return None
    picture, axes = _axes()
    axes.step(whole.counts, context.sign * whole.best, where="post", color="black", lw=1.6)
    at = np.geomspace(whole.counts[0], whole.counts[-1], 300)
    for fit in whole.growth.fits:
        colour, style = LINES[fit.shape]
        words = f"{fit.shape}: R² = {fit.r_squared:.3f}"
        axes.plot(at, context.sign * fit.predict(at), color=colour, ls=style, label=words)
    if whole.counts[-1] > LONG:
        _logarithmic(axes)
    axes.set_xlabel("trials of all runs, in order")
    axes.set_ylabel(context.label)
    if whole.growth.fits:
        axes.legend(frameon=False)
    said = ", ".join(f"{fit.shape} R² {fit.r_squared:.3f}" for fit in whole.growth.fits)
    return Figure(
        "campaign-growth",
        "The best so far of the whole campaign, and the shapes laid through it",
        picture,
        "Black: the best value of all runs together. A running best of random orders is fitted "
        "well, too; see the table.",
        f"A stepped line from {context.sign * whole.best[0]:.4g} to "
        f"{context.sign * whole.best[-1]:.4g}; {said or whole.growth.why}.",
    )


def entropy(found: Entropy, choice: str) -> Figure | None:
    """The entropy of the choices over windows, with its decline and its peaks."""
    windows = found.windows
    if len(windows.ends) < 2:
        return None
    picture, axes = _axes()
    axes.plot(windows.ends, windows.bits, color=BLUE, lw=1.6, label=f"entropy of {choice}")
    axes.axhline(found.random_bits, color=GREY, lw=1, ls=":", label="random order (mean)")
    if found.decline:
        line = found.decline.start_bits - found.decline.bits_per_e * np.log(windows.ends)
        axes.plot(windows.ends, line, color=ORANGE, ls="--", label="H₀ − k ln t")
    if found.peaks:
        at = list(found.peaks)
        axes.plot(windows.ends[at], windows.bits[at], "v", color="black", ms=6, label="peak")
    axes.set_xlabel("trials of all runs, in order")
    axes.set_ylabel("entropy of a window, bits")
    picture.legend(loc="outside upper center", ncols=2, frameon=False)
    return Figure(
        "campaign-entropy",
        "How widely the campaign searches",
        picture,
        f"Entropy of {choice} over sliding windows of {windows.window} trials, against where each "
        "window ends. A peak is a window where the search had widened and then narrowed.",
        f"A line from {windows.bits[0]:.2f} to {windows.bits[-1]:.2f} bits with "
        f"{len(found.peaks)} peaks; in a random order {found.random_bits:.2f} bits.",
    )


def specialisation(found: Specialisation) -> Figure | None:
    """The divergence between contestants, of all choices so far and of each quarter."""
    if found.shares is None or found.cumulative is None or found.quarters is None:
        return None
    picture, axes = _axes()
    middles = (np.arange(4) + 0.5) / 4
    axes.bar(middles, found.quarters, 0.22, color="#F5D9A8", edgecolor=ORANGE, label="a quarter")
    axes.plot(found.shares, found.cumulative, "o-", color=BLUE, ms=3, label="all so far")
    axes.axhline(found.random, color=GREY, lw=1, ls=":", label="dealt at random (mean)")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.set_xlabel("share of each contestant's trials")
    axes.set_ylabel("mean Jensen–Shannon divergence, bits")
    picture.legend(loc="outside upper center", ncols=3, frameon=False)
    quarters = ", ".join(f"{bits:.2f}" for bits in found.quarters)
    return Figure(
        "campaign-specialisation",
        "How far the contestants' choices are apart",
        picture,
        f"The mean over all pairs of {len(found.names)} contestants: 0 bits of equal shares, 1 of "
        "nothing in common. Few choices make it large by chance: the dotted line says how large "
        "over all trials.",
        f"A line that ends at {found.bits:.2f} bits; the quarters have {quarters}; at random "
        f"{found.random:.2f}.",
    )


def innovation(context: Context, campaign: Campaign, table: pd.DataFrame) -> Figure | None:
    """The number of new bests over the trials, against that of a random order."""
    curves = {
        str(name): progress.records_over_time(campaign, str(name))
        for name in table.loc[table["values"] > 1, "contestant"]
    }
    shown = list(curves)[:SHOWN]
    if not shown:
        return None
    picture, axes = _axes()
    longest = max(len(curves[name][0]) for name in shown)
    for name in shown:
        counts, bests = curves[name]
        colour = context.colours.get(name, BLUE)
        axes.plot(counts, bests, drawstyle="steps-post", color=colour, lw=1.6, label=label(name))
    numbers = np.arange(1, longest + 1)
    expected = np.cumsum(1 / numbers) - 1
    axes.plot(numbers, expected, color="black", ls=":", lw=1.4, label="random order (expected)")
    if longest > LONG:
        _logarithmic(axes)
    axes.set_xlabel("values of a run")
    axes.set_ylabel("new bests (mean over runs)")
    handles, labels = axes.get_lines(), [*map(label, shown), "random order (expected)"]
    picture.legend(handles, labels, loc="outside right upper", frameon=False, fontsize="small")
    rest = f" The best {SHOWN} of {len(curves)} contestants are shown." * (len(curves) > SHOWN)
    said = "; ".join(f"{name}: {curves[name][1][-1]:.3g}" for name in shown)
    return Figure(
        "campaign-innovation",
        "New bests over the trials",
        picture,
        "Above the dotted line, later values beat earlier ones more often than in a random order: "
        f"the search learns.{rest}",
        f"Rising lines that end at {said}; a random order gives {expected[-1]:.3g}.",
    )


def heatmap(context: Context, campaign: Campaign, rows: str, columns: str) -> Figure | None:
    """The mean value at each pair of levels of two knobs."""
    mean, count = grid(campaign, rows, columns)
    if min(mean.shape, default=0) < 2:
        return None
    width, height = 2.2 + 0.75 * mean.shape[1], 1.6 + 0.42 * mean.shape[0]
    picture, axes = _axes(max(4.0, width), max(2.6, height))
    values = context.sign * mean.to_numpy(float)
    colours = "viridis" if context.sign < 0 else "viridis_r"  # bright is better
    axes.grid(False)
    image = axes.imshow(values, aspect="auto", cmap=colours)
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            text = f"{value:.4g}\nn = {count.iat[row, column]}"
            box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8}
            axes.text(column, row, text, ha="center", va="center", fontsize=6.5, bbox=box)
    axes.set_xticks(range(mean.shape[1]), map(label, mean.columns), rotation=35, ha="right")
    axes.set_yticks(range(mean.shape[0]), map(label, mean.index))
    axes.set_xlabel(label(columns))
    axes.set_ylabel(label(rows))
    picture.colorbar(image, label=f"mean {context.metric}")
    best = np.unravel_index(int(np.nanargmin(mean.to_numpy(float))), mean.shape)
    pair = f"{rows} {mean.index[best[0]]} and {columns} {mean.columns[best[1]]}"
    return Figure(
        "campaign-heatmap",
        f"Mean value by {rows} and {columns}",
        picture,
        "The two knobs that explain most, and their most used levels; n is the number of values. "
        "Contestants chose what they tried, so a cell also shows who tried it and when.",
        f"A grid of {mean.shape[0]} × {mean.shape[1]}. The best mean, {values[best]:.4g}, is at "
        f"{pair}.",
    )


def windows(found: Together) -> Figure:
    """Specialisation and innovation in the same windows."""
    picture, axes = _axes(4.6, 3.6)
    frame = found.windows
    points = axes.scatter(frame["divergence"], frame["rate"], c=frame["end"], cmap="viridis", s=18)
    axes.set_xlabel("mean Jensen–Shannon divergence in a window, bits")
    axes.set_ylabel("new bests a trial")
    picture.colorbar(points, label="window ends at trial")
    return Figure(
        "campaign-windows",
        "New bests and specialisation in the same windows",
        picture,
        "Windows of 100 trials of the whole campaign, a step of 25.",
        f"{len(frame)} points; Spearman's ρ is {found.overlapping:+.2f}.",
    )
