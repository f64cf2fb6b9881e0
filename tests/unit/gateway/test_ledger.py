"""The ledger: neither the death of the process nor a full volume loses a charge."""

from __future__ import annotations

import json
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images.gateway.gatewayd.accounting.ledger import Ledger, LedgerError, Reservation

from .conftest import Make
from .rig import RunningGateway


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """No file of this process grows beyond a size; to its writer this is a full volume."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def reservation(number: int, usd: str = "1.5", tokens: int = 100) -> Reservation:
    return Reservation(f"{number:06d}", Decimal(usd), tokens, {"model": "m"})


def test_a_reopened_ledger_adds_up(tmp_path: Path) -> None:
    """It gives the settled sums, the open reservations, and the number of the last request."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.reserve(reservation(1))
    ledger.reserve(reservation(2))
    ledger.settle("000001", Decimal("0.25"), 10, {})
    ledger.close()
    again = Ledger(tmp_path / "ledger.jsonl")
    state = again.replay()
    again.close()
    assert (state.usd, state.tokens, state.requests) == (Decimal("0.25"), 10, 2)
    assert state.last_request == 2
    assert state.open == {"000002": reservation(2)}


def test_an_incomplete_line_is_removed(tmp_path: Path) -> None:
    """A line that a crash cut short is neither used nor joined to the next line."""
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    ledger.reserve(reservation(1))
    ledger.close()
    whole = path.read_bytes()
    for cut in range(1, len(whole)):
        path.write_bytes(whole + whole[:cut])
        again = Ledger(path)
        again.reserve(reservation(2, usd="0.5"))
        again.close()
        lines = path.read_text().splitlines()
        assert [json.loads(line)["request"] for line in lines] == ["000001", "000002"]
        path.unlink()


@given(st.binary(max_size=300))
def test_any_bytes_can_be_read_as_a_ledger(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes
) -> None:
    """Reading never fails; a line that cannot be read counts for nothing."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.jsonl"
    path.write_bytes(junk + b"\n")
    ledger = Ledger(path)
    assert ledger.replay().usd == 0
    ledger.close()


def test_a_full_volume_refuses_reservations_and_keeps_settlements(tmp_path: Path) -> None:
    """Nothing may be forwarded; a settlement is kept and written before the next line."""
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    ledger.reserve(reservation(1))
    size = path.stat().st_size
    for free_bytes in (0, 1, 50):
        with files_end_at(size + free_bytes):
            with pytest.raises(LedgerError):
                ledger.reserve(reservation(2))
            assert path.stat().st_size == size
    with files_end_at(size + 10):
        assert ledger.settle("000001", Decimal("0.25"), 10, {}) is False
        with pytest.raises(LedgerError):
            ledger.reserve(reservation(3))
    ledger.reserve(reservation(4))
    state = ledger.replay()
    ledger.close()
    assert state.usd == Decimal("0.25")
    assert list(state.open) == ["000004"]


def test_a_gateway_on_a_full_volume_refuses_and_recovers(make: Make) -> None:
    """Nothing is forwarded while the ledger cannot be written; afterwards everything goes on."""
    gateway = make("anthropic", caps={"usd": 10})
    assert gateway.send().status == 200
    gateway.usage_records(1)
    with files_end_at((gateway.folder / "state" / "ledger.jsonl").stat().st_size + 20):
        reply = gateway.send()
    assert (reply.status, reply.headers["retry-after"]) == (529, "30")
    assert len(gateway.served) == 1
    assert gateway.send().status == 200
    assert [reason for reason, _ in gateway.events.refusals] == ["ledger"]


def restarted(gateway: RunningGateway) -> RunningGateway:
    """The same gateway after a restart of its container."""
    gateway.stop()
    return RunningGateway(gateway.background, gateway.folder, gateway.api, gateway.config).start()


def test_caps_survive_a_restart(make: Make) -> None:
    """What was spent before a restart counts after it, and request numbers go on."""
    gateway = make("anthropic", caps={"tokens": 3200})
    for _ in range(2):
        assert gateway.send({"input": 900, "output": 100}).status == 200
    again = restarted(gateway)
    try:
        replies = [again.send({"input": 900, "output": 50}) for _ in range(2)]
        assert [reply.status for reply in replies] == [200, 402]
        assert again.usage_records(1)[0]["request"] == "000003"
        assert again.context.budget.spent_usd > gateway.context.budget.spent_usd
    finally:
        again.stop()


def test_an_open_request_is_charged_its_worst_case_at_the_end(make: Make) -> None:
    """A request that the end of the gateway cuts is charged exactly once."""
    gateway = make("anthropic")
    asked = threading.Thread(target=gateway.send, args=({"pause": 5},))
    asked.start()
    gateway.wait_for_requests(1)
    gateway.stop()
    asked.join()
    [record] = gateway.events.records
    assert (record["charged_by"], record["cost_usd"] > 0) == ("reservation", True)
    again = RunningGateway(gateway.background, gateway.folder, gateway.api, gateway.config).start()
    try:
        assert again.events.records == []
        assert float(again.context.budget.spent_usd) == pytest.approx(record["cost_usd"])
    finally:
        again.stop()
