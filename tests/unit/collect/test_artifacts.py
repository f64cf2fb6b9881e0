"""Transcripts of turns that were cut: fetched from the agent's volume once, in order, or named.

The same of a repository that is missing at the end.
"""

from __future__ import annotations

import pytest

from runner.collect.artifacts import AGENT_STATE, Collector
from runner.engine.client import Engine
from runner.errors import EngineError
from runner.records.journal import Journal
from runner.records.layout import RunDir


class VolumeEngine(Engine):
    """An engine that has nothing but the files of an agent's volume."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def get_file(self, container: str, path: str, max_bytes: int) -> bytes | None:
        assert container == "agent"
        if path in self.files and self.files[path] == b"hostile":
            raise EngineError(f"reading {path}: too many levels of symbolic links")
        content = self.files.get(path)
        return None if content is None else content[:max_bytes]


def path(turn: int) -> str:
    return f"{AGENT_STATE}/transcript-{turn}.jsonl"


def collector(run_dir: RunDir, files: dict[str, bytes]) -> Collector:
    return Collector(VolumeEngine(files), run_dir, Journal(run_dir), "agent")


def turns(run_dir: RunDir, event: str) -> list[int]:
    return [e.fields["turn"] for e in Journal(run_dir).events() if e.event == event]


def begin(run_dir: RunDir, turn: int, *, ended: bool = False) -> None:
    Journal(run_dir).write("turn.started", turn=turn, prompt="nudge")
    if ended:
        Journal(run_dir).write("turn.finished", turn=turn)


def test_a_turn_that_was_cut_is_kept_up_to_the_cut(run_dir: RunDir) -> None:
    """Its last line may be half; a turn that ended is not fetched a second time."""
    begin(run_dir, 1, ended=True)
    begin(run_dir, 2)
    files = {path(1): b"old\n", path(2): b'{"one": 1}\n\n{"tw'}
    for _ in range(2):
        collector(run_dir, files).cut_turns()
    assert run_dir.transcript.read_bytes() == b'{"one": 1}\n{"tw\n'
    assert turns(run_dir, "transcript.collected") == [2]


def test_a_turn_whose_transcript_was_kept_is_over(run_dir: RunDir) -> None:
    """The runner was killed between the transcript and the line that the turn has ended."""
    begin(run_dir, 1)
    files = {path(1): b"one\n"}
    assert collector(run_dir, files).transcript(1, path(1)) == ["one"]
    collector(run_dir, files).cut_turns()
    assert run_dir.transcript.read_bytes() == b"one\n"


def test_a_transcript_that_was_appended_and_not_journalled_is_not_doubled(run_dir: RunDir) -> None:
    """The runner was killed between the two."""
    begin(run_dir, 1)
    begin(run_dir, 2)
    run_dir.transcript.write_bytes(b"zero\none\n")
    collector(run_dir, {path(1): b"one\n", path(2): b"two\n"}).cut_turns()
    assert run_dir.transcript.read_bytes() == b"zero\none\ntwo\n"
    assert turns(run_dir, "transcript.collected") == [1, 2]


@pytest.mark.parametrize("files", [{}, {path(2): b"hostile"}])
def test_a_transcript_that_is_gone_is_named_at_the_end(
    run_dir: RunDir, files: dict[str, bytes]
) -> None:
    """While the run goes on it may still be had; at the end it is lost, and that is said once."""
    begin(run_dir, 1)
    begin(run_dir, 2)
    files = {path(1): b"one\n", **files}
    collector(run_dir, files).cut_turns()
    assert turns(run_dir, "transcript.lost") == []
    for _ in range(2):
        collector(run_dir, files).finish()
    assert turns(run_dir, "transcript.lost") == [2]
    assert run_dir.transcript.read_bytes() == b"one\n"


def test_a_container_that_was_made_anew_gives_the_cut_turn(run_dir: RunDir) -> None:
    """The agent's container died under its turn, and the run went on by itself."""
    begin(run_dir, 1)
    made = Collector(VolumeEngine({path(1): b"one\n"}), run_dir, Journal(run_dir), "dead")
    made.container_restarted("agent")
    assert run_dir.transcript.read_bytes() == b"one\n"


def test_a_turn_that_printed_nothing_is_no_loss(run_dir: RunDir) -> None:
    """It was cut before its CLI had begun to talk."""
    begin(run_dir, 1)
    collector(run_dir, {path(1): b""}).finish()
    assert turns(run_dir, "transcript.lost") == []
    assert turns(run_dir, "transcript.collected") == [1]


PACKED = f"{AGENT_STATE}/repo.bundle"


@pytest.mark.parametrize(
    ("files", "said", "why"),
    [
        ({PACKED: b"# v2 git bundle"}, "", ""),
        ({}, "", "its container ended without packing it"),
        ({PACKED: b"hostile"}, "", "too many levels of symbolic links"),
        ({}, "git bundle: exit code 128", "git bundle: exit code 128"),
    ],
)
def test_a_repository_that_is_missing_at_the_end_is_named(
    run_dir: RunDir, files: dict[str, bytes], said: str, why: str
) -> None:
    """Its volume is removed next, so the result must say that the work is lost, and why."""
    if said:
        during = "packing the repository"
        Journal(run_dir).write("container.problem", role="agent", during=during, message=said)
    problems = collector(run_dir, files).finish()
    assert len(problems) == bool(why)
    assert all(one.startswith("repo.bundle: ") and one.endswith(why) for one in problems)
