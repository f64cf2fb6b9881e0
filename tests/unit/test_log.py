"""Lines for whoever watches, as long as somebody does."""

from __future__ import annotations

import errno
import io

import pytest

from runner.log import Unbreakable


class HungUp(io.StringIO):
    """A terminal that was closed."""

    def write(self, text: str) -> int:
        raise OSError(errno.EIO, text)

    def flush(self) -> None:
        raise OSError(errno.EIO, "flush")


@pytest.mark.parametrize("stream", [HungUp(), io.StringIO()], ids=["hung up", "closed"])
def test_a_reader_that_went_away_ends_nothing(stream: io.StringIO) -> None:
    """What cannot be written is dropped: the journal has it."""
    if not isinstance(stream, HungUp):
        stream.close()
    unbreakable = Unbreakable(stream)
    assert unbreakable.write("run.ending\n") == len("run.ending\n")
    unbreakable.flush()


def test_what_can_be_written_is_written() -> None:
    """Nothing is dropped without need."""
    stream = io.StringIO()
    Unbreakable(stream).write("run.ending\n")
    assert stream.getvalue() == "run.ending\n"
