"""What the figures of all reports have in common."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from runner.records.visible import visible

SHOWN = 12  # contestants in a figure: more cannot be told apart
LETTERS = 28  # of a name
RED, GREY, DARK = "#c0392b", "#9a9a9a", "#444444"


def label(name: Any, letters: int = LETTERS) -> str:
    """A name for a legend or an axis: one line, not long, and without what hides or turns it."""
    words = visible(str(name))
    words = words if len(words) <= letters else f"{words[: letters - 1]}…"
    return f" {words}" if words.startswith("_") else words or "?"


def canvas(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, Any]:
    """A figure of so many inches, and its axes by row and column."""
    drawing = Figure((width, height), layout="constrained")
    return drawing, drawing.subplots(rows, columns, squeeze=False)
