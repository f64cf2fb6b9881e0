"""Writes a run's study as the table that Optuna makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna

from runner.records.files import write_whole
from runner.results.tables import safe


def export(study: optuna.Study, path: Path) -> int:
    """Write `study.trials_dataframe()` as CSV; a file that is there is replaced.

    A text that a spreadsheet would take for a formula gets an apostrophe.

    Returns:
        How many trials it has.

    Raises:
        HostError: the file cannot be written.

    Source: optuna.study.Study.trials_dataframe, whose columns these are.
    """
    frame = study.trials_dataframe()
    others = frame.select_dtypes(exclude=["number", "bool", "datetime", "timedelta"])
    frame[others.columns] = others.map(_safe_text)
    write_whole(path, frame.rename(columns=safe).to_csv(index=False))
    return len(frame)


def _safe_text(cell: Any) -> Any:
    return safe(cell) if isinstance(cell, str) else cell
