"""The gateway's program as a process: how it starts, ends, dies, and keeps its secret."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from images.gateway.gatewayd.settings import ConfigError, read_settings
from runner.wire.messages import Denied, Problem, Ready, Start, Stop, Stopped, Usage

from .conftest import Make, Spawn
from .process import ROOT
from .rig import APIS, KEY, TOKEN, RunningGateway, UnixConnection


@pytest.fixture
def world(make: Make) -> RunningGateway:
    """A stand-in provider; the gateway beside it is not the one under test."""
    return make("anthropic")


def config(world: RunningGateway, **more: Any) -> dict[str, Any]:
    return {
        "provider": "anthropic",
        "base_url": f"unix://{world.folder / 'model.sock'}",
        "api_key": KEY,
        "token": TOKEN,
        "models": ["claude-opus-4-6"],
        "deadline_seconds": 60,
    } | more


def client(world: RunningGateway, spawn_folder: Path) -> RunningGateway:
    """Speaks to the process instead of the gateway of `world`."""
    return RunningGateway(world.background, spawn_folder, APIS["anthropic"], {})


def test_a_life_from_ready_to_stopped(world: RunningGateway, spawn: Spawn, tmp_path: Path) -> None:
    """Ready, start, started with a socket that answers, usage, stop, stopped, exit 0."""
    process = spawn()
    assert process.next(Ready).program == "gateway"
    assert process.begin(**config(world)).details["spent_usd"] == 0
    talk = client(world, tmp_path / "volume")
    assert talk.socket.stat().st_mode & 0o777 == 0o666
    assert talk.send().status == 200
    assert process.next(Usage).record["output_tokens"] == 20
    assert talk.send(headers={}).status == 401
    assert process.next(Denied).reason == "token"
    process.say(Stop("the run is over", 5))
    assert process.end() == 0
    assert process.next(Stopped).reason == "the run is over"
    assert not talk.socket.exists()


def test_a_gateway_that_stops_takes_nothing_on_an_old_connection(
    world: RunningGateway, spawn: Spawn, tmp_path: Path
) -> None:
    """While an open answer still comes, a kept connection serves nothing more."""
    process = spawn()
    process.begin(**config(world))
    talk = client(world, tmp_path / "volume")
    headers = {"Content-Type": "application/json"} | talk.api.auth
    old = UnixConnection(talk.socket)
    old.request("POST", talk.api.whole, json.dumps(talk.api.body({}, stream=False)), headers)
    assert old.getresponse().read()
    held = {"id": "a", "faults": [{"hold": True, "status": 400}]}
    open_one = UnixConnection(talk.socket)
    open_one.request("POST", talk.api.whole, json.dumps(talk.api.body(held, stream=False)), headers)
    world.wait_for_requests(2)
    process.say(Stop("the run is suspended", 20))
    while is_listening(talk.socket):
        time.sleep(0.01)
    old.request("POST", talk.api.whole, json.dumps(talk.api.body({}, stream=False)), headers)
    old.sock.settimeout(0.5)
    with pytest.raises(TimeoutError):
        old.getresponse()
    world.release()
    assert open_one.getresponse().status == 400
    assert process.end() == 0
    assert len(world.served) == 2
    old.close()
    open_one.close()


def is_listening(path: Path) -> bool:
    """Whether somebody takes connections on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as asked:
        try:
            asked.connect(str(path))
        except OSError:
            return False
    return True


def test_the_key_is_nowhere_but_in_memory(
    world: RunningGateway, spawn: Spawn, tmp_path: Path
) -> None:
    """It is not in argv, environment, output, files or a core dump."""
    process = spawn()
    process.begin(**config(world, record=True))
    talk = client(world, tmp_path / "volume")
    error = {"error": {"type": "x", "message": f"bad key {KEY}"}}
    talk.send({"id": "a", "faults": [{"status": 401, "body": error}]})
    talk.send(never_heard_of=KEY)
    pid = process.popen.pid
    assert KEY.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert "Max core file size        0                    0" in limits
    process.popen.send_signal(signal.SIGABRT)
    process.end()
    assert KEY.encode() not in process.output
    for path in (tmp_path / "volume").rglob("*"):
        assert path.is_dir() or path.is_socket() or KEY.encode() not in path.read_bytes()


def test_nobody_may_trace_it_or_dump_its_memory() -> None:
    """When the program says `ready`, the kernel says that the process is not dumpable."""
    ask_kernel = """
import ctypes, sys, gateway, pid1
def send(message):
    print(message.event, ctypes.CDLL(None).prctl(3))
    sys.exit()
pid1.send = send
gateway.main()
"""
    paths = f"{ROOT / 'images/gateway'}:{ROOT / 'runner/wire'}"
    said = subprocess.run(
        [sys.executable, "-c", ask_kernel],
        env={"PYTHONPATH": paths},
        capture_output=True,
        check=True,
    )
    assert said.stdout == b"ready 0\n"


