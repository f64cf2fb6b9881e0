"""A gateway's own book of what it settled, and an engine that has nothing else."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping

from runner.engine.client import Engine
from runner.errors import EngineError


class BookEngine(Engine):
    """An engine that has nothing but a gateway's book, or does not answer at all."""

    def __init__(self, book: bytes | None) -> None:
        self._book = book

    def get_file(self, container: str, path: str, limit: int) -> bytes | None:
        if self._book is None:
            raise EngineError(f"reading {path} of {container}: the engine does not answer")
        assert path.endswith("/ledger.jsonl")
        return self._book[:limit]

    def get_archive(self, container: str, path: str) -> Generator[bytes]:
        yield from ()
        raise EngineError(f"reading {path} of {container}: the engine does not answer")


def settled(name: str, cost_usd: float, **fields: object) -> dict[str, object]:
    """A usage record as the gateway writes it."""
    return {
        "at": "2026-01-01T00:00:00.000Z", "request": name, "provider": "openai", "model": "gpt",
        "status": 200, "cost_usd": cost_usd, "input_tokens": 10, **fields,
    }  # fmt: skip


def reserved(name: str, usd: str) -> dict[str, object]:
    """A reservation as the gateway writes it, before it knows how the request goes."""
    opened = {"at": "2026-01-01T00:00:00.000Z", "provider": "openai", "model": "gpt"}
    record = {**opened, "request": name, "path": "/v1/responses", "rehearsed": False}
    return {"kind": "reserved", "request": name, "usd": usd, "tokens": 900, "record": record}


def book(
    *records: Mapping[str, object], reservations: tuple[Mapping[str, object], ...] = ()
) -> bytes:
    """The gateway's book: each request is reserved and then settled; its last line is torn.

    The reservations, whole lines of their own, come first.
    """
    settlements = [
        {"kind": kind, **({"record": record} if kind == "settled" else {})}
        for record in records
        for kind in ("reserved", "settled")
    ]
    whole = (json.dumps(line).encode() + b"\n" for line in [*reservations, *settlements])
    return b"".join(whole) + b'{"kind":"settled","re'
