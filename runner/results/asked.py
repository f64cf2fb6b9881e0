"""What a spec says, as tables can show it, whatever the file holds."""

from __future__ import annotations

import json
import math
from typing import Any

from runner.records.upgrade import upgraded
from runner.samplers import Searched, searched_by

PRICE = "compute_usd_per_hour"  # in the budget of a spec, where it is no bound
MAX_WORD = 60  # characters of a name


def fields_of(content: bytes) -> dict[str, Any]:
    """The fields of a spec, as the present version names them."""
    body = upgraded(json.loads(content), {"metric"})
    if not isinstance(body, dict):
        raise ValueError("no JSON object")
    return body


def searched(proposer: Any) -> Searched:
    """What a baseline searches, by the `proposer` of its spec; anything else is that of none."""
    return searched_by(proposer.get("method") if isinstance(proposer, dict) else None)


def word(name: Any) -> str:
    """A name as a table and a figure can show it."""
    return " ".join(str(name or "?").split())[:MAX_WORD]


def finite(number: Any) -> float | None:
    """A number as a table can show it, or None."""
    is_one = isinstance(number, (int, float)) and not isinstance(number, bool)
    return float(number) if is_one and math.isfinite(number) else None


def bounds_of(asked: Any) -> dict[str, float]:
    """The budgets that were set: name → amount."""
    entries = asked.items() if isinstance(asked, dict) else ()
    amounts = {word(name): finite(amount) for name, amount in entries}
    amounts.pop(PRICE, None)
    return {name: amount for name, amount in amounts.items() if amount is not None}


def price_of(asked: Any, otherwise: float | None) -> float | None:
    """The price of a device that a run began with, or another one where it has none."""
    price = finite(asked.get(PRICE)) if isinstance(asked, dict) else None
    return otherwise if price is None or price < 0 else price


def whole(seed: Any) -> int:
    """A seed; anything else counts as 0."""
    digits = str(seed)[:18]
    return int(digits) if digits.isascii() and digits.isdecimal() else 0
