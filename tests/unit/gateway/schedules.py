"""Random schedules of requests, faults, disconnects and restarts, and the checks after each."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from .rig import APIS, Background, RunningGateway
from .standin import Served

# High enough that a handful of requests reaches the cap.
PRICES = {"input": 100, "output": 1000, "cached_read": 10}
FAULTS: list[dict[str, Any]] = [
    {"status": 429, "retry_after": 0.01},
    {"status": 500},
    {"status": 400},
    {"status": 429, "body": {"error": {"code": "insufficient_quota"}}},
    {"refuse": True},
    {"cut": 0},
    {"cut": 1},
    {"cut": 120},
]


@dataclass(frozen=True)
class Step:
    """One request.

    Attributes:
        plan: what the provider does with it.
        limit: the largest output that it asks for, in tokens; 0 for not saying.
        stream: whether it asks for a stream.
        hang_up: bytes of the answer after which the client disconnects, at least 1; None for never.
    """

    plan: dict[str, Any]
    limit: int
    stream: bool
    hang_up: int | None


@dataclass(frozen=True)
class Schedule:
    """Rounds of requests that go out together; between two rounds the gateway restarts."""

    api: str
    cap_usd: str
    rounds: list[list[Step]]


def steps() -> st.SearchStrategy[Step]:
    plans = st.fixed_dictionaries(
        {
            "faults": st.lists(st.sampled_from(FAULTS), max_size=2),
            "input": st.integers(0, 300),
            "cached": st.integers(0, 100),
            "output": st.integers(0, 3000),
            "usage": st.sampled_from(["right", "right", "right", "none", "negative"]),
            "chunks": st.integers(1, 20),
        }
    )
    return st.builds(
        Step,
        plan=plans,
        limit=st.sampled_from([0, 1, 500, 2000, 100_000]),
        stream=st.booleans(),
        hang_up=st.none() | st.integers(1, 800),
    )


def schedules(rounds: int, together: int) -> st.SearchStrategy[Schedule]:
    """Schedules of at most so many rounds of so many requests."""
    return st.builds(
        Schedule,
        api=st.sampled_from(sorted(APIS)),
        cap_usd=st.sampled_from(["0", "0.3", "2", "5", "200"]),
        rounds=st.lists(
            st.lists(steps(), min_size=1, max_size=together), min_size=1, max_size=rounds
        ),
    )


def play(schedule: Schedule, background: Background, folder: Path) -> None:
    """Plays a schedule; then compares the gateway's records with what the provider served."""
    api = APIS[schedule.api]
    config = {
        "caps": {"usd": float(schedule.cap_usd)},
        "prices": {api.model: PRICES},
        "limits": {"backoff_seconds": 0.001, "retry_seconds": 0.2, "requests_per_minute": 10**6},
    }
    records: list[dict[str, Any]] = []
    served: list[Served] = []
    spent = Decimal(0)
    for number, round_ in enumerate(schedule.rounds):
        gateway = RunningGateway(background, folder, api, config).start()
        try:
            _send_all(gateway, number, round_)
        finally:
            gateway.stop()
        assert gateway.context.budget.reservations == {}
        records += gateway.events.records
        served += gateway.served
        spent = gateway.context.budget.spent_usd
    assert _highest(folder / "state" / "ledger.jsonl") <= Decimal(schedule.cap_usd)
    assert abs(float(spent) - sum(record["cost_usd"] for record in records)) < 1e-6
    assert len({record["request"] for record in records}) == len(records)
    _compare(records, served)


def _compare(records: list[dict[str, Any]], served: list[Served]) -> None:
    """What was served with true usage is charged by usage; all else by its reservation."""
    true = [one for one in served if one.whole and one.usage == "right"]
    doubtful = [one for one in served if one.status == 200 and one not in true]
    by_usage = [r for r in records if r["charged_by"] == "usage" and r["status"] == 200]
    by_reservation = [r for r in records if r["charged_by"] == "reservation"]
    assert sorted(map(_tokens, by_usage)) == sorted((one.input, one.output) for one in true)
    assert len(by_reservation) == len(doubtful)
    for record in records:
        if record not in by_usage and record not in by_reservation:
            assert record["cost_usd"] == 0


def _tokens(record: dict[str, Any]) -> tuple[int, int]:
    return record["input_tokens"] + record["cached_read_tokens"], record["output_tokens"]


def _highest(ledger: Path) -> Decimal:
    """The most that was ever spent and reserved together, in US dollars."""
    total = highest = Decimal(0)
    open_: dict[str, Decimal] = {}
    for line in ledger.read_text().splitlines() if ledger.exists() else []:
        entry = json.loads(line)
        usd = Decimal(entry["usd"])
        if entry["kind"] == "reserved":
            open_[entry["request"]] = usd
            total += usd
        else:
            total += usd - open_.pop(entry["request"])
        highest = max(highest, total)
    return highest


def _send_all(gateway: RunningGateway, number: int, round_: list[Step]) -> None:
    """Sends the requests of a round at once, and waits until all are settled."""
    threads = [
        threading.Thread(target=_send, args=(gateway, step, f"{number}-{index}"))
        for index, step in enumerate(round_)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    end = time.monotonic() + 10
    while gateway.context.budget.reservations:
        assert time.monotonic() < end, "a reservation stays open"
        time.sleep(0.002)


def _send(gateway: RunningGateway, step: Step, name: str) -> None:
    plan = step.plan | {"id": name}
    limit = gateway.api.limited(step.limit) if step.limit else {}
    body = json.dumps(gateway.api.body(plan, step.stream, **limit)).encode()
    target = gateway.api.streamed if step.stream else gateway.api.whole
    head = f"POST {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    head += f"Content-Length: {len(body)}\r\n"
    head += "".join(f"{key}: {text}\r\n" for key, text in gateway.api.auth.items())
    left = 10**9 if step.hang_up is None else step.hang_up
    with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(ConnectionError):
        connection.settimeout(20)
        connection.connect(str(gateway.socket))
        connection.sendall(head.encode() + b"\r\n" + body)
        while left > 0 and (got := connection.recv(min(left, 65536))):
            left -= len(got)
