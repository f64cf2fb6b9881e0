"""Attacks whose outcome only the host can see: what outlives a container, and what it leaves.

The attack that this stops: a process that goes on after the end of its container; a file, link or
name that makes the collector read or write something else than it was asked for; a log that fills
the engine's disk. What is fetched goes through the code that fetches a run's own artifacts.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import PurePosixPath

from runner.engine.client import Engine
from runner.engine.files import archives
from runner.errors import EngineError, PathError
from runner.proof.answers import one_line
from runner.records.containment import Finding, Outcome

# What images/probe/leaving.py leaves, by the same names.
FOLDER, BEATS = "probe-artefacts", "probe-beats"
HONEST = b"what an honest contestant leaves\n"
LINKS = ("link", "climbing", "circle", "first", "pipe")
MAX_BYTES = 1 << 16
MAX_BEATS = 1 << 20
MAX_NAMES = 1000
WATCHED_SECONDS = 0.2  # ten beats of a process that still lives
LOG_MEGABYTES = 80
LOG_BOUND_BYTES = 64 << 20  # three files of 20 MB, and what the engine rounds up
LAST_LINE = b"the last line"

Seen = tuple[bool, bool, str]  # the attack succeeded, its twin worked, what was seen


def findings(role: str, engine: Engine, container: str, folder: str) -> Iterator[Finding]:
    """What a container that has ended left in a folder of a volume of its own.

    Args:
        role: as the findings name it.
        engine: where it is.
        container: it has ended, and is not removed yet.
        folder: what its program was told to `leave` things in.
    """
    looks: dict[tuple[str, str], Callable[[Engine, str, str], Seen]] = {
        ("survival", "a daemon after the container's end"): _outlives,
        ("artefacts", "links and pipes are fetched"): _links,
        ("artefacts", "a file without end is fetched whole"): _endless,
        ("artefacts", "names climb out of their folder"): _names,
    }
    for (attack, probe), look in looks.items():
        yield _finding(role, attack, probe, lambda look=look: look(engine, container, folder))  # type: ignore[misc]


def log_finding(role: str, engine: Engine, container: str) -> Finding:
    """Whether the engine kept more of a container's log than it was to keep."""
    return _finding(role, "bombs", "the log", lambda: _log(engine, container))


def _finding(role: str, attack: str, probe: str, look: Callable[[], Seen]) -> Finding:
    began = time.monotonic()
    outcome: Outcome = "unproven"
    try:
        succeeded, twin, seen = look()
        outcome = "broken" if succeeded else "held" if twin else "unproven"
        if not twin:
            seen += "; its twin failed"
    except EngineError as error:
        seen = error.message
    return Finding(
        role=role, attack=attack, probe=probe, outcome=outcome, detail=one_line(seen),
        seconds=round(time.monotonic() - began, 3),
    )  # fmt: skip


def _outlives(engine: Engine, container: str, folder: str) -> Seen:
    """A process that left its parents writes a byte every 20 ms as long as it lives."""
    path = f"{folder}/{BEATS}"
    before = len(engine.get_file(container, path, MAX_BEATS) or b"")
    time.sleep(WATCHED_SECONDS)  # nothing is waited for: that nothing happens is what is looked at
    after = len(engine.get_file(container, path, MAX_BEATS) or b"")
    return after > before, before > 0, f"{before} beats before the end, {after - before} after it"


def _links(engine: Engine, container: str, folder: str) -> Seen:
    fetched = []
    for name in LINKS:
        with contextlib.suppress(PathError):
            if engine.get_file(container, f"{folder}/{FOLDER}/{name}", MAX_BYTES) is not None:
                fetched.append(name)
    return bool(fetched), _honest(engine, container, folder), f"fetched: {fetched}"


def _honest(engine: Engine, container: str, folder: str) -> bool:
    return engine.get_file(container, f"{folder}/{FOLDER}/honest.txt", MAX_BYTES) == HONEST


def _endless(engine: Engine, container: str, folder: str) -> Seen:
    """A file of 1 TiB that is not on the disk."""
    try:
        content = engine.get_file(container, f"{folder}/{FOLDER}/sparse", MAX_BYTES) or b""
    except PathError as error:
        return False, _honest(engine, container, folder), error.message
    seen = f"{len(content)} bytes were read"
    return len(content) > MAX_BYTES, _honest(engine, container, folder), seen


def _names(engine: Engine, container: str, folder: str) -> Seen:
    """The collector is told names as they are; it writes under its own."""
    climbing, whole = [], 0
    with contextlib.closing(engine.get_archive(container, f"{folder}/{FOLDER}/names")) as chunks:
        for file in islice(archives.regular_files(chunks), MAX_NAMES):
            whole += b"".join(file.pieces) == HONEST
            name = PurePosixPath(file.name)
            if name.is_absolute() or ".." in name.parts:
                climbing.append(file.name)
    return bool(climbing), whole > 0, f"{whole} files with odd names were read; {climbing} climb"


def _log(engine: Engine, container: str) -> Seen:
    kept, tail = 0, b""
    for chunk in engine.logs(container):
        kept += len(chunk)
        tail = (tail + chunk)[-200:]
    seen = f"{kept} bytes of {LOG_MEGABYTES << 20} are kept"
    return kept > LOG_BOUND_BYTES, LAST_LINE in tail, seen
