"""Reports whose figures have been drawn, as the page draws them but without their pixels.

To find the places of a figure's parts and to fill its pixels take most of the time of a report.
tests/reports and tests/unit/analysis/output save figures as they are.
"""

from __future__ import annotations

from collections.abc import Callable

from runner.analysis.output.figures import styled
from runner.analysis.report import Context, Report


def drawn(report: Callable[[Context], Report], context: Context) -> Report:
    """The report on a context; each of its figures has been drawn."""
    with styled():
        made = report(context)
        for figure in made.figures:
            figure.drawn.set_layout_engine("none")
            figure.drawn.draw_without_rendering()
    return made
