"""The records of a run: what a line of each file under `runs/<run id>/` holds.

Every line is one JSON object with a `schema_version`. Writers append and fsync; readers are
lenient, because a run may have been cut at any byte.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from runner.errors import HostError

SCHEMA_VERSION = 1

TrialStatus = Literal["ok", "crash", "oom", "timeout", "pruned", "killed"]
TrialSource = Literal["agent", "sampler", "referee"]


def now() -> str:
    """This moment in UTC, ISO 8601 with milliseconds and a Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    schema_version: int = SCHEMA_VERSION


class Event(Record):
    """A line of `events.jsonl`, the journal."""

    at: str
    event: str
    fields: dict[str, Any] = {}


class TrialRecord(Record):
    """A line of `trials.jsonl`: what the runner measured. Times are ISO 8601 or seconds."""

    trial: int
    source: TrialSource
    request: str
    status: TrialStatus
    reason: str = ""
    val_bpb: float | None = None
    parent: int | None = None
    sha256: str = ""
    commit: str = ""
    hypothesis: str = ""
    category: str = ""
    knobs: dict[str, Any] = {}
    knobs_changed: dict[str, tuple[Any, Any]] = {}
    other_changes: bool = False
    queued_at: str = ""
    started_at: str = ""
    ended_at: str = ""
    lease_wait_seconds: float = 0.0
    train_seconds: float = 0.0
    wall_seconds: float = 0.0
    exit_code: int | None = None
    peak_memory_bytes: int = 0
    summary: dict[str, float | str] = {}
    estimates: list[dict[str, float]] = []
    rehearsed: bool = False


class UsageRecord(Record):
    """A line of `usage.jsonl`: one model request as the gateway settled it."""

    at: str
    request: str
    provider: str
    model: str
    path: str = ""
    status: int = 0
    latency_seconds: float = 0.0
    first_byte_seconds: float | None = None
    input_tokens: int = 0
    cached_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float = 0.0
    charged_by: str = "usage"
    rehearsed: bool = False

    @property
    def tokens(self) -> int:
        """All tokens of the request, cached ones included: what a token budget counts."""
        return (
            self.input_tokens
            + self.cached_read_tokens
            + self.cache_write_5m_tokens
            + self.cache_write_1h_tokens
            + self.output_tokens
        )


class Best(Record):
    """A best value and where it comes from: `trial` of the ledger or `row` of experiments.csv."""

    val_bpb: float
    trial: int | None = None
    row: int | None = None
    note: str = ""


class Spent(Record):
    """What a run used of each budget, and the time that was given back to it."""

    wall_seconds: float = 0.0
    elapsed_seconds: float = 0.0
    lease_wait_seconds: float = 0.0
    outage_seconds: float = 0.0
    train_seconds: float = 0.0
    trials: int = 0
    usd: float = 0.0
    tokens: int = 0
    requests: int = 0
    turns: int = 0


class RunResult(Record):
    """`result.json`: how a run ended. `ended_by` names the budget, or the cause of an early end."""

    run_id: str
    contestant: str
    kind: Literal["agent", "baseline"]
    seed: int
    task: str
    rehearsed: bool
    ended_by: str
    cause: str
    detail: str = ""
    began_at: str
    ended_at: str
    budget: dict[str, float | None]
    spent: Spent
    trials_by_status: dict[str, int] = {}
    best_measured: Best | None = None
    best_claimed: Best | None = None
    best_verified: Best | None = None
    problems: list[str] = []


R = TypeVar("R", bound=Record)


def append_line(path: Path, record: Record) -> None:
    """Append the record as one JSON line and fsync it: after the return, a crash keeps it.

    Raises:
        HostError: the disk is full or the file is not writable.
    """
    with explained(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            left = memoryview(_mended_start(descriptor, path) + _line(record))
            while left:  # a disk that is nearly full takes a part and refuses the rest
                left = left[os.write(descriptor, left) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the disk refuses under `path` into an error that says what to do.

    Raises:
        HostError: the disk is full, or a file or folder is not writable.
    """
    try:
        yield
    except OSError as error:
        raise HostError(
            f"writing {path}: {error.strerror or error}",
            hint="make room or mend the permissions; a run that this cut is gone on with by "
            "`make resume`",
        ) from error


def _line(record: Record) -> bytes:
    """The record's line. A lone surrogate, which an agent's JSON may hold, becomes a "?"."""
    body = json.dumps(record.model_dump(mode="json"), separators=(",", ":"), ensure_ascii=False)
    return body.encode("utf-8", "replace") + b"\n"


def _mended_start(descriptor: int, path: Path) -> bytes:
    """A newline if the file's last line was torn by a crash, so that ours stands alone."""
    size = os.fstat(descriptor).st_size
    if size == 0:
        return b""
    with path.open("rb") as file:
        file.seek(size - 1)
        return b"" if file.read(1) == b"\n" else b"\n"


def read_lines(path: Path, kind: type[R]) -> Iterator[R]:
    """The records of a JSON-lines file; lines that are torn or foreign are passed over."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                yield kind.model_validate_json(line)
            except ValidationError:
                continue


def write_whole(path: Path, text: str) -> None:
    """Write a small file so that readers see the old one or the new one, never a part.

    Raises:
        HostError: the disk is full or the folder is not writable.
    """
    aside = path.with_name(f".{path.name}.part")
    with explained(path):
        with aside.open("w", encoding="utf-8", errors="replace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)


def to_json(record: Record) -> str:
    """The record as indented JSON, for files that a person opens."""
    return json.dumps(record.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
