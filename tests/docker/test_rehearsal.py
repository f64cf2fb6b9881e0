"""The rehearsal image in its lock: it serves on its socket, lives and ends as a PID 1 should."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from runner.agents import load_agent
from runner.configs import as_config
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, Mount
from runner.wire.messages import Problem, Ready, Start, Started, Stop, Stopped
from runner.wire.start_config import RehearsalConfig

from .program_end import ProgramEnd

IMAGE = os.environ.get("BAKEOFF_TEST_REHEARSAL_IMAGE", "bakeoff/rehearsal:0.1.0")
CLIENT_IMAGE = "bakeoff/base:0.1.0"
KEY = "key-of-this-rehearsal"
CONFIG = as_config(
    RehearsalConfig("openai", 1, KEY, 300, tools=load_agent("gpt").rehearsal_tools())
)
# Asks once over the volume's socket, as the gateway does; prints the status and the body.
CLIENT = """
import http.client, socket, sys
class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/run/upstream/model.sock")
connection = Connection("rehearsal")
connection.request("POST", "/v1/responses", sys.argv[2], {"authorization": "Bearer " + sys.argv[1]})
response = connection.getresponse()
print(response.status, response.read().decode())
"""
REQUEST = {
    "model": "gpt-5.4",
    "stream": True,
    "input": [{"role": "user", "content": "Read program.md and begin."}],
    "tools": [{"type": "function", "name": "exec_command", "parameters": {}}],
}
EXIT_SECONDS = 60


@dataclass
class Rehearsal(ProgramEnd):
    """The runner's end of one rehearsal container."""

    run_id: str
    volume: str

    def ask(self, key: str) -> str:
        """Status and body of one request from another container, which has no network either."""
        spec = ContainerSpec(
            name=f"bakeoff-{self.run_id}-client-{uuid.uuid4().hex[:4]}",
            image=CLIENT_IMAGE,
            run_id=self.run_id,
            role="gateway",
            command=["python3", "-c", CLIENT, key, json.dumps(REQUEST)],
            mounts=(Mount(self.volume, "/run/upstream", read_only=True),),
        )
        client = self.engine.create(spec)
        try:
            self.engine.start(client)
            assert self.engine.wait_exit(client, EXIT_SECONDS)
            return b"".join(self.engine.logs(client)).decode()
        finally:
            self.engine.remove(client)


Make = Callable[[], Rehearsal]


@pytest.fixture
def make(engine: Engine) -> Iterator[Make]:
    """Makes rehearsals as the runner does, each with its volume; removes them at the end."""
    made: list[Rehearsal] = []

    def _make() -> Rehearsal:
        run_id = f"test-{uuid.uuid4().hex[:8]}"
        volume = f"bakeoff-{run_id}-upstream"
        engine.create_volume(volume, run_id=run_id)
        spec = ContainerSpec(
            name=f"bakeoff-{run_id}-rehearsal",
            image=IMAGE,
            run_id=run_id,
            role="rehearsal",
            mounts=(Mount(volume, "/run/upstream"),),
            memory_bytes=128 << 20,
            pids=64,
        )
        made.append(Rehearsal(engine, engine.create(spec), run_id, volume))
        return made[-1]

    yield _make
    for rehearsal in made:
        rehearsal.hang_up()
        engine.remove(rehearsal.container)
        engine.remove_volume(rehearsal.volume)


def test_serves_who_has_the_key(make: Make) -> None:
    """With the key the first step comes as a stream, without it 401; the log tells it readably."""
    rehearsal = make()
    rehearsal.start(CONFIG)
    assert rehearsal.next(Started).details["socket"] == "/run/upstream/model.sock"
    assert rehearsal.ask("another").startswith("401 ")
    answer = rehearsal.ask(KEY)
    assert answer.startswith("200 ")
    assert "response.completed" in answer
    assert "cat program.md" in answer
    assert KEY not in rehearsal.log("step 1: read program.md")


def test_serves_again_after_a_restart(make: Make) -> None:
    """Killed and started again, it waits for the same start and takes its socket back."""
    rehearsal = make()
    rehearsal.start(CONFIG)
    rehearsal.next(Started)
    rehearsal.engine.kill(rehearsal.container)
    rehearsal.end()
    rehearsal.start(CONFIG)
    rehearsal.next(Started)
    assert rehearsal.ask(KEY).startswith("200 ")


def test_ends_when_told(make: Make) -> None:
    """`stop` is answered by `stopped` with its reason and exit code 0."""
    rehearsal = make()
    rehearsal.start(CONFIG)
    rehearsal.next(Started)
    rehearsal.say(Stop("the run is over", grace_seconds=5))
    assert rehearsal.next(Stopped).reason == "the run is over"
    assert rehearsal.end().exit_code == 0


def test_ends_on_sigterm(make: Make) -> None:
    """SIGTERM ends it: later the engine would have killed it (137)."""
    rehearsal = make()
    rehearsal.start(CONFIG)
    rehearsal.next(Started)
    rehearsal.engine.stop(rehearsal.container, timeout_seconds=60)
    assert rehearsal.end().exit_code == 0


def test_ends_at_its_deadline_without_a_host(make: Make) -> None:
    """Nobody attached any more, it ends itself at the deadline."""
    rehearsal = make()
    rehearsal.start(CONFIG | {"deadline_seconds": 15})
    rehearsal.next(Started)
    rehearsal.hang_up()
    assert rehearsal.end().exit_code == 3
    rehearsal.log("ended: deadline")


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"provider": "mistral"}, "provider"), ({"trial_plan": ["sleep"]}, "sleep")],
)
def test_impossible_config(make: Make, wrong: dict[str, Any], named: str) -> None:
    """A config that cannot be is named in a `problem`, without the key, and ends the container."""
    rehearsal = make()
    rehearsal.start(CONFIG | wrong)
    assert named in rehearsal.next(Problem).message
    rehearsal.next(Stopped)
    assert rehearsal.end().exit_code == 2
    assert KEY not in rehearsal.log()


def test_noise_on_stdin_is_passed_over(make: Make) -> None:
    """Text and broken messages before `start` are reported and do no harm."""
    rehearsal = make()
    rehearsal.channel = rehearsal.engine.attach(rehearsal.container)
    rehearsal.lines = rehearsal.channel.lines()
    rehearsal.engine.start(rehearsal.container)
    rehearsal.next(Ready)
    rehearsal.channel.send(b'hello\n{"event":"nonsense"}\n')
    assert "nonsense" in rehearsal.next(Problem).message
    rehearsal.say(Start(CONFIG))
    rehearsal.next(Started)