def test_a_start_that_cannot_be_used_is_told_and_ends_it(
    world: RunningGateway, spawn: Spawn
) -> None:
    """It exits with 2, and its problem names the field and quotes no value."""
    process = spawn()
    process.next(Ready)
    process.say(Start(config(world, never_heard_of=KEY)))
    assert process.end() == 2
    assert process.next(Problem).during == "reading the start message"
    assert KEY.encode() not in process.output


@pytest.mark.parametrize(
    "wrong",
    [
        {"provider": "somebody"},
        {"base_url": "ftp://x"},
        {"base_url": "file:///etc/passwd"},
        {"api_key": "two words " + KEY},
        {"api_key": KEY + "\r\nx-evil: 1"},
        {"api_key": ""},
        {"token": KEY + "é"},
        {"models": []},
        {"caps": {"usd": -1}},
        {"caps": {"usd": KEY}},
        {"deadline_seconds": 0},
        {"never_heard_of": KEY},
    ],
)
def test_a_wrong_setting_is_named_and_not_quoted(
    world: RunningGateway, wrong: dict[str, Any]
) -> None:
    """Every field is checked before anything starts; the message holds no value."""
    with pytest.raises(ConfigError) as caught:
        read_settings(config(world) | wrong)
    assert next(iter(wrong)) in str(caught.value)
    assert KEY not in str(caught.value)


def test_noise_on_stdin_is_survived(world: RunningGateway, spawn: Spawn) -> None:
    """Text, unknown messages and half a key are passed over and not repeated."""
    process = spawn()
    process.next(Ready)
    process.say(b"hello\n")
    process.say(b'{"event":"unknown","api_key":"' + KEY.encode() + b'"}\n')
    process.say(b'{"event":"start","config":"' + KEY.encode() + b"\n")
    process.begin(**config(world))
    assert len([one for one in process.messages if isinstance(one, Problem)]) == 2
    assert KEY.encode() not in process.output


def test_an_end_of_input_is_no_end(world: RunningGateway, spawn: Spawn, tmp_path: Path) -> None:
    """The runner may die and come back; until then the gateway serves."""
    process = spawn()
    process.begin(**config(world))
    assert process.popen.stdin is not None
    process.popen.stdin.close()
    assert client(world, tmp_path / "volume").send().status == 200
    assert process.popen.poll() is None


def test_the_deadline_ends_it_without_a_host(world: RunningGateway, spawn: Spawn) -> None:
    """Nobody says `stop`; it stops by itself."""
    process = spawn()
    process.begin(**config(world, deadline_seconds=0.3))
    assert process.end() == 0
    assert process.next(Stopped).reason == "deadline"


def test_sigterm_ends_it_in_time_with_its_books_in_order(
    world: RunningGateway, spawn: Spawn, tmp_path: Path
) -> None:
    """It ends within five seconds, and charges the endless request that is under way."""
    process = spawn()
    process.begin(**config(world))
    asked = threading.Thread(target=client(world, tmp_path / "volume").send, args=({"pause": 30},))
    asked.start()
    world.wait_for_requests(1)
    began = time.monotonic()
    process.popen.terminate()
    assert process.end(10) == 0
    assert time.monotonic() - began < 5
    asked.join()
    assert process.next(Usage).record["charged_by"] == "reservation"


def test_a_killed_gateway_charges_what_was_under_way_in_its_next_life(
    world: RunningGateway, spawn: Spawn, tmp_path: Path
) -> None:
    """The first life ends without a word; the second one settles before it serves."""
    first = spawn()
    first.begin(**config(world))
    talk = client(world, tmp_path / "volume")
    talk.send()
    first.next(Usage)
    asked = threading.Thread(target=swallow, args=(talk,))
    asked.start()
    world.wait_for_requests(2)
    first.popen.kill()
    first.end()
    asked.join()
    second = spawn()
    started = second.begin(**config(world))
    record = second.next(Usage).record
    assert (record["request"], record["charged_by"]) == ("000002", "reservation")
    assert started.details["requests"] == 2
    spent = first.next(Usage).record["cost_usd"] + record["cost_usd"]
    assert started.details["spent_usd"] == pytest.approx(spent)
    assert talk.send().status == 200


def swallow(talk: RunningGateway) -> None:
    """A request whose gateway dies."""
    with pytest.raises(ConnectionError):
        talk.send({"pause": 30, "faults": [{"silence": 30}], "id": "a"})


def test_it_is_ready_at_once_and_small(world: RunningGateway, spawn: Spawn) -> None:
    """Ready before anything heavy is loaded; under 80 MB of memory once it serves."""
    process = spawn()
    process.begin(**config(world))
    status = Path(f"/proc/{process.popen.pid}/status").read_text()
    resident_kb = int(status.partition("VmHWM:")[2].split()[0])
    assert resident_kb < 80_000
