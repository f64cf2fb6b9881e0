"""What a trial's train.py says of its knobs against its parent's, as the tables hold it."""

from __future__ import annotations

import json
from typing import Any


def changed_knobs(cell: Any) -> dict[str, tuple[Any, Any]]:
    """Knob → (old, new) of a cell of `Frames.trials.knobs_changed`.

    A cell in another form, or without a text, has none; nor has an entry that is no pair.
    """
    try:
        found = json.loads(cell)
    except (ValueError, TypeError, RecursionError):
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {
        str(name): (pair[0], pair[1])
        for name, pair in pairs
        if isinstance(pair, list) and len(pair) == 2
    }
