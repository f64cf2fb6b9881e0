"""The frames between a trial and the judge: what is sent arrives, and nonsense has a name."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer import frames

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two connected sockets."""
    one, other = socket.socketpair(socket.AF_UNIX)
    for end in (one, other):
        end.settimeout(5)
    with one, other:
        yield one, other


def test_what_is_sent_arrives(pair: Pair) -> None:
    """JSON and plain bytes come out as they went in."""
    one, other = pair
    frames.send_json(one, {"hello": 1, "fraction": 0.5, "text": "é"})
    assert frames.receive_json(other) == {"hello": 1, "fraction": 0.5, "text": "é"}
    frames.send_frame(one, frames.LOGITS, memoryview(bytes(range(12))).cast("f"))
    assert frames.receive_header(other) == (b"L", 12)
    content = bytearray(12)
    frames.receive_into(other, memoryview(content))
    assert content == bytes(range(12))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_an_error(content: bytes) -> None:
    """Reading raises nothing but the named errors, whatever comes."""
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        other.settimeout(5)
        one.sendall(content)
        one.close()
        try:
            assert isinstance(frames.receive_json(other), dict)
        except (frames.FrameError, frames.ClosedError):
            return


@given(st.recursive(st.none() | st.floats() | st.text(), st.lists, max_leaves=20))
def test_only_an_object_is_taken(body: object) -> None:
    """Other JSON, and NaN within an object, is refused."""
    with pytest.raises(frames.FrameError):
        frames.read_json(json.dumps(body).encode())
    with pytest.raises(frames.FrameError):
        frames.read_json(json.dumps({"value": float("nan")}).encode())


@pytest.mark.parametrize(
    ("wanted", "length", "vocabulary", "rows"),
    [
        (8, 256, 1024, 8),
        (10**9, 256, 1024, 512),
        (128, 2048, 8192, 8),
        (2000, 8, 16, 1024),
        (4, 2**20, 2**20, 1),
    ],
)
def test_the_rows_of_a_batch_are_bounded(
    wanted: int, length: int, vocabulary: int, rows: int
) -> None:
    """By what is wanted, by 1,024, and by 2^27 numbers; one at least."""
    assert frames.rows_of_a_batch(wanted, length, vocabulary) == rows
