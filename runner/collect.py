"""From a run's containers into `runs/<run id>/`: the agent's own words, transcripts, the bundle.

Nothing collected is executed or trusted here: each file is asked for by name, must be a regular
one, is bounded in size, and is written under a name of ours that no content can choose.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator

from runner.engine import Engine
from runner.errors import EngineError
from runner.journal import Journal
from runner.layout import RunDir
from runner.records import explained

STATE = "/home/agent/.bakeoff"
MAX_TRANSCRIPT_BYTES = 64 << 20
MAX_TRANSCRIPTS_BYTES = 1 << 30
MAX_BOOK_BYTES = 256 << 20

# name in artifacts/ → (path in the agent's container, most bytes)
WATCHED = {
    "experiments.csv": ("/workspace/experiments.csv", 16 << 20),
    "STATUS.md": ("/workspace/STATUS.md", 4 << 20),
}
AT_THE_END = {
    **WATCHED,
    "train.py": ("/workspace/train.py", 1 << 20),
    "repo.bundle": (f"{STATE}/repo.bundle", 256 << 20),
}


class Collector:
    """Copies an agent's files out; an optimiser has none, and then nothing is copied.

    Args:
        engine: where the container is.
        run_dir: where the files go.
        journal: is told of every change.
        container: names the agent's container, "" while there is none.
    """

    def __init__(
        self, engine: Engine, run_dir: RunDir, journal: Journal, container: Callable[[], str]
    ) -> None:
        self._engine = engine
        self._run_dir = run_dir
        self._journal = journal
        self._container = container
        self._seen: dict[str, bytes] = {}
        self._transcripts_bytes = 0

    def look(self) -> None:
        """Copy the watched files that changed since the last look."""
        for name, (path, limit) in WATCHED.items():
            self._copy(name, path, limit)

    def finish(self) -> None:
        """Copy everything that a run leaves, after its last turn."""
        for name, (path, limit) in AT_THE_END.items():
            self._copy(name, path, limit)

    def transcript(self, turn: int, path: str) -> list[str]:
        """Append a turn's raw transcript to `transcript.jsonl`; its lines."""
        content = self._fetched(path, MAX_TRANSCRIPT_BYTES) or b""
        self._transcripts_bytes += len(content)
        lines = [line for line in content.split(b"\n") if line]
        if self._transcripts_bytes > MAX_TRANSCRIPTS_BYTES:
            self._journal.write("transcript.left_out", turn=turn, bytes=len(content))
            return _texts(lines)
        with explained(self._run_dir.transcript), self._run_dir.transcript.open("ab") as file:
            file.writelines(line + b"\n" for line in lines)
        return _texts(lines)

    def _copy(self, name: str, path: str, limit: int) -> None:
        content = self._fetched(path, limit)
        if content is None or self._seen.get(name) == content:
            return
        self._seen[name] = content
        folder = self._run_dir.artifacts
        with explained(folder / name):
            folder.mkdir(exist_ok=True)
            (folder / f".{name}.part").write_bytes(content)
            (folder / f".{name}.part").replace(folder / name)
        self._journal.write("artifact.collected", name=name, bytes=len(content))
        if len(content) >= limit:
            self._journal.write("artifact.cut", name=name, at_bytes=limit)

    def _fetched(self, path: str, limit: int) -> bytes | None:
        container = self._container()
        if not container:
            return None
        try:
            return self._engine.get_file(container, path, limit)
        except EngineError as error:
            self._journal.write("artifact.unreadable", path=path, error=error.message[:300])
            return None


def _texts(lines: list[bytes]) -> list[str]:
    """Split by line feeds alone: JSON may hold the other characters that Python splits at."""
    return [line.decode("utf-8", "replace") for line in lines]


def settled_requests(engine: Engine, gateway: str) -> Iterator[dict[str, object]]:
    """Every usage record in the gateway's own book, whether or not a runner heard of it.

    Raises:
        EngineError: the engine does not answer.
    """
    book = engine.get_file(gateway, "/state/ledger.jsonl", MAX_BOOK_BYTES) or b""
    for line in book.split(b"\n"):
        with contextlib.suppress(ValueError):
            body = json.loads(line)
            if isinstance(body, dict) and body.get("kind") == "settled":
                yield dict(body.get("record") or {})
