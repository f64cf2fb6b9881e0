"""Runs on disk for the tests of results, and the tables that come of them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runner.records.schema import Spent, TrialRecord

Make = Callable[..., Path]
SPENT = Spent(wall_seconds=3700.0)


def trial(number: int, value: float | None, **fields: Any) -> TrialRecord:
    """A line of the ledger; without a value, of a crashed trial."""
    status = "crash" if value is None else "ok"
    base: dict[str, Any] = {
        "source": "agent",
        "status": status,
        "train_seconds": 60.0,
        "judged": True,
    }
    return TrialRecord(trial=number, request=f"r{number}", value=value, **(base | fields))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
