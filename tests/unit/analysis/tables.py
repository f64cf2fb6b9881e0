"""The tables of made-up runs, with the columns and types of `runner.results.frames`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from runner.results.dataframes import (
    KNOB_DTYPES,
    REQUEST_DTYPES,
    RETEST_DTYPES,
    RUN_DTYPES,
    TRIAL_DTYPES,
    Frames,
)

Rows = Sequence[dict[str, Any]]


def tables(
    runs: Rows, trials: Rows = (), knobs: Rows = (), requests: Rows = (), retests: Rows = ()
) -> Frames:
    """Frames of these rows; a column that a row lacks is not known."""
    return Frames(
        runs=_table(runs, RUN_DTYPES),
        trials=_table(trials, TRIAL_DTYPES),
        knobs=_table(knobs, KNOB_DTYPES),
        requests=_table(requests, REQUEST_DTYPES),
        retests=_table(retests, RETEST_DTYPES),
    )


def knob_rows(
    run: str, settings: Iterable[Mapping[str, Any]], *, first: int = 1
) -> list[dict[str, Any]]:
    """The rows of the knobs of a run's trials, which are numbered from `first` on."""
    return [
        {
            "run": run, "trial": trial, "knob": knob,
            "number": value if isinstance(value, (int, float)) else None,
            "text": value if isinstance(value, str) else json.dumps(value),
        }
        for trial, knobs in enumerate(settings, start=first)
        for knob, value in knobs.items()
    ]  # fmt: skip


def _table(rows: Rows, dtypes: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(dtypes)).astype(dtypes)
