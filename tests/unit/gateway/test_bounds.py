"""Bounds on memory and rate, the audit's records, and the clock of outages."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from pathlib import Path

import pytest

from images.gateway.gatewayd.dialects import DIALECTS
from images.gateway.gatewayd.meter import MAX_EVENT_BYTES, AnswerMeter, StreamMeter
from images.gateway.gatewayd.outages import Outages
from images.gateway.gatewayd.recorder import MAX_BODY_BYTES, Recorder
from images.gateway.gatewayd.refusal import Reason, Refusal
from images.gateway.gatewayd.room import Room, parsed_bytes

from .conftest import Make
from .rig import KEY, TOKEN

ANTHROPIC = DIALECTS["anthropic"][0]


async def test_room_is_given_in_order_and_given_back() -> None:
    """A small share does not overtake a large one; what fits is there at once."""
    room = Room(100, patience_seconds=5)
    order: list[str] = []

    async def take(name: str, size: int) -> None:
        async with room.share(size):
            order.append(name)

    async with room.share(80):
        waiting = [asyncio.create_task(take(*item)) for item in (("large", 90), ("small", 10))]
        await asyncio.sleep(0)
        assert order == []
    await asyncio.gather(*waiting)
    assert order == ["large", "small"]


async def test_room_that_is_not_there_is_refused() -> None:
    """Never for a share beyond the whole, and later for one that does not come free in time."""
    room = Room(100, patience_seconds=0.01)
    with pytest.raises(Refusal) as never:
        async with room.share(101):
            pass
    assert never.value.reason is Reason.SIZE
    async with room.share(60):
        with pytest.raises(Refusal) as later:
            async with room.share(60):
                pass
    assert later.value.reason is Reason.BUSY
    async with room.share(100):
        pass


def test_a_small_body_that_grows_is_seen_to_be_large() -> None:
    """A megabyte of empty lists is counted as what it becomes."""
    assert parsed_bytes(b"[" + b"[]," * 350_000 + b"[]]") > 40_000_000
    assert parsed_bytes(b"x" * 1_000_000) == 3_000_000


def test_a_body_that_grows_beyond_all_room_is_refused(make: Make) -> None:
    """It is not parsed at all, and others go on."""
    live = make("anthropic")
    body = b'{"messages": [' + b"[]," * 900_000 + b"[]]}"
    assert live.ask(body=body).status == 413
    assert live.ask().status == 200


@pytest.mark.parametrize("step", [1, 7, 64, 100_000])
def test_usage_is_found_however_the_stream_is_cut_in_pieces(step: int) -> None:
    """The meter does not depend on where chunks begin."""
    stream = (
        b'event: message_start\ndata: {"type": "message_start", "message": {"usage": '
        b'{"input_tokens": 5, "output_tokens": 1}}}\r\n\r\n: a comment\n\n'
        b'data: {"type": "content_block_delta", "delta": {"text": "\\"usage\\": {"}}\n\n'
        b'data: {"type": "message_delta", "usage": {"output_tokens": 9}}'
    )
    meter = StreamMeter(ANTHROPIC)
    for start in range(0, len(stream), step):
        meter.feed(stream[start : start + step])
    meter.close()
    assert (meter.report.tokens.input, meter.report.tokens.output) == (5, 9)
    assert meter.report.final


def test_usage_that_the_model_writes_is_no_usage() -> None:
    """A tool call with a field of that name changes nothing."""
    meter = AnswerMeter(ANTHROPIC)
    meter.feed(
        b'{"type": "message", "content": [{"type": "tool_use", "input": {"usage": '
        b'{"input_tokens": 0, "output_tokens": 0}}}], "usage": {"input_tokens": 5, '
        b'"output_tokens": 9}}'
    )
    meter.close()
    assert (meter.report.tokens.input, meter.report.tokens.output) == (5, 9)


def test_an_endless_event_takes_no_memory() -> None:
    """It is passed on unread; the events after it are read again."""
    meter = StreamMeter(ANTHROPIC)
    meter.feed(b"data: ")
    for _ in range(2 * MAX_EVENT_BYTES // 65536):
        meter.feed(b"x" * 65536)
        assert meter.kept_bytes <= MAX_EVENT_BYTES
    meter.feed(b'\n\ndata: {"type": "message_delta", "usage": {"output_tokens": 9}}\n\n')
    assert meter.report.tokens.output == 9


def test_records_hold_the_bodies_without_secrets(make: Make) -> None:
    """RECORD=1 keeps what was asked and answered, compressed; token and key are not in it."""
    live = make("anthropic", record=True)
    reply = live.ask(system=f"my token is {TOKEN} and a key is {KEY}")
    live.settled(1)
    folder = live.folder / "state" / "records"
    asked = gzip.decompress((folder / "000001.request.json.gz").read_bytes())
    answered = gzip.decompress((folder / "000001.response.gz").read_bytes())
    assert b"my token is [removed] and a key is [removed]" in asked
    assert answered == reply.body


def test_a_record_finds_a_secret_between_two_chunks(tmp_path: Path) -> None:
    """However the bytes come, the secret does not reach the disk."""
    for cut in range(1, len(KEY)):
        recorder = Recorder(tmp_path / str(cut), (KEY.encode(),))
        record = recorder.response("1")
        for piece in (f"before {KEY[:cut]}", f"{KEY[cut:]} after"):
            record.feed(piece.encode())
        record.close()
        kept = gzip.decompress((tmp_path / str(cut) / "1.response.gz").read_bytes())
        assert kept == b"before [removed] after"


def test_a_record_is_bounded(tmp_path: Path) -> None:
    """Beyond its bound a body is cut, and the name of the file says so."""
    record = Recorder(tmp_path / "r", ()).response("1")
    for _ in range(MAX_BODY_BYTES // (1 << 20) + 1):
        record.feed(bytes(1 << 20))
    record.close()
    [path] = (tmp_path / "r").iterdir()
    assert path.name == "1.response.cut.gz"
    assert len(zlib.decompress(path.read_bytes(), wbits=31)) == MAX_BODY_BYTES


class Clock:
    """A clock that stands still unless told."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_an_outage_lasts_from_the_first_failure_to_the_first_success() -> None:
    """Attempts that failed in between, of whichever request, belong to it."""
    told: list[tuple[float, float, str]] = []
    clock = Clock()
    outages = Outages(lambda *outage: told.append(outage), now=clock)
    clock.now = 1001
    outages.failed(1000, "status 529")
    outages.enter()
    clock.now = 1010
    outages.failed(1009, "status 500")
    outages.worked(1012)
    clock.now = 1013
    outages.leave()
    assert told == [(1000, 1012, "status 529")]


async def test_idle_time_after_a_failure_is_not_given_back() -> None:
    """An agent that sits still after a failed request gains nothing by it."""
    told: list[tuple[float, float, str]] = []
    clock = Clock()
    outages = Outages(lambda *outage: told.append(outage), bridge_seconds=0.01, now=clock)
    clock.now = 1001
    outages.failed(1000, "status 529")
    outages.enter()
    clock.now = 1005
    outages.leave()
    clock.now = 2000
    async with asyncio.timeout(5):
        while not told:
            await asyncio.sleep(0)
    outages.worked(1990)
    assert told == [(1000, 1005, "status 529")]


async def test_a_good_provider_has_no_outage() -> None:
    """Answers that work, and errors that are the client's own, open none."""
    told: list[tuple[float, float, str]] = []
    outages = Outages(lambda *outage: told.append(outage))
    outages.worked(1000)
    outages.close()
    assert told == []
