"""Measures one start: of a whole run, and of a CLI that stands alone in a container.

All moments are of one machine's clock: the runner, the engine and the containers share it.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.start import inside
from benchmarks.start.one_run import PROVED
from runner.agents import load_agent
from runner.build.images import image_tag
from runner.engine import lockdown, one_off
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, Mount
from runner.limits import limits
from runner.records.files import read_lines
from runner.records.layout import RunDir, volume_name
from runner.records.schema import Event, UsageRecord
from runner.sandbox.removal import remove_run

LOOK_SECONDS = 0.02
PATIENCE_SECONDS = 600.0  # the first run of a machine prepares data and measures train.py
UNPROVED = "unproved"
STEPS = ("containment.proved", "sandbox.opened", "turn.started")
# What agentd gives a CLI (images/agent/turns.py).
PATH_AND_HOME = {
    "PATH": "/opt/agent/bin:/usr/local/bin:/usr/bin:/bin",
    "HOME": "/home/agent",
    "LANG": "C.UTF-8",
}


@dataclass(frozen=True)
class Start:
    """Seconds from `run.started` to what came after it; None for what did not come."""

    first_request: float
    steps: dict[str, float | None]


def start_of_run(engine: Engine, agent: str, *, proved: bool) -> Start:
    """One rehearsed run of an agent, ended at its first request.

    Args:
        engine: to remove what it leaves.
        agent: its name.
        proved: whether its lock is proved beside its start, as that of every run is.

    Raises:
        RuntimeError: it asked for nothing in time.
    """
    run_id = f"bench-start-{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory() as runs:
        run_dir, said = RunDir(Path(runs) / run_id), Path(runs) / "said.log"
        lock = PROVED if proved else UNPROVED
        command = [sys.executable, "-m", "benchmarks.start.one_run", runs, run_id, agent, lock]
        try:
            with _process(command, said) as process:
                asked = _first_request(run_dir, process, said)
        finally:
            remove_run(engine, run_id)
        return _start(list(read_lines(run_dir.events, Event)), asked)


def start_of_cli(engine: Engine, agent: str) -> float:
    """Seconds from the order to make a container to the first request of the CLI in it.

    The container has the lock and the image of an agent's, and nothing of ours works in it.

    Raises:
        RuntimeError: it asked for nothing in time.
    """
    chosen, run_id = load_agent(agent), f"bench-start-{uuid.uuid4().hex[:8]}"
    turn = chosen.turn("Say hello.", resume=False, token="none")
    paths = {"workspace": "/workspace", "home": "/home/agent"}
    spec = ContainerSpec(
        f"bakeoff-{run_id}-agent", image_tag(f"agent-{chosen.spec.cli}"), run_id, "agent",
        mounts=tuple(Mount(volume_name(run_id, name), path) for name, path in paths.items()),
        **lockdown.sizes(limits()["agent"], engine.info()),
    )  # fmt: skip
    try:
        for name in paths:
            engine.create_volume(volume_name(run_id, name), run_id=run_id)
        began = time.time()
        said = one_off.run_module(
            engine, spec, inside, json.dumps(PATH_AND_HOME | turn.env), *turn.argv,
            timeout_seconds=PATIENCE_SECONDS,
        )  # fmt: skip
    finally:
        remove_run(engine, run_id)
    for line in said.output.splitlines():
        if line.startswith(inside.MOMENT):
            return float(line.removeprefix(inside.MOMENT)) - began
    raise RuntimeError(f"{agent}'s CLI asked for nothing: {said.output[-2000:]}")


@contextlib.contextmanager
def _process(command: list[str], said: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is told to end, at the end of the context; what it prints goes to a file."""
    with (
        said.open("wb") as log,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()


def _first_request(run_dir: RunDir, process: subprocess.Popen[bytes], said: Path) -> str:
    """The moment at which the run's gateway took its first request."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        asked = next(read_lines(run_dir.usage, UsageRecord), None)
        if asked is not None:
            return asked.at
        if process.poll() is not None or time.monotonic() > until:
            end = said.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{run_dir.path.name} asked for nothing: {end}")
        time.sleep(LOOK_SECONDS)


def _start(events: list[Event], asked: str) -> Start:
    at = {event.event: _moment(event.at) for event in reversed(events)}  # the first of each
    began = at["run.started"]
    steps = {step: round(at[step] - began, 3) if step in at else None for step in STEPS}
    return Start(round(_moment(asked) - began, 3), steps)


def _moment(written: str) -> float:
    return datetime.fromisoformat(written).timestamp()
