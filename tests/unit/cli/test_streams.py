"""Standard streams that survive their readers and accept any text."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import pytest

from runner.cli import streams
from runner.errors import HostError


def text_on(descriptor: int, encoding: str = "utf-8") -> io.TextIOWrapper:
    """A standard stream as `open_streams` makes it, on another descriptor."""
    return io.TextIOWrapper(
        io.BufferedWriter(streams.Stream(descriptor)), encoding, streams.SPELLED
    )


def test_a_reader_that_went_away_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Output that nobody reads is dropped without an error: the journal has it."""
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setattr("sys.stdout", text_on(writer))
    for _ in range(3):
        print("run.ending", flush=True)
    assert streams.reader_left()
    streams.check_printed()
    os.close(writer)


def test_a_full_disk_is_told_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Output that is lost although somebody wanted it is an error at the end of the command."""
    full = os.open("/dev/full", os.O_WRONLY)
    monkeypatch.setattr("sys.stdout", text_on(full))
    print("a table")
    with pytest.raises(HostError, match="No space left"):
        streams.check_printed()
    assert not streams.reader_left()
    os.close(full)


def test_what_can_be_written_is_written(tmp_path: Path) -> None:
    """Characters that an encoding does not have are spelled in ASCII, and nothing is dropped."""
    streams.open_streams()
    with (tmp_path / "out").open("wb") as file:
        stream = text_on(file.fileno(), "ascii")
        stream.write("0.9 ± 0.1 … naïve → – × \udcff 中\n")
        stream.flush()
    assert (tmp_path / "out").read_bytes() == b"0.9 +- 0.1 ... naive -> - x ? ?\n"


def test_a_stream_that_would_block_is_waited_for() -> None:
    """A stream that another program made non-blocking loses nothing."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    stream, size, got = text_on(writer), 1 << 20, bytearray()

    def read() -> None:
        while len(got) < size:
            got.extend(os.read(reader, 65536))

    thread = threading.Thread(target=read)
    thread.start()
    stream.write("x" * size)
    stream.flush()
    thread.join(60)
    assert got == b"x" * size
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("columns", ["0", "-3", "19", "", "wide", "²", "1e9"])
def test_a_width_that_cannot_be_is_forgotten(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An impossible width is dropped, so that the terminal is asked; a possible one stays."""
    monkeypatch.setenv("COLUMNS", columns)
    streams.forget_impossible_width()
    assert "COLUMNS" not in os.environ
    monkeypatch.setenv("COLUMNS", "40")
    streams.forget_impossible_width()
    assert os.environ["COLUMNS"] == "40"
