"""Server-sent events: the parts of a provider's stream that matter to the meter."""

from __future__ import annotations

import json
from typing import Any

# An event without any of these words holds no usage, no end and no failure, so it is not parsed.
FAILURE_MARKS = (b"error", b"failed")
MARKS = (
    b'"usage', b"finishReason", b"blockReason", b'"finish_reason":"', b'"finish_reason": "',
    *FAILURE_MARKS,
)  # fmt: skip


def event_data(line: bytes) -> dict[str, Any] | None:
    """The JSON object in a `data:` line that may matter to the meter; None for other lines."""
    if not line.startswith(b"data:") or not any(mark in line for mark in MARKS):
        return None
    return json_object(line[5:])


def json_object(raw: bytes) -> dict[str, Any] | None:
    """The JSON object in `raw`; None when it is something else."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
