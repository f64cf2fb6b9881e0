"""Records on disk: appended whole, readable after a cut at any byte."""

from __future__ import annotations

import json
import tempfile
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import HostError
from runner.records.files import append_line, read_lines, to_json, write_whole
from runner.records.schema import Event, TrialRecord, UsageRecord, now

ANY_TEXT = st.text(st.characters(), max_size=60)  # lone surrogates included


def event(name: str) -> Event:
    return Event(at="2026-01-01T00:00:00.000Z", event=name)


def names(path: Path) -> list[str]:
    return [record.event for record in read_lines(path, Event)]


def test_a_file_that_is_not_there_holds_no_records(tmp_path: Path) -> None:
    """Reading before the first write gives nothing and makes no file."""
    assert names(tmp_path / "events.jsonl") == []
    assert list(tmp_path.iterdir()) == []


def test_a_cut_at_any_byte_costs_the_torn_line_alone(tmp_path: Path) -> None:
    """After a crash in the middle of a line, every whole line and every later one is read."""
    path = tmp_path / "events.jsonl"
    for name in ("one", "two", "three"):
        append_line(path, event(name))
    whole = path.read_bytes()
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        kept = [n for n in ("one", "two", "three") if whole.find(n.encode()) < cut]
        if kept and not whole[:cut].rstrip(b"\n").endswith(b"}}"):
            kept = kept[: whole[:cut].count(b"\n")]
        assert names(path) == kept, cut
        append_line(path, event("after"))
        assert names(path) == [*kept, "after"], cut


@given(ANY_TEXT, ANY_TEXT)
def test_any_words_of_a_contestant_can_be_recorded(words: str, value: str) -> None:
    """Whatever text an agent sends becomes one line of UTF-8 that reads back, surrogates marked."""
    record = TrialRecord(
        trial=7, source="agent", request="r", status="ok", hypothesis=words,
        knobs_changed={"X": ("a", value)},
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trials.jsonl"
        append_line(path, record)
        (line,) = path.read_bytes().splitlines()
        (read,) = read_lines(path, TrialRecord)
    assert json.loads(line)["trial"] == 7
    assert read.hypothesis == words.encode("utf-8", "replace").decode()
    assert read.knobs_changed == {"X": ("a", value.encode("utf-8", "replace").decode())}


def test_foreign_lines_are_passed_over(tmp_path: Path) -> None:
    """Lines of another kind, garbage and bytes that are no UTF-8 cost nothing but themselves."""
    path = tmp_path / "events.jsonl"
    append_line(path, event("first"))
    with path.open("ab") as file:
        file.write(b'{"trial": 1}\n\n\xff\xfe\n[1, 2]\nnull\n{"at":1,"event":"x"}\n')
    append_line(path, event("last"))
    assert names(path) == ["first", "last"]


def test_a_disk_that_takes_nothing_is_an_error(tmp_path: Path) -> None:
    """A full disk is told to the caller, not swallowed."""
    full = tmp_path / "events.jsonl"
    full.symlink_to("/dev/full")
    with pytest.raises(HostError, match="No space left"):
        append_line(full, event("lost"))


def test_a_line_is_not_done_before_it_is_on_the_disk(tmp_path: Path) -> None:
    """Where fsync fails the append fails: /dev/null takes every write and no fsync."""
    path = tmp_path / "events.jsonl"
    path.symlink_to("/dev/null")
    with pytest.raises(HostError, match="Invalid argument"):
        append_line(path, event("lost"))


def test_a_small_file_is_replaced_whole(tmp_path: Path) -> None:
    """The new text takes the place of the old one and nothing else is left beside it."""
    path = tmp_path / "result.json"
    write_whole(path, "old")
    write_whole(path, "new \ud800")
    assert path.read_text(encoding="utf-8") == "new ?"
    assert list(tmp_path.iterdir()) == [path]


def test_an_indented_record_reads_back() -> None:
    """The form for people holds the same values."""
    made = event("run.started")
    assert Event.model_validate_json(to_json(made)) == made


def test_a_moment_is_in_utc_with_milliseconds() -> None:
    """Timestamps end with Z and parse as ISO 8601."""
    moment = now()
    assert moment.endswith("Z")
    assert datetime.fromisoformat(moment).tzinfo is not None
    assert len(moment) == len("2026-01-01T00:00:00.000Z")


def test_all_kinds_of_tokens_count_once() -> None:
    """A token budget counts input, both caches and output; reasoning is in the output already."""
    record = UsageRecord(
        at="", request="r", provider="p", model="m", input_tokens=1, cached_read_tokens=10,
        cache_write_5m_tokens=100, cache_write_1h_tokens=1000, output_tokens=10_000,
        reasoning_tokens=5,
    )  # fmt: skip
    assert record.tokens == 11_111
