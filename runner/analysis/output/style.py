"""How figures look: fonts that a PDF embeds, and colours that colour-blind people tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cycler import cycler

# Okabe and Ito, Color Universal Design (2008), without its yellow, which white paper swallows;
# then five dark enough ones of Krzywinski's twelve (mk.bcgsc.ca/colorblind).
PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000",
    "#8400CD", "#A40122", "#008169", "#FF5AAF", "#7A6000",
)  # fmt: skip
OTHERS = "#9A9A9A"  # of contestants beyond the palette
STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so figures are the same everywhere
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=PALETTE),
    "grid.color": "#e6e6e6",
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "legend.frameon": False,
    "lines.linewidth": 1.7,
    "figure.constrained_layout.use": True,
    "text.parse_math": False,  # a contestant called $x$ is no formula
    "pdf.fonttype": 42,  # TrueType, embedded; journals refuse matplotlib's usual Type 3
    "ps.fonttype": 42,
    "svg.hashsalt": "bakeoff",
}


def colours(best_first: Sequence[str], everyone: Sequence[str]) -> dict[str, str]:
    """A colour for each contestant of a comparison.

    A contestant has the same colour in all comparisons, if the palette has one for everyone.
    Otherwise the best of each comparison have the palette's, and all others are grey.

    Args:
        best_first: the contestants of the comparison.
        everyone: those of all comparisons.
    """
    names = sorted(set(everyone))
    if len(names) > len(PALETTE):
        names = list(best_first)
    of_name = dict(zip(names, PALETTE, strict=False))
    return {name: of_name.get(name, OTHERS) for name in best_first}
