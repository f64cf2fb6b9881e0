"""The meter: it finds usage where the API puts it, in bounded memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from images.gateway.gatewayd.dialects import DIALECTS
from images.gateway.gatewayd.provider.meter import MAX_EVENT_BYTES, JsonMeter, StreamMeter

ANTHROPIC = DIALECTS["anthropic"][0]


@pytest.mark.parametrize("step", [1, 7, 64, 100_000])
def test_the_meter_does_not_depend_on_chunk_boundaries(step: int) -> None:
    """Usage is found wherever the chunks of a stream begin."""
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


def test_usage_written_by_the_model_is_ignored() -> None:
    """A tool call with a field `usage` changes nothing."""
    meter = JsonMeter(ANTHROPIC)
    meter.feed(
        b'{"type": "message", "content": [{"type": "tool_use", "input": {"usage": '
        b'{"input_tokens": 0, "output_tokens": 0}}}], "usage": {"input_tokens": 5, '
        b'"output_tokens": 9}}'
    )
    meter.close()
    assert (meter.report.tokens.input, meter.report.tokens.output) == (5, 9)


@contextmanager
def traced_memory() -> Iterator[Callable[[], int]]:
    """Gives the bytes that Python has allocated since the beginning of the block."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_an_endless_event_takes_bounded_memory() -> None:
    """The event is not read; the events after it are read again."""
    meter = StreamMeter(ANTHROPIC)
    meter.feed(b"data: ")
    with traced_memory() as traced_bytes:
        for _ in range(2 * MAX_EVENT_BYTES // 65536):
            meter.feed(bytes(65536))
            assert traced_bytes() <= MAX_EVENT_BYTES + 65536
    meter.feed(b'\n\ndata: {"type": "message_delta", "usage": {"output_tokens": 9}}\n\n')
    assert meter.report.tokens.output == 9
