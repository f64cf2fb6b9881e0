"""A gateway whose runner is silent: nothing new goes out until it is back."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.wire.messages import CapReached, Denied, Heartbeat, Problem, Stop, Usage

from .conftest import Make, Spawn
from .process import Process
from .rig import APIS, KEY, TOKEN, RunningGateway

ORPHAN_SECONDS = 0.5
SOON = 20.0


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("stream", [True, False])
def test_a_request_of_an_orphan_is_refused_as_its_cli_understands_it(
    api: str, stream: bool, make: Make
) -> None:
    """As an overload that passes, with the time of the next attempt; nothing is sent or spent."""
    gateway = make(api, orphan_seconds=600)
    assert gateway.send(stream=stream).status == 200
    served = len(gateway.served)
    gateway.context.runner.silent_seconds = 600
    reply = gateway.send(stream=stream)
    if reply.status == 200:
        assert b"Please try again in 30.0s" in reply.body
        assert b"rate_limit_exceeded" in reply.body
    else:
        assert reply.status in (503, 529)
        assert "runner is silent" in json.dumps(json.loads(reply.body))
        assert "30" in reply.headers.get("retry-after", "") + reply.body.decode()
    assert len(gateway.served) == served
    assert gateway.events.refusals[-1][0] == "orphaned"
    gateway.context.runner.heard()
    assert gateway.send(stream=stream).status == 200


@contextlib.contextmanager
def heartbeats(process: Process) -> Iterator[None]:
    """Say heartbeats meanwhile, so that a slow machine makes no orphan."""
    over = threading.Event()

    def say() -> None:
        while not over.wait(ORPHAN_SECONDS / 5):
            process.say(Heartbeat())

    process.say(Heartbeat())
    saying = threading.Thread(target=say)
    saying.start()
    try:
        yield
    finally:
        over.set()
        saying.join(SOON)


def test_an_orphaned_gateway_ends_what_is_under_way_and_admits_again(
    make: Make, spawn: Spawn, tmp_path: Path
) -> None:
    """An open stream goes on and is settled; a heartbeat ends the state, and is no `start`."""
    world = make("anthropic")
    process = spawn()
    process.begin(
        provider="anthropic", base_url=f"unix://{world.folder / 'model.sock'}", api_key=KEY,
        token=TOKEN, models=["claude-opus-4-6"], deadline_seconds=60,
        orphan_seconds=ORPHAN_SECONDS,
    )  # fmt: skip
    talk = RunningGateway(world.background, tmp_path / "volume", APIS["anthropic"], {})
    answers: list[int] = []
    asked = threading.Thread(
        target=lambda: answers.append(talk.send({"id": "a", "faults": [{"hold": True}]}).status)
    )
    with heartbeats(process):
        asked.start()
        world.wait_for_requests(1)
    assert "no request is admitted" in process.next(Problem, SOON).message
    assert talk.send().status == 529
    assert process.next(Denied).reason == "orphaned"
    world.release()
    asked.join(SOON)
    assert answers == [200]
    assert process.next(Usage).record["charged_by"] == "usage"
    with heartbeats(process):
        process.until(lambda: b"the runner is back" in process.output, SOON)
        assert talk.send().status == 200
    assert process.output.count(b'{"event":"started"') == 1
    process.say(Stop("the run is over", 1))
    assert process.end() == 0


def test_a_heartbeat_sets_the_cap(make: Make, spawn: Spawn, tmp_path: Path) -> None:
    """Trials spend from the same money, and give it back if they have to run again."""
    world = make("anthropic")
    process = spawn()
    process.begin(
        provider="anthropic", base_url=f"unix://{world.folder / 'model.sock'}", api_key=KEY,
        token=TOKEN, models=["claude-opus-4-6"], deadline_seconds=60, caps={"usd": 100.0},
    )  # fmt: skip
    talk = RunningGateway(world.background, tmp_path / "volume", APIS["anthropic"], {})
    process.say(Heartbeat())
    assert talk.send().status == 200
    process.next(Usage)
    process.say(Heartbeat(usd_cap=0.000001))
    process.say(Heartbeat())  # it changes nothing
    process.until(lambda: talk.send().status == 402, SOON)
    assert process.next(CapReached, SOON).budget == "usd"
    process.say(Heartbeat(usd_cap=50.0))
    process.until(lambda: talk.send().status == 200, SOON)
    process.say(Stop("the run is over", 1))
    assert process.end() == 0
