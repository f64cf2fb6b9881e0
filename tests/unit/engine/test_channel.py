"""A channel to a container that reads, one that does not, and one that is gone."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from runner.engine.channel import Channel
from runner.engine.outbox import Outbox
from runner.errors import EngineError

SOON = 10.0
AT_ONCE = 10.0  # for a call that must not wait: one that does would do so for ever
FULL_BYTES = 4 << 20  # more than a socket takes that nobody reads


class Ends:
    """A channel and the container's end of it."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        self.channel = Channel(ours, iter(()))

    def read(self, size_bytes: int) -> bytes:
        self.theirs.settimeout(SOON)
        got = b""
        while len(got) < size_bytes and (piece := self.theirs.recv(1 << 16)):
            got += piece
        return got


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.channel.close()
    made.theirs.close()


def test_lines_arrive_whole_and_in_their_order(ends: Ends) -> None:
    """Those of one thread in the order of its calls, and none in the middle of another."""
    words = [f"{number} ".encode() * 300 + b"\n" for number in range(200)]

    def send(lines: list[bytes]) -> None:
        for line in lines:
            ends.channel.send(line)

    others = [b"other\n"] * len(words)
    senders = [threading.Thread(target=send, args=(lines,)) for lines in (words, others)]
    for sender in senders:
        sender.start()
    got = ends.read(sum(map(len, words)) + 6 * len(words)).splitlines(keepends=True)
    for sender in senders:
        sender.join()
    assert [line for line in got if line != b"other\n"] == words
    assert got.count(b"other\n") == len(words)


def test_a_container_that_does_not_read_holds_up_nobody(ends: Ends) -> None:
    """Sending returns at once; what has no room is refused, and the rest arrives when it reads."""
    began = time.monotonic()
    ends.channel.send(b"a" * FULL_BYTES)
    ends.channel.send(b"b")
    with pytest.raises(EngineError, match="does not read"):
        ends.channel.send(b"c", room_bytes=FULL_BYTES)
    with pytest.raises(EngineError, match="does not listen"):
        ends.channel.send(b"c" * 2 * FULL_BYTES)
    assert not ends.channel.drain(0.05)
    assert time.monotonic() - began < AT_ONCE
    assert ends.read(FULL_BYTES + 1) == b"a" * FULL_BYTES + b"b"
    assert ends.channel.drain(SOON)
    ends.channel.send(b"d")
    assert ends.read(1) == b"d"


def test_where_nothing_waits_there_is_room(ends: Ends) -> None:
    """A first message is taken however long it is."""
    ends.channel.send(b"a" * 100, room_bytes=0)
    assert ends.read(100) == b"a" * 100


def test_closing_ends_a_write_that_nobody_reads(ends: Ends) -> None:
    """The writer does not outlive its channel, and nothing more is taken."""
    before = set(threading.enumerate())
    ends.channel.send(b"a" * FULL_BYTES)
    (writer,) = set(threading.enumerate()) - before
    ends.channel.close()
    writer.join(SOON)
    assert not writer.is_alive()
    with pytest.raises(EngineError, match="it was closed"):
        ends.channel.send(b"b")
    assert not ends.channel.drain(0.0)


def test_what_was_sent_just_before_the_close_arrives(ends: Ends) -> None:
    """Whoever sends and leaves has said it."""
    ends.channel.send(b"a" * 1000)
    ends.channel.close()
    assert ends.read(2000) == b"a" * 1000


def test_a_container_that_is_gone_is_an_error_soon(ends: Ends) -> None:
    """The first message may still be taken; the fault of its writing refuses the next."""
    ends.theirs.close()
    ends.channel.send(b"anybody?\n")
    assert not ends.channel.drain(SOON)
    with pytest.raises(EngineError, match="it is gone"):
        ends.channel.send(b"anybody?\n")


def test_an_outbox_nobody_puts_into_has_no_thread() -> None:
    """Most containers of a run are told one thing; a thread that waits for nothing costs memory."""
    before = threading.active_count()
    outbox = Outbox(lambda _: None)
    assert outbox.drain(0.0)
    outbox.close()
    assert threading.active_count() == before
