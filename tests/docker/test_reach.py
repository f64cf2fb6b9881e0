"""A BASE_URL that the gateway cannot call is refused when a run starts."""

from __future__ import annotations

import contextlib
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from runner.build.images import image_tag
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec

from .commands import LONG_SECONDS, Commands, a_seed, commands, events, wait_for

PORT = 8000
LISTEN = f"""
import socket
server = socket.create_server(("", {PORT}))
print("listening", flush=True)
while True:
    server.accept()
"""
ANSWER_404 = f"""
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()
server = ThreadingHTTPServer(("", {PORT}), Handler)
print("listening", flush=True)
server.serve_forever()
"""
SOON_SECONDS = 60.0


@pytest.fixture
def bakeoff(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Commands]:
    """The `bakeoff` command in a folder of its own, with a key in the file .env."""
    (tmp_path / ".env").write_text("OPENAI_API_KEY=sk-of-this-test\n")
    with commands(engine, tmp_path) as made:
        yield made


@contextlib.contextmanager
def listening(engine: Engine, program: str) -> Iterator[str]:
    """The address, on the gateway's network, of a container that listens on `PORT`."""
    name = f"bakeoff-test-{uuid.uuid4().hex[:8]}"
    command = ["python3", "-uc", program]
    spec = ContainerSpec(name, image_tag("base"), name, "gateway", command, network="bridge")
    client = docker.from_env()
    try:
        container = engine.create(spec)
        channel = engine.attach(container)
        engine.start(container)
        assert next(channel.lines()) == (True, "listening")
        channel.close()
        body: dict[str, Any] = client.api.inspect_container(container)
        yield body["NetworkSettings"]["IPAddress"]
    finally:
        engine.remove(name)
        client.close()


@pytest.fixture
def server(engine: Engine) -> Iterator[str]:
    """The address of a container that takes connections and says nothing."""
    with listening(engine, LISTEN) as address:
        yield address


def run(bakeoff: Commands, url: str) -> tuple[str, subprocess.Popen[str]]:
    """Begin a run with that BASE_URL; returns its id and its process."""
    seed = a_seed()
    run_id = bakeoff.run_dir(f"gpt-s{seed}").path.name
    options = ("--seed", str(seed), "--base-url", url, "--trial-seconds", "1", "--trials", "1")
    return run_id, bakeoff.start("run", "gpt", *options)


def refused(bakeoff: Commands, url: str) -> str:
    """What is printed by a run that is refused at its start and leaves nothing behind."""
    run_id, process = run(bakeoff, url)
    exit_code = process.wait(SOON_SECONDS)
    said = (bakeoff.here / "command-0.log").read_text()
    assert exit_code == 2, said
    assert bakeoff.left(run_id) == []
    assert not bakeoff.run_dir(run_id).path.exists()
    return said


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "0.0.0.0"])
def test_localhost_is_refused_with_the_address_that_will_do(
    bakeoff: Commands, engine: Engine, host: str
) -> None:
    """There it means the gateway's own container; the hint names the engine's machine instead."""
    said = refused(bakeoff, f"http://{host}:{PORT}/v1")
    assert f"BASE_URL=http://{host}:{PORT}/v1" in said
    assert "the gateway's own container" in said
    assert f"BASE_URL=http://{engine.host_address()}:{PORT}/v1" in said


def test_an_address_where_nothing_listens_is_refused(bakeoff: Commands, server: str) -> None:
    """The run ends before it begins, with the address and the reason."""
    said = refused(bakeoff, f"http://{server}:{PORT + 1}")
    assert f"{server}:{PORT + 1}" in said
    assert "Connection refused" in said


def test_an_unknown_name_is_refused(bakeoff: Commands) -> None:
    """The error says that the name is the reason."""
    said = refused(bakeoff, "http://no-such-host.invalid:8000/v1")
    assert "no-such-host.invalid:8000" in said
    assert "name" in said


def test_a_server_without_tls_is_refused_as_https(bakeoff: Commands, server: str) -> None:
    """The error says that the server does not use TLS."""
    said = refused(bakeoff, f"https://{server}:{PORT}")
    assert f"{server}:{PORT}" in said
    assert "TLS" in said


def test_an_address_with_a_listener_passes(bakeoff: Commands, server: str) -> None:
    """The run opens its sandbox."""
    run_id, process = run(bakeoff, f"http://{server}:{PORT}")
    journal = bakeoff.run_dir(run_id).events
    wait_for(
        lambda: journal.exists() and "sandbox.opened" in journal.read_text(),
        "the sandbox is open", process, bakeoff.here / "command-0.log",
    )  # fmt: skip


def test_a_wrong_path_suspends_the_run_with_its_first_turn(
    bakeoff: Commands, engine: Engine
) -> None:
    """A server that answers 404 to everything is not a provider; the reason names its address."""
    with listening(engine, ANSWER_404) as address:
        run_id, process = run(bakeoff, f"http://{address}:{PORT}/wrong")
        assert process.wait(LONG_SECONDS) == 1
    (suspended,) = events(bakeoff.run_dir(run_id), "run.suspended")
    assert (suspended.fields["why"], suspended.fields["cause"]) == ("gave_up", "provider")
    detail = suspended.fields["detail"]
    assert f"BASE_URL=http://{address}:{PORT}/wrong" in detail
    assert "404" in detail
    assert detail in (bakeoff.here / "command-0.log").read_text()
    assert bakeoff("stop", run_id).returncode == 0
    result = bakeoff.result(run_id)
    assert (result.ended_by, result.cause, result.spent.turns) == ("stopped", "user", 1)
    assert detail in result.detail
