"""Writes a run's study as the table that Optuna makes of it."""

from __future__ import annotations

from pathlib import Path

import optuna

from runner.records.files import write_whole


def export(study: optuna.Study, path: Path) -> int:
    """Write `study.trials_dataframe()` as CSV; a file that is there is replaced.

    Returns:
        How many trials it has.

    Raises:
        HostError: the file cannot be written.

    Source: optuna.study.Study.trials_dataframe, whose columns these are.
    """
    frame = study.trials_dataframe()
    write_whole(path, frame.to_csv(index=False))
    return len(frame)
