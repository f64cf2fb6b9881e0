"""Copies an agent's files into `runs/<run id>/`: its notes, its program, its bundle, transcripts.

Nothing that is collected is executed or trusted. Each file must be a regular one, its size is
bounded, and it is asked for by a name that no contestant can choose.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from runner.engine.client import Engine
from runner.errors import EngineError
from runner.records.files import explained, write_whole
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.records.schema import Event

AGENT_STATE = "/home/agent/.bakeoff"
MAX_TRANSCRIPT_BYTES = 64 << 20
MAX_TRANSCRIPTS_BYTES = 1 << 30
MAX_JUDGED_BYTES = 8 << 20  # as much as is parsed in two seconds
MAX_JUDGED_LINES = 100_000
MAX_REASON_CHARS = 300
BUNDLE = "repo.bundle"
PACKING = "packing the repository"  # in what agentd says of a failure
COLLECTED, LEFT_OUT, LOST = "transcript.collected", "transcript.left_out", "transcript.lost"

# name in artifacts/ → (path in the agent's container, how many bytes are copied at most)
WATCHED = {
    "experiments.csv": ("/workspace/experiments.csv", 16 << 20),
    "STATUS.md": ("/workspace/STATUS.md", 4 << 20),
}
AT_THE_END = {
    **WATCHED,
    "train.py": ("/workspace/train.py", 1 << 20),
    BUNDLE: (f"{AGENT_STATE}/repo.bundle", 256 << 20),
}


class Collector:
    """Copies an agent's files into the run's directory; `StudyCollector` is that of a baseline.

    Args:
        engine: where the container is.
        run_dir: where the files go.
        journal: gets an event for every change.
        container: the contestant's container.
    """

    def __init__(self, engine: Engine, run_dir: RunDir, journal: Journal, container: str) -> None:
        self._engine = engine
        self._run_dir = run_dir
        self._journal = journal
        self._container = container
        self._copied: dict[str, bytes] = {}
        self._unreadable: dict[str, str] = {}
        self._transcripts_bytes = 0

    def container_restarted(self, container: str) -> None:
        """The container was made anew; this is the new one, and no turn runs in it yet."""
        self._container = container
        self.cut_turns()

    def poll(self) -> None:
        """Copy the watched files that have changed since the last call."""
        for name, (path, limit) in WATCHED.items():
            self._copy(name, path, limit)

    def finish(self) -> list[str]:
        """Copy everything that a run leaves behind, after its last turn.

        Returns:
            Why its repository could not be had, a sentence; nothing if it could.
        """
        self.cut_turns()
        for turn in _turns_without_transcript(self._journal.events()):
            self._journal.write(LOST, turn=turn)
        for name, (path, limit) in AT_THE_END.items():
            self._copy(name, path, limit)
        if BUNDLE in self._copied:
            return []
        return [f"{BUNDLE}: the agent's repository could not be collected: {self._why_missing()}"]

    def _why_missing(self) -> str:
        """Why there is no packed repository: by what the engine said, or the agent's PID 1."""
        unreadable = self._unreadable.get(AT_THE_END[BUNDLE][0])
        said = (
            str(event.fields.get("message", ""))[:MAX_REASON_CHARS]
            for event in reversed(self._journal.events())
            if event.event == "container.problem" and event.fields.get("during") == PACKING
        )
        return unreadable or next(said, "its container ended without packing it")

    def transcript(self, turn: int, path: str) -> list[str]:
        """Append a turn's raw transcript to `transcript.jsonl`, and return the lines to judge."""
        content = without_blank_lines(self._fetch(path, MAX_TRANSCRIPT_BYTES) or b"")
        self._append(turn, content)
        return judged_lines(content)

    def cut_turns(self) -> None:
        """Append the transcripts of turns whose end no runner saw, up to where they were cut.

        They lie on the agent's volume, which outlives its container.
        """
        for turn in _turns_without_transcript(self._journal.events()):
            path = f"{AGENT_STATE}/transcript-{turn}.jsonl"
            content = self._fetch(path, MAX_TRANSCRIPT_BYTES)
            if content is None:
                continue
            content = without_blank_lines(content)
            if _ends_with(self._run_dir.transcript, content):  # the runner was killed just then
                self._journal.write(COLLECTED, turn=turn, bytes=len(content))
            else:
                self._append(turn, content)

    def _append(self, turn: int, content: bytes) -> None:
        self._transcripts_bytes += len(content)
        if self._transcripts_bytes > MAX_TRANSCRIPTS_BYTES:
            self._journal.write(LEFT_OUT, turn=turn, bytes=len(content))
            return
        with explained(self._run_dir.transcript), self._run_dir.transcript.open("ab") as file:
            file.write(content)
        self._journal.write(COLLECTED, turn=turn, bytes=len(content))

    def _copy(self, name: str, path: str, limit: int) -> None:
        content = self._fetch(path, limit)
        if content is None or self._copied.get(name) == content:
            return
        self._copied[name] = content
        folder = self._run_dir.artifacts
        with explained(folder / name):
            folder.mkdir(exist_ok=True)
        write_whole(folder / name, content)
        self._journal.write("artifact.collected", name=name, bytes=len(content))
        if len(content) >= limit:
            self._journal.write("artifact.cut", name=name, at_bytes=limit)

    def _fetch(self, path: str, limit: int) -> bytes | None:
        if not self._container:
            return None
        try:
            return self._engine.get_file(self._container, path, limit)
        except EngineError as error:
            self._report_once(path, error.message[:MAX_REASON_CHARS])
            return None

    def _report_once(self, path: str, error: str) -> None:
        """Journal why a path cannot be read, unless the last attempt failed in the same way."""
        if self._unreadable.get(path) != error:
            self._unreadable[path] = error
            self._journal.write("artifact.unreadable", path=path, error=error)


def _turns_without_transcript(events: Iterable[Event]) -> list[int]:
    """The turns that began and whose transcript no runner has tried to keep, in order.

    Runs of earlier versions kept it before they journalled the turn's end.
    """
    turns: dict[int, None] = {}
    for event in events:
        turn = event.fields.get("turn")
        if isinstance(turn, int) and event.event == "turn.started":
            turns[turn] = None
        elif isinstance(turn, int) and event.event in ("turn.finished", LOST, COLLECTED, LEFT_OUT):
            turns.pop(turn, None)
    return list(turns)


def _ends_with(path: Path, content: bytes) -> bool:
    """Whether the file's last bytes are these; also when there are none."""
    if not content or not path.exists():
        return not content
    with explained(path), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - len(content)))
        return file.read() == content


def without_blank_lines(content: bytes) -> bytes:
    """The transcript without empty lines, and with a line feed after the last line."""
    whole = re.sub(rb"\n\n+", b"\n", content).strip(b"\n")
    return whole + b"\n" if whole else b""


def judged_lines(content: bytes) -> list[str]:
    """The last lines of a transcript, which hold its results.

    They are split at line feeds alone: JSON may hold the other characters that Python splits at.
    """
    end = content[-MAX_JUDGED_BYTES:]
    if len(end) < len(content):
        end = end.partition(b"\n")[2]
    lines = end.removesuffix(b"\n").rsplit(b"\n", MAX_JUDGED_LINES)[-MAX_JUDGED_LINES:]
    return [line.decode("utf-8", "replace") for line in lines if line]
