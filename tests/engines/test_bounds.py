"""Bounds on processes and memory: in force, or said not to be by the engine itself."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from runner.build.images import image_tag
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, ContainerState
from tests.engines.differences import expected
from tests.engines.under import RUNTIME, Under

PIDS, MEMORY_BYTES = 48, 128 << 20
MOST = 150  # processes, or pieces of 8 MiB: far beyond the bounds, and harmless without them
FORK = f"""
import os, signal
children = 0
try:
    while children < {MOST}:
        if os.fork() == 0:
            signal.pause()
        children += 1
except OSError as error:
    raise SystemExit("refused" if children < {PIDS} else "late")
"""
EAT = f"""
eaten = []
for _ in range({MOST}):
    eaten.append(bytearray(8 << 20))
    eaten[-1][::4096] = b"x" * len(eaten[-1][::4096])
"""
End = Callable[[str], tuple[ContainerState, str]]


@pytest.fixture
def end(engine: Engine, run_id: str) -> End:
    """Runs a Python program within the bounds; how it ended, and what it printed."""

    def _end(program: str) -> tuple[ContainerState, str]:
        spec = ContainerSpec(
            f"bakeoff-{run_id}-{uuid.uuid4().hex[:6]}", image_tag("base"), run_id, "agent",
            command=["python3", "-uc", program], pids=PIDS, memory_bytes=MEMORY_BYTES,
            runtime=RUNTIME,
        )  # fmt: skip
        container = engine.create(spec)
        engine.start(container)
        state = engine.wait_exit(container, 120)
        assert state is not None
        return state, b"".join(engine.logs(container)).decode()

    return _end


def test_processes_are_bounded(end: End, under: Under) -> None:
    """A fork is refused before the bound is passed, or ends the container at it."""
    state, said = end(FORK)
    if not under.bounds_hold:
        assert state.exit_code == 0
    elif expected(under.name, "too many processes", "refused") == "refused":
        assert (state.exit_code, said.strip()) == (1, "refused")
    else:
        assert state.exit_code not in (0, 1)
        assert "late" not in said


def test_memory_is_bounded(end: End, under: Under) -> None:
    """Whoever takes more than the bound is killed, and there is no swap."""
    state, _ = end(EAT)
    assert (state.exit_code == 137) == under.bounds_hold
