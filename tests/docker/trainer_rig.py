"""Containers of the trainer's image as the runner makes them, run to their end by a test."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from runner import task_data
from runner.configs import as_config
from runner.engine.channel import Channel
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, ContainerState, Mount
from runner.wire.messages import MESSAGES, Message, Ready, Start, TrialExited
from runner.wire.protocol import decode, encode, pack_text
from runner.wire.start_config import TrialConfig

IMAGE, TEST_IMAGE = "bakeoff/trainer:0.1.0", "bakeoff/trainer-test:0.1.0"
DATA_IMAGE = "bakeoff/data:0.1.0"
MEGABYTE = 1 << 20


@dataclass
class Ran:
    """What a container printed, and its end."""

    state: ContainerState
    lines: list[str]
    messages: list[Message] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def exited(self) -> TrialExited:
        """The last message, which is how the trial ended."""
        assert isinstance(self.messages[-1], TrialExited), self.messages
        return self.messages[-1]


def spec(image: str, **fields: Any) -> ContainerSpec:
    """A container with the limits of a trial, of a run of its own."""
    run_id = f"test-{uuid.uuid4().hex[:12]}"
    given: dict[str, Any] = {
        "role": "trial",
        "tmpfs": {"/trial": 64 * MEGABYTE, "/tmp": 256 * MEGABYTE},
        "memory_bytes": 2048 * MEGABYTE,
        "cpus": 1.0,
        "pids": 64,
    }
    role = fields.get("role", "trial")
    name = f"bakeoff-{run_id}-{role}"
    return ContainerSpec(name=name, image=image, run_id=run_id, **{**given, **fields})


def run(
    engine: Engine,
    wanted: ContainerSpec,
    on_line: Callable[[Channel, str, str], None] | None = None,
    within_seconds: float = 120,
) -> Ran:
    """Runs a container to its end; `on_line` sees each line with the channel and the container."""
    container = engine.create(wanted)
    lines: list[str] = []
    messages: list[Message] = []
    notes: list[str] = []
    try:
        channel = engine.attach(container)
        try:
            engine.start(container)
            for is_stdout, line in channel.lines():
                message = decode(line, MESSAGES) if is_stdout else None
                if message:
                    messages.append(message)
                else:
                    (lines if is_stdout else notes).append(line)
                if on_line:
                    on_line(channel, container, line)
        finally:
            channel.close()
        state = engine.wait_exit(container, within_seconds)
        assert state is not None, "the container still runs"
        return Ran(state, lines, messages, notes)
    finally:
        engine.remove(container)


def start(train_py: str, **config: Any) -> Start:
    """What the runner answers to `ready`; `config` overrides fields, also with wrong values."""
    given = TrialConfig(
        train_py_gz=pack_text(train_py),
        train_seconds=2,
        limit_seconds=30,
        output_bytes=MEGABYTE,
        threads=1,
        deadline_seconds=60,
    )
    return Start(as_config(given) | config)


def trial(
    engine: Engine, train_py: str, *, limits: dict[str, Any] | None = None, **config: Any
) -> Ran:
    """One trial of a text."""

    def answer(channel: Channel, _container: str, line: str) -> None:
        if line.startswith('{"event":"ready"'):
            channel.send(encode(start(train_py, **config)))

    ran = run(engine, spec(IMAGE, **(limits or {})), answer)
    assert isinstance(ran.messages[0], Ready)
    return ran


@dataclass
class Volume:
    """The three volumes of a task's data, which are removed in the end; `name` is a trial's."""

    engine: Engine
    name: str

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """All three, where prepare.py writes."""
        return tuple(Mount(name, place) for name, place in task_data.places_of(self.name).items())

    def prepare(self, *more: str, **fields: Any) -> Ran:
        """Runs prepare.py on them."""
        task = ["python", "/opt/trainer/prepare.py", *more]
        wanted = spec(
            DATA_IMAGE, role="prepare", command=task, mounts=self.mounts, cpus=2.0, **fields
        )
        return run(self.engine, wanted, within_seconds=600)

    def files(self, folder: str = "/data") -> list[str]:
        """The names of all files in one of them."""
        show = ["python", "-c", f"import os; print(*sorted(os.listdir({folder!r})), sep='\\n')"]
        return run(self.engine, spec(DATA_IMAGE, command=show, mounts=self.mounts)).lines


Volumes = Callable[[], Volume]


@contextlib.contextmanager
def made_volumes(engine: Engine) -> Iterator[Volumes]:
    """Make volumes for prepared data, three at a time; remove them at the end."""
    made: list[str] = []

    def make() -> Volume:
        name = f"bakeoff-data-{uuid.uuid4().hex[:12]}"
        for volume in task_data.places_of(name):
            made.append(volume)
            engine.create_volume(volume, run_id=name)
        return Volume(engine, name)

    try:
        yield make
    finally:
        for name in made:
            engine.remove_volume(name)
