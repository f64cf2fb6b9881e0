"""The usage record: one line of `usage.jsonl` per model request (docs/architecture.md)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ..dialects.base import ModelRequest
from ..dialects.tokens import Tokens
from ..settings import Settings
from .ledger import SCHEMA_VERSION, Reservation


@dataclass(frozen=True)
class Outcome:
    """How a request went.

    Attributes:
        status: the provider's HTTP status, 0 when there was no answer.
        latency_seconds: from the request's arrival to its last byte.
        first_byte_seconds: from its arrival to its first byte; None when there was none.
        failure: the provider's word for why it broke off the answer after its headers, or "".
    """

    status: int = 0
    latency_seconds: float = 0.0
    first_byte_seconds: float | None = None
    failure: str = ""


def opened(settings: Settings, request: ModelRequest, request_id: str) -> dict[str, Any]:
    """The record as far as it is known before the request is sent."""
    return {
        "schema_version": SCHEMA_VERSION,
        "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "request": request_id,
        "provider": settings.provider,
        "model": request.model,
        "path": request.route.path.partition("?")[0],
        "rehearsed": settings.rehearsed,
    }


def settled(
    reservation: Reservation, tokens: Tokens, cost_usd: Decimal, charged_by: str, outcome: Outcome
) -> dict[str, Any]:
    """The whole record.

    Args:
        reservation: of the request, with the record as it was opened.
        tokens: what the provider reported. For a charge by reservation: what it had reported before
            the answer broke off, so the dollars may be more than these tokens cost.
        cost_usd: what the run is charged.
        charged_by: `usage`; or `input` where the answer failed and no usage was reported; or
            `reservation` where the final usage did not arrive.
        outcome: how the request went.
    """
    first = outcome.first_byte_seconds
    return reservation.record | {
        "status": outcome.status,
        "latency_seconds": round(outcome.latency_seconds, 4),
        "first_byte_seconds": None if first is None else round(first, 4),
        "input_tokens": tokens.input,
        "cached_read_tokens": tokens.cached_read,
        "cache_write_5m_tokens": tokens.cache_write_5m,
        "cache_write_1h_tokens": tokens.cache_write_1h,
        "output_tokens": tokens.output,
        "reasoning_tokens": tokens.reasoning,
        "cost_usd": float(round(cost_usd, 9)),
        "charged_by": charged_by,
        "failure": outcome.failure,
    }
