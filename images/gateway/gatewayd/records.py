"""The usage record: one line of `usage.jsonl` a model request (fields in docs/architecture.md)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from .dialects.base import Ask
from .ledger import SCHEMA_VERSION, Hold
from .settings import Settings
from .tokens import Tokens


@dataclass(frozen=True)
class Timing:
    """How a request went on the wire.

    Attributes:
        status: the HTTP status that came from the provider, 0 for none.
        latency_seconds: from the request's arrival to its last byte.
        first_byte_seconds: from its arrival to the first byte, None when there was none.
    """

    status: int = 0
    latency_seconds: float = 0.0
    first_byte_seconds: float | None = None


def opened(settings: Settings, ask: Ask, request: str) -> dict[str, Any]:
    """A record as far as it is known before the request is sent."""
    return {
        "schema_version": SCHEMA_VERSION,
        "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "request": request,
        "provider": settings.provider,
        "model": ask.model,
        "path": ask.route.path.partition("?")[0],
        "rehearsed": settings.rehearsed,
    }


def settled(
    hold: Hold, tokens: Tokens, cost_usd: Decimal, charged_by: str, timing: Timing
) -> dict[str, Any]:
    """The whole record.

    Args:
        hold: the reservation, with the record as it was opened.
        tokens: what the provider reported; for a charge by reservation what it had reported
            when it fell silent, so the dollars may be more than these tokens cost.
        cost_usd: what the run is charged.
        charged_by: `usage`, or `reservation` where no final usage arrived.
        timing: how it went on the wire.
    """
    first = timing.first_byte_seconds
    return hold.record | {
        "status": timing.status,
        "latency_seconds": round(timing.latency_seconds, 4),
        "first_byte_seconds": None if first is None else round(first, 4),
        "input_tokens": tokens.input,
        "cached_read_tokens": tokens.cached_read,
        "cache_write_5m_tokens": tokens.cache_write_5m,
        "cache_write_1h_tokens": tokens.cache_write_1h,
        "output_tokens": tokens.output,
        "reasoning_tokens": tokens.reasoning,
        "cost_usd": float(round(cost_usd, 9)),
        "charged_by": charged_by,
    }
