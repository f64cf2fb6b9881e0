"""What is left out of a log that its reader is too slow for, and what it is told about that."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from runner.engine.channel import Channel
from runner.errors import EngineError
from runner.sandbox.log_lines import LOG_ROOM_BYTES, LogLines
from runner.wire.messages import MESSAGES, Message, TrialFinished, TrialLog
from runner.wire.protocol import decode

LINE = TrialLog("r-1", "x" * 2000)
FINISHED = TrialFinished("r-1", 1, "ok", 1.5, 60.0)


class FullChannel(Channel):
    """A channel whose container reads nothing; `waiting` is what it was sent."""

    def __init__(self) -> None:
        self.waiting: list[bytes] = []
        self.reads = False

    def send(self, data: bytes, room_bytes: int = 8 << 20) -> None:
        if not self.reads and sum(map(len, self.waiting)) + len(data) > room_bytes:
            raise EngineError("it does not read")
        self.waiting.append(data)

    def messages(self) -> Iterator[Message | None]:
        for line in b"".join(self.waiting).splitlines():
            yield decode(line, MESSAGES)


@pytest.fixture
def channel() -> FullChannel:
    return FullChannel()


def fill(lines: LogLines, channel: FullChannel) -> None:
    """Send lines until one is left out."""
    with contextlib.suppress(EngineError):
        while True:
            lines.send(channel, LINE)


def test_lines_are_left_out_and_counted_until_there_is_room(channel: FullChannel) -> None:
    """The next line that is passed on comes after a line that says how many are missing."""
    lines = LogLines()
    fill(lines, channel)
    passed = len(channel.waiting)
    for _ in range(2):
        with pytest.raises(EngineError):
            lines.send(channel, LINE)
    channel.waiting.clear()
    lines.send(channel, LINE)
    note, line = channel.messages()
    assert isinstance(note, TrialLog)
    assert (note.request, note.line[:37]) == ("r-1", "(3 lines of the log were left out: to")
    assert line == LINE
    assert passed * 2000 > LOG_ROOM_BYTES * 0.9
    lines.send(channel, LINE)
    assert list(channel.messages())[2:] == [LINE], "it is said once"


def test_the_end_of_a_trial_gets_through_and_says_what_is_missing(channel: FullChannel) -> None:
    """A full log holds up no other message, and the count comes before the trial's end."""
    lines = LogLines()
    fill(lines, channel)
    lines.send(channel, FINISHED)
    *_, note, finished = channel.messages()
    assert isinstance(note, TrialLog)
    assert note.line.startswith("(1 line of the log")
    assert finished == FINISHED


def test_the_log_of_another_trial_is_complete(channel: FullChannel) -> None:
    """What one trial lost is not said of the next."""
    lines = LogLines()
    fill(lines, channel)
    channel.waiting.clear()
    lines.send(channel, TrialLog("r-2", "step 1"))
    assert list(channel.messages()) == [TrialLog("r-2", "step 1")]


def test_what_is_left_out_ends_in_one_piece(channel: FullChannel) -> None:
    """Lines go on only when half of the room is free, so that notes and lines do not alternate."""
    lines = LogLines()
    fill(lines, channel)
    del channel.waiting[0]
    with pytest.raises(EngineError):
        lines.send(channel, LINE)
    del channel.waiting[: len(channel.waiting) // 2 + 2]
    lines.send(channel, LINE)
    assert list(channel.messages())[-1] == LINE
