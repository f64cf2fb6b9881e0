"""Cells of tables: as a person reads them, and as other programs do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from runner.records.visible import visible

NOTHING = "–"
DIGITS = 6  # of a number, for a person; the CSV files have all of them


def plain(cell: Any) -> Any:
    """The cell as a value of Python's own; None where nothing is known."""
    if cell is None or cell is pd.NA or cell is pd.NaT:
        return None
    if isinstance(cell, np.generic):
        cell = cell.item()
    return None if isinstance(cell, float) and math.isnan(cell) else cell


def shown(cell: Any) -> str:
    """The cell for a person, on one line."""
    value = plain(cell)
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.{DIGITS}g}"
    return visible(str(value))


def is_number(cell: Any) -> bool:
    """Whether the cell holds a number, which tables align to the right."""
    value = plain(cell)
    return isinstance(value, (int, float)) and not isinstance(value, bool)
