"""Figures as PNG and PDF files whose bytes depend on what is drawn alone."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatter, NullFormatter

from runner.analysis.output.style import STYLE

DPI = 144
# Both would hold the time and the version of matplotlib.
PNG_METADATA: dict[str, Any] = {"Software": None}
PDF_METADATA: dict[str, Any] = {"CreationDate": None, "Producer": None, "Creator": None}


@dataclass(frozen=True)
class Picture:
    """A figure as a PNG file; `width` and `height` are in pixels."""

    content: bytes
    width: int
    height: int


@contextmanager
def styled() -> Iterator[None]:
    """Figures that are made and saved in here look alike.

    A name may have characters that no font of matplotlib has. They are drawn as boxes, and that is
    no reason to warn.
    """
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from", append=False)
        yield


def picture(drawn: Figure) -> Picture:
    """The figure as a page shows it; its parts keep their places from then on."""
    content = _saved(drawn, format="png", dpi=DPI, metadata=PNG_METADATA)
    drawn.set_layout_engine("none")  # to find the places takes as long as to draw
    width, height = struct.unpack(">II", content[16:24])  # of the header, by the PNG standard
    return Picture(content, width, height)


def pdf(drawn: Figure) -> bytes:
    """The figure as a paper shows it, with its fonts embedded."""
    return _saved(drawn, format="pdf", metadata=PDF_METADATA)


def _saved(drawn: Figure, **how: Any) -> bytes:
    file = io.BytesIO()
    with styled():
        for axes in drawn.axes:
            _write_powers_out(axes.xaxis)
            _write_powers_out(axes.yaxis)
        drawn.savefig(file, **how)
    return file.getvalue()


def _write_powers_out(axis: Axis) -> None:
    """A logarithmic axis would label its ticks with formulas, which are turned off."""
    if isinstance(axis.get_major_formatter(), LogFormatter):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if isinstance(axis.get_minor_formatter(), LogFormatter):
        axis.set_minor_formatter(NullFormatter())
