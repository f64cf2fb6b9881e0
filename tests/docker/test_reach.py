"""A BASE_URL that the gateway cannot call is refused when a run starts."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.engine.client import Engine

from .commands import LONG_SECONDS, Commands, a_seed, commands, events, wait_for
from .on_this_machine import program

PORT = 8000
LISTEN = """
import socket, sys
server = socket.create_server((sys.argv[1], 0))
print(server.getsockname()[1])
while True:
    server.accept()
"""
ANSWER_404 = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()
server = ThreadingHTTPServer((sys.argv[1], 0), Handler)
print(server.server_port)
server.serve_forever()
"""
SOON_SECONDS = 180.0


@pytest.fixture
def bakeoff(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Commands]:
    """The `bakeoff` command in a folder of its own, with a key in the file .env."""
    (tmp_path / ".env").write_text("OPENAI_API_KEY=sk-of-this-test\n")
    with commands(engine, tmp_path) as made:
        yield made


@pytest.fixture
def server(engine: Engine) -> Iterator[tuple[str, int]]:
    """The address and port of a server that takes connections and says nothing."""
    with program(engine, LISTEN) as place:
        yield place


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


def test_an_address_where_nothing_listens_is_refused(bakeoff: Commands, engine: Engine) -> None:
    """The run ends before it begins, with the address and the reason."""
    with program(engine, LISTEN) as (host, port):
        pass
    said = refused(bakeoff, f"http://{host}:{port}")
    assert f"{host}:{port}" in said
    assert "Connection refused" in said


def test_an_unknown_name_is_refused(bakeoff: Commands) -> None:
    """The error says that the name is the reason."""
    said = refused(bakeoff, "http://no-such-host.invalid:8000/v1")
    assert "no-such-host.invalid:8000" in said
    assert "name" in said


def test_a_server_without_tls_is_refused_as_https(
    bakeoff: Commands, server: tuple[str, int]
) -> None:
    """The error says that the server does not use TLS."""
    host, port = server
    said = refused(bakeoff, f"https://{host}:{port}")
    assert f"{host}:{port}" in said
    assert "TLS" in said


def test_an_address_with_a_listener_passes(bakeoff: Commands, server: tuple[str, int]) -> None:
    """The run opens its sandbox."""
    host, port = server
    run_id, process = run(bakeoff, f"http://{host}:{port}")
    journal = bakeoff.run_dir(run_id).events
    wait_for(
        lambda: journal.exists() and "sandbox.opened" in journal.read_text(),
        "the sandbox is open", process, bakeoff.here / "command-0.log",
    )  # fmt: skip


def test_a_wrong_path_suspends_the_run_with_its_first_turn(
    bakeoff: Commands, engine: Engine
) -> None:
    """A server that answers 404 to everything is not a provider; the reason names its address."""
    with program(engine, ANSWER_404) as (host, port):
        run_id, process = run(bakeoff, f"http://{host}:{port}/wrong")
        assert process.wait(LONG_SECONDS) == 1
    (suspended,) = events(bakeoff.run_dir(run_id), "run.suspended")
    assert (suspended.fields["why"], suspended.fields["cause"]) == ("gave_up", "provider")
    detail = suspended.fields["detail"]
    assert f"BASE_URL=http://{host}:{port}/wrong" in detail
    assert "404" in detail
    assert detail in (bakeoff.here / "command-0.log").read_text()
    assert bakeoff("stop", run_id).returncode == 0
    result = bakeoff.result(run_id)
    assert (result.ended_by, result.cause, result.spent.turns) == ("stopped", "user", 1)
    assert detail in result.detail
