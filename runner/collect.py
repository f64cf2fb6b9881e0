"""From a run's containers into `runs/<run id>/`: the agent's words, transcripts, bundle, records.

Nothing collected is executed or trusted here: each file must be a regular one, is bounded in size,
and is asked for by name or has a name of the gateway's own pattern, which no content can choose.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from runner import archives
from runner.containers import ContainerSpec, Mount
from runner.engine import Engine
from runner.errors import EngineError
from runner.journal import Journal
from runner.layout import RunDir, container_name, volume_name
from runner.records import explained

STATE = "/home/agent/.bakeoff"
MAX_TRANSCRIPT_BYTES = 64 << 20
MAX_TRANSCRIPTS_BYTES = 1 << 30
MAX_BOOK_BYTES = 256 << 20
GATEWAY_STATE = "/state"
RECORDED = re.compile(r"records/([0-9]{6,20}\.(?:request\.json|response)(?:\.cut)?\.gz)")
STOP_SECONDS = 5

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
    book = engine.get_file(gateway, f"{GATEWAY_STATE}/ledger.jsonl", MAX_BOOK_BYTES) or b""
    for line in book.split(b"\n"):
        with contextlib.suppress(ValueError):
            body = json.loads(line)
            if isinstance(body, dict) and body.get("kind") == "settled":
                yield dict(body.get("record") or {})


@dataclass(frozen=True)
class RecordBounds:
    """What is taken at most. The gateway's recorder keeps 64 MiB of a body, and 4 GiB in all."""

    files: int = 1 << 16
    file_bytes: int = 65 << 20  # a body that does not compress grows a little
    total_bytes: int = 4 << 30


@dataclass(frozen=True)
class Kept:
    """How many records were kept; not all of them when a bound was reached."""

    files: int
    size_bytes: int
    whole: bool


def collect_records(
    engine: Engine, run_dir: RunDir, journal: Journal, gateway: Callable[[], str]
) -> list[str]:
    """Copy the bodies that a gateway which has stopped kept (`RECORD=1`) into `records/`.

    Args:
        engine: where the gateway is.
        run_dir: where the records go.
        journal: is told how many there were.
        gateway: names its container, "" when there is none.

    Returns:
        What is missing and why, a sentence each; an engine that fails is no more than that.

    Raises:
        HostError: the disk is full; the records are still on the gateway's volume.
    """
    try:
        container = gateway()
        if not container:
            return []
        path = f"{GATEWAY_STATE}/records"
        with contextlib.closing(engine.get_archive(container, path)) as archive:
            kept = keep_records(run_dir.records, archive)
    except EngineError as error:
        journal.write("records.unreadable", error=error.message[:300])
        return [f"records: not all could be fetched: {error.message[:300]}"]
    journal.write("records.collected", files=kept.files, bytes=kept.size_bytes)
    if kept.whole:
        return []
    journal.write("records.cut", at_files=kept.files, at_bytes=kept.size_bytes)
    return [f"records: only the first {kept.files} were kept: a bound was reached"]


def keep_records(
    folder: Path, archive: Iterable[bytes], bounds: RecordBounds | None = None
) -> Kept:
    """Write the recorder's files of an archive into the folder, up to the first past a bound.

    Raises:
        EngineError: the archive does not read.
        HostError: the disk is full.
    """
    bounds = bounds or RecordBounds()
    seen_bytes = files = size_bytes = 0
    for seen, file in enumerate(archives.regular_files(archive), start=1):
        seen_bytes += file.size_bytes
        too_many = seen > bounds.files or seen_bytes > bounds.total_bytes
        if too_many or file.size_bytes > bounds.file_bytes:
            return Kept(files, size_bytes, whole=False)
        if recorded := RECORDED.fullmatch(file.name):
            _write_record(folder, recorded[1], file.pieces)
            files += 1
            size_bytes += file.size_bytes
    return Kept(files, size_bytes, whole=True)


def _write_record(folder: Path, name: str, pieces: Iterable[bytes]) -> None:
    """Write it whole or not at all; a link in its place is replaced, never followed."""
    part = folder / f".{name}.part"
    with explained(folder / name):
        folder.mkdir(exist_ok=True)
        part.unlink(missing_ok=True)
        try:
            with part.open("xb") as file:
                file.writelines(pieces)
            part.replace(folder / name)
        finally:
            part.unlink(missing_ok=True)


def closed_gateway(engine: Engine, run_id: str, image: Callable[[], str]) -> str:
    """A container to read the volume of an abandoned run's gateway from; "" when there is none.

    The gateway itself, stopped. Of a run that failed only the volumes are left: then a container
    on them that never starts, and is swept with the rest.

    Raises:
        EngineError: the engine does not answer, or the image is gone.
    """
    for state in engine.containers(run_id):
        if state.role == "gateway":
            engine.stop(state.id, STOP_SECONDS)
            return state.id
    ledger = volume_name(run_id, "ledger")
    if all(volume.name != ledger for volume in engine.volumes(run_id)):
        return ""
    return engine.create(
        ContainerSpec(
            container_name(run_id, "gateway"), image(), run_id, "gateway",
            mounts=(Mount(ledger, GATEWAY_STATE, read_only=True),),
        )
    )  # fmt: skip
