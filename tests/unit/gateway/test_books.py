"""The ledger and what is built on it: no death of the process, no full volume loses a cent."""

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

from images.gateway.gatewayd.ledger import Hold, Ledger, LedgerError

from .conftest import Make
from .rig import Live


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """No file of this process grows beyond a size: to its writer, a full volume."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def hold(number: int, usd: str = "1.5", tokens: int = 100) -> Hold:
    return Hold(f"{number:06d}", Decimal(usd), tokens, {"model": "m"})


def test_a_book_adds_up_after_it_is_opened_again(tmp_path: Path) -> None:
    """Settled sums, open reservations, and the number of the next request."""
    book = Ledger(tmp_path / "ledger.jsonl")
    book.reserve(hold(1))
    book.reserve(hold(2))
    book.settle("000001", Decimal("0.25"), 10, {})
    book.close()
    again = Ledger(tmp_path / "ledger.jsonl")
    past = again.past()
    again.close()
    assert (past.usd, past.tokens, past.requests) == (Decimal("0.25"), 10, 2)
    assert past.last_request == 2
    assert past.open == {"000002": hold(2)}


def test_a_torn_line_is_cut_off(tmp_path: Path) -> None:
    """What a crash left half written is neither believed nor joined to the next line."""
    path = tmp_path / "ledger.jsonl"
    book = Ledger(path)
    book.reserve(hold(1))
    book.close()
    whole = path.read_bytes()
    for cut in range(1, len(whole)):
        path.write_bytes(whole + whole[:cut])
        again = Ledger(path)
        again.reserve(hold(2, usd="0.5"))
        again.close()
        lines = path.read_text().splitlines()
        assert [json.loads(line)["request"] for line in lines] == ["000001", "000002"]
        path.unlink()


@given(st.binary(max_size=300))
def test_any_bytes_can_be_a_book(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    """Reading never fails: what is no line of the book counts for nothing."""
    path = tmp_path_factory.mktemp("book") / "ledger.jsonl"
    path.write_bytes(junk + b"\n")
    book = Ledger(path)
    assert book.past().usd == 0
    book.close()


def test_a_full_volume_takes_no_reservation_and_forgets_no_settlement(tmp_path: Path) -> None:
    """No room: nothing may be forwarded; a settlement waits and is written before all else."""
    path = tmp_path / "ledger.jsonl"
    book = Ledger(path)
    book.reserve(hold(1))
    size = path.stat().st_size
    for room in (0, 1, 50):
        with files_end_at(size + room):
            with pytest.raises(LedgerError):
                book.reserve(hold(2))
            assert path.stat().st_size == size
    with files_end_at(size + 10):
        assert book.settle("000001", Decimal("0.25"), 10, {}) is False
        with pytest.raises(LedgerError):
            book.reserve(hold(3))
    book.reserve(hold(4))
    past = book.past()
    book.close()
    assert past.usd == Decimal("0.25")
    assert list(past.open) == ["000004"]


def test_a_gateway_on_a_full_volume_refuses_and_recovers(make: Make) -> None:
    """While its ledger takes no line nothing is forwarded; afterwards all goes on."""
    live = make("anthropic", caps={"usd": 10})
    assert live.ask().status == 200
    live.settled(1)
    with files_end_at((live.folder / "state" / "ledger.jsonl").stat().st_size + 20):
        reply = live.ask()
    assert (reply.status, reply.headers["retry-after"]) == (529, "30")
    assert len(live.served) == 1
    assert live.ask().status == 200
    assert [reason for reason, _ in live.news.refusals] == ["ledger"]


def reborn(live: Live) -> Live:
    """The same gateway after a restart of its container."""
    live.down()
    return Live(live.background, live.folder, live.api, live.config).up()


def test_caps_outlive_a_restart(make: Make) -> None:
    """What was spent before counts after; request numbers go on."""
    live = make("anthropic", caps={"requests": 3})
    live.ask()
    live.ask()
    again = reborn(live)
    try:
        assert [again.ask().status for _ in range(2)] == [200, 402]
        assert again.settled(1)[0]["request"] == "000003"
        assert again.desk.budget.spent_usd > live.desk.budget.spent_usd
    finally:
        again.down()


def test_what_was_under_way_at_the_end_is_charged_its_worst_case(make: Make) -> None:
    """A request that the end of the gateway cuts is in the books, once."""
    live = make("anthropic")
    asked = threading.Thread(target=live.ask, args=({"pause": 5},))
    asked.start()
    live.seen(1)
    live.down()
    asked.join()
    [record] = live.news.records
    assert (record["charged_by"], record["cost_usd"] > 0) == ("reservation", True)
    again = Live(live.background, live.folder, live.api, live.config).up()
    try:
        assert again.news.records == []
        assert float(again.desk.budget.spent_usd) == pytest.approx(record["cost_usd"])
    finally:
        again.down()
