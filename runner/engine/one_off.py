"""Containers that exist to answer one question: each is removed as soon as it has."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from inspect import getsource
from types import ModuleType

from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, ContainerState

POLL_SECONDS = 1.0
MAX_OUTPUT_BYTES = 64 * 1024  # of what a program printed, its end

Files = Mapping[str, Mapping[str, bytes]]  # folder of the container → relative path → content


@dataclass(frozen=True)
class Finished:
    """How a program ended.

    Attributes:
        exit_code: None when it ran past its time, or was abandoned.
        output: the end of what it printed, at most `MAX_OUTPUT_BYTES`.
    """

    exit_code: int | None
    output: str


@dataclass(frozen=True)
class Bounds:
    """When a program is ended.

    Attributes:
        timeout_seconds: at the latest then.
        abandon: once this is set.
    """

    timeout_seconds: float
    abandon: threading.Event = field(default_factory=threading.Event)


def run(
    engine: Engine,
    spec: ContainerSpec,
    bounds: Bounds,
    files: Files | None = None,
    start: Callable[[str], None] | None = None,
) -> Finished:
    """Run a container to its end.

    Args:
        engine: where the container runs.
        spec: the container.
        bounds: when it is ended.
        files: are written before it starts.
        start: starts it; the engine by default.

    Raises:
        EngineError: the engine refused, or the image does not exist.
    """
    engine.remove(spec.name)  # left by a runner that was killed
    try:
        container = engine.create(spec)
        for folder, content in (files or {}).items():
            engine.put_files(container, folder, content)
        (start or engine.start)(container)
        state = _end(engine, container, bounds)
        output = _last_bytes(engine.logs(container)).decode("utf-8", "replace").strip()
    finally:
        engine.remove(spec.name)
    return Finished(state.exit_code if state else None, output)


def run_module(
    engine: Engine,
    spec: ContainerSpec,
    module: ModuleType,
    *arguments: str,
    timeout_seconds: float,
    files: Files | None = None,
) -> Finished:
    """Run the text of a module of ours as a program, in a container of its own.

    Args:
        engine: where the container runs.
        spec: the container; its entrypoint is set here, and its image needs `python3`.
        module: what to run. It may import the standard library alone, because only its text gets
            into the container.
        arguments: those of the program.
        timeout_seconds: when it is ended at the latest.
        files: are written before it starts.

    Raises:
        EngineError: the engine refused, or the image does not exist.
    """
    program = replace(spec, entrypoint=["python3", "-c", getsource(module), *arguments])
    return run(engine, program, Bounds(timeout_seconds), files)


def _end(engine: Engine, container: str, bounds: Bounds) -> ContainerState | None:
    """The container after its end; None where it must be ended, or is gone.

    Reading the log of one that is gone raises.
    """
    until = time.monotonic() + bounds.timeout_seconds
    while (left := until - time.monotonic()) > 0 and not bounds.abandon.is_set():
        state = engine.wait_exit(container, min(left, POLL_SECONDS))
        if state is not None or engine.inspect(container) is None:
            return state
    return None


def _last_bytes(chunks: Iterable[bytes]) -> bytes:
    tail = b""
    for chunk in chunks:
        tail = (tail + chunk)[-MAX_OUTPUT_BYTES:]
    return tail


def read_file(engine: Engine, spec: ContainerSpec, path: str, max_bytes: int) -> bytes | None:
    """A file of an image or a volume, None when there is none. The container is never started.

    Raises:
        EngineError: the engine refused, or the image does not exist.
    """
    engine.remove(spec.name)  # left by a runner that was killed
    container = engine.create(spec)
    try:
        return engine.get_file(container, path, max_bytes)
    finally:
        engine.remove(container)
