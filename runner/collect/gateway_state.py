"""Reads what the gateway keeps on its volume: its ledger, and the recorded requests.

Nothing of it is trusted. A record is written under its own name only if that name has the pattern
of the gateway's recorder, and all sizes are bounded.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, Mount
from runner.engine.files import archives
from runner.errors import EngineError
from runner.records.files import explained
from runner.records.journal import Journal
from runner.records.layout import RunDir, container_name, volume_name

GATEWAY_STATE = "/state"
MAX_LEDGER_BYTES = 256 << 20
RECORD_NAME = re.compile(r"records/([0-9]{6,20}\.(?:request\.json|response)(?:\.cut)?\.gz)")


def settled_requests(
    engine: Engine, gateway: str, *, closed: bool = False
) -> Iterator[dict[str, object]]:
    """Every usage record in the gateway's own ledger, whether or not the runner received it.

    Args:
        engine: where the gateway is.
        gateway: its container.
        closed: the gateway works no more. Its open reservations are charged as well, as its next
            process would do it.

    Raises:
        EngineError: the engine does not answer.
    """
    path = f"{GATEWAY_STATE}/ledger.jsonl"
    ledger = engine.get_file(gateway, path, MAX_LEDGER_BYTES) or b""
    reserved: dict[str, dict[str, object]] = {}
    for line in io.BytesIO(ledger):
        body = _ledger_line(line)
        fields = body.get("record")
        record = fields if isinstance(fields, dict) else {}
        request = str(record.get("request"))
        if body.get("kind") == "settled":
            reserved.pop(request, None)
            yield record
        elif body.get("kind") == "reserved" and record:
            reserved[request] = _charged(record, body.get("usd"))
    if closed:
        yield from reserved.values()


def _ledger_line(line: bytes) -> dict[str, object]:
    """What a line of the ledger says; nothing if it cannot be read."""
    with contextlib.suppress(ValueError, RecursionError):
        body = json.loads(line)
        return body if isinstance(body, dict) else {}
    return {}


def _charged(record: dict[str, object], usd: object) -> dict[str, object]:
    """The record of a request that is charged its whole reservation."""
    return record | {"cost_usd": usd, "charged_by": "reservation"}


@dataclass(frozen=True)
class RecordBounds:
    """How much is copied at most. The gateway records 64 MiB of a body, and 4 GiB in all."""

    files: int = 1 << 16
    file_bytes: int = 65 << 20  # compression makes some bodies a little larger
    total_bytes: int = 4 << 30


@dataclass(frozen=True)
class Kept:
    """How many records were kept; `whole` is False when a bound was reached before the last one."""

    files: int
    size_bytes: int
    whole: bool


def collect_records(engine: Engine, run_dir: RunDir, journal: Journal, gateway: str) -> list[str]:
    """Copy the bodies that a stopped gateway recorded (`RECORD=1`) into `records/`.

    Args:
        engine: where the gateway is.
        run_dir: where the records go.
        journal: gets an event with how many there were.
        gateway: its container.

    Returns:
        What is missing and why, a sentence each. An engine that fails is one such sentence.

    Raises:
        HostError: the disk is full; the records are still on the gateway's volume.
    """
    try:
        path = f"{GATEWAY_STATE}/records"
        with contextlib.closing(engine.get_archive(gateway, path)) as archive:
            kept = keep_records(run_dir.records, archive)
    except EngineError as error:
        journal.write("records.unreadable", error=error.message[:300])
        return [f"records: not all could be fetched: {error.message[:300]}"]
    journal.write("records.collected", files=kept.files, bytes=kept.size_bytes)
    if kept.whole:
        return []
    journal.write("records.cut", at_files=kept.files, at_bytes=kept.size_bytes)
    return [f"records: only the first {kept.files} were kept, because a bound was reached"]


def keep_records(
    folder: Path, archive: Iterable[bytes], bounds: RecordBounds | None = None
) -> Kept:
    """Write the recorder's files of an archive into the folder, until one exceeds a bound.

    Raises:
        EngineError: the archive cannot be read.
        HostError: the disk is full.
    """
    bounds = bounds or RecordBounds()
    seen_bytes = files = size_bytes = 0
    for seen, file in enumerate(archives.regular_files(archive), start=1):
        seen_bytes += file.size_bytes
        too_many = seen > bounds.files or seen_bytes > bounds.total_bytes
        if too_many or file.size_bytes > bounds.file_bytes:
            return Kept(files, size_bytes, whole=False)
        if name := RECORD_NAME.fullmatch(file.name):
            _write_record(folder, name[1], file.pieces)
            files += 1
            size_bytes += file.size_bytes
    return Kept(files, size_bytes, whole=True)


def _write_record(folder: Path, name: str, pieces: Iterable[bytes]) -> None:
    """Write a record whole or not at all. A link in its place is replaced, never followed."""
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
    """A container through which the volume of an abandoned run's gateway can be read.

    That is the gateway itself, which is stopped. Of a run that failed only the volumes are left:
    then it is a new container on them, which never starts and is removed with the run.

    Args:
        engine: where the run is.
        run_id: the run.
        image: returns the gateway's image, if one is needed.

    Returns:
        The container, "" when there is neither a gateway nor its volume.

    Raises:
        EngineError: the engine does not answer, or the image is gone.
    """
    for state in engine.containers(run_id):
        if state.role == "gateway":
            engine.stop(state.id)
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
