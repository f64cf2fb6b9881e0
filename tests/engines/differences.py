"""Where an engine or a runtime differs from Docker's engine with runc: what is so there, and why.

Nothing is left out because of a difference: the tests assert what stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.engines.under import Name


@dataclass(frozen=True)
class Difference:
    """What a test finds there, and why that is so."""

    found: Any
    why: str


DIFFERENCES: Mapping[tuple[Name, str], Difference] = {}


def expected(name: Name, fact: str, usual: Any) -> Any:
    """What is so there: what is usual, unless a difference is listed."""
    difference = DIFFERENCES.get((name, fact))
    return usual if difference is None else difference.found
