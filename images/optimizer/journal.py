"""Repairs the study's journal, whatever cut it.

Optuna appends one JSON line for each operation, and an ask is several of them. A death, a full disk
or a loss of power may leave a part of an ask, a part of a line, or NULs where the file was to grow.
`mend` cuts the journal after its last whole change. What was lost is then asked again, with the
same knobs, and the runner answers from its ledger. Standard library only.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

# Of optuna.storages.journal; the image's `verify` holds them against the library.
CREATE_TRIAL, SET_TRIAL_PARAM = 4, 5


def mend(journal: Path, knobs: int) -> None:
    """Cut off what comes after the last whole change.

    Args:
        journal: the file; this process is its only user.
        knobs: how many values make an ask whole.
    """
    if not journal.exists():
        return
    whole = whole_bytes(journal, knobs)
    if whole < journal.stat().st_size:
        with journal.open("r+b") as file:
            file.truncate(whole)
            os.fsync(file.fileno())


def study_attribute(journal: Path, name: str) -> str | None:
    """The study's user attribute of that name; None when the journal does not hold it."""
    if not journal.exists():
        return None
    with journal.open("rb") as file:
        for line in file:
            attributes = (_body(line) or {}).get("user_attr")
            if isinstance(attributes, dict) and name in attributes:
                return str(attributes[name])
    return None


def whole_bytes(journal: Path, knobs: int) -> int:
    """The length up to the first damage, without an unfinished ask at the end.

    An unfinished tell may stay: until its last line the trial is outstanding, and is told again.
    """
    end = asked_from = missing = 0
    with journal.open("rb") as file:
        for line in file:
            operation = _operation(line)
            if operation is None:
                break
            if operation == CREATE_TRIAL:
                asked_from, missing = end, knobs
            elif operation == SET_TRIAL_PARAM:
                missing -= 1
            end += len(line)
    return asked_from if missing > 0 else end


def _operation(line: bytes) -> int | None:
    """The code of a line's operation, or None for a line that is damaged."""
    code = (_body(line) or {}).get("op_code")
    return code if isinstance(code, int) else None


def _body(line: bytes) -> dict[str, Any] | None:
    """The JSON object of a line, or None for a line that is damaged."""
    try:
        body = json.loads(line.decode()) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
