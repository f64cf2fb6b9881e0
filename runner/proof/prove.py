"""Runs the probes in containers that are configured as those of a run are."""

from __future__ import annotations

from collections.abc import Mapping

from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec
from runner.records.containment import Containment, Part


def prove(engine: Engine, boxes: Mapping[str, ContainerSpec], part: Part) -> Containment:
    """Try every probe in a container of each role, all roles at once.

    Each container is the one that is given, but for its name, its program, and its writable
    volumes: those are made for the proof and removed after it.

    Args:
        engine: where they run.
        boxes: role → a container of the run, exactly as it will be opened.
        part: `quick`: what takes no second, for the time before a run's first turn; `all`: bombs
            and slow probes too.

    Raises:
        EngineError: the engine refused.
    """
    raise NotImplementedError
