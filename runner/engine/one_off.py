"""Containers that exist to answer one question: each is removed as soon as it has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from inspect import getsource
from types import ModuleType

from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec


@dataclass(frozen=True)
class Finished:
    """How a program ended: its exit code, None when it ran past its time; and what it printed."""

    exit_code: int | None
    output: str


def run_module(
    engine: Engine,
    spec: ContainerSpec,
    module: ModuleType,
    *arguments: str,
    timeout_seconds: float,
) -> Finished:
    """Run the text of a module of ours as a program, in a container of its own.

    Args:
        engine: where the container runs.
        spec: the container; its entrypoint is set here, and its image needs `python3`.
        module: what to run. It may import the standard library alone, because only its text gets
            into the container.
        arguments: those of the program.
        timeout_seconds: when it is ended at the latest.

    Raises:
        EngineError: the engine refused, or the image does not exist.
    """
    program = replace(spec, entrypoint=["python3", "-c", getsource(module), *arguments])
    engine.remove(spec.name)  # left by a runner that was killed
    try:
        container = engine.create(program)
        engine.start(container)
        state = engine.wait_exit(container, timeout_seconds)
        output = b"".join(engine.logs(container)).decode("utf-8", "replace").strip()
    finally:
        engine.remove(spec.name)
    return Finished(state.exit_code if state else None, output)


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
