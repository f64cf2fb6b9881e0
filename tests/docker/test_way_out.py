"""The gateway's own way out, tried from inside: its own network, and no address of the inside."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest

from runner.build.images import image_tag
from runner.engine import lockdown
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec
from runner.errors import EngineError
from runner.sandbox.removal import remove_run

from .database_rig import address, inspected
from .on_this_machine import program

# Asks the provider one question, as the gateway does; prints how that ends.
ASK = """
import asyncio, json, sys
from gatewayd.dialects import DIALECTS
from gatewayd.provider.upstream import Upstream, UpstreamError, open_session
from gatewayd.refusal import Refusal
from gatewayd.settings import read_settings

async def ask(url, private_ok):
    settings = read_settings({
        "provider": "anthropic", "base_url": url, "api_key": "sk-x", "token": "t",
        "models": ["m"], "deadline_seconds": 60, "private_ok": private_ok,
    })
    async with open_session(settings) as session:
        way, dialect = Upstream(settings, session), DIALECTS["anthropic"][0]
        try:
            answer = await way.attempt(dialect, "/v1/messages", b"{}", {}, streamed=False)
            return f"status {answer.status}"
        except Refusal as refusal:
            return f"refused: {refusal.detail}"
        except UpstreamError as error:
            return f"failed: {error.reason}"

asked = json.loads(sys.argv[1])
print(json.dumps([asyncio.run(ask(*one)) for one in asked]))
"""
ANSWER_404 = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()
server = HTTPServer((sys.argv[1], 0), Handler)
print(server.server_port)
server.serve_forever()
"""
LISTEN = """
import socket
server = socket.create_server(("", 8000))
print("listening", flush=True)
while True:
    server.accept()
"""
DIAL = """
import json, socket, sys
reached = []
for host, port in json.loads(sys.argv[1]):
    try:
        socket.create_connection((host, port), 3).close()
        reached.append(host)
    except OSError:
        pass
print(json.dumps(reached))
"""
# What a name server could say of the provider's name.
INSIDE = {
    "metadata.example": "169.254.169.254",
    "loopback.example": "127.0.0.1",
    "mapped.example": "::ffff:169.254.169.254",
    "multicast.example": "224.0.0.1",
    "nowhere.example": "0.0.0.0",
}
IN_PRIVATE = {"private.example": "10.11.12.13", "shared.example": "100.64.1.1"}


@pytest.fixture
def make(engine: Engine, run_id: str) -> Iterator[Callable[..., ContainerSpec]]:
    """Describes a gateway's container that runs a Python program; what it made is removed."""

    def describe(text: str, *arguments: str, run: str = run_id) -> ContainerSpec:
        return ContainerSpec(
            f"bakeoff-{run}-gateway", image_tag("gateway"), run, "gateway",
            entrypoint=["python3", "-uc", text, *arguments], network=lockdown.OWN_NETWORK,
        )  # fmt: skip

    yield describe
    remove_run(engine, run_id)


def printed(engine: Engine, spec: ContainerSpec) -> Any:
    """What a container prints until its end, which is JSON."""
    container = engine.create(spec)
    engine.start(container)
    state = engine.wait_exit(container, 60)
    said = b"".join(engine.logs(container)).decode()
    engine.remove(container)
    assert state is not None
    assert state.exit_code == 0, said
    return json.loads(said)


@pytest.fixture
def network(client: docker.DockerClient, run_id: str) -> Iterator[Any]:
    """A network like that of a gateway."""
    made = client.networks.create(f"bakeoff-{run_id}-asked", labels={"bakeoff.run": run_id})
    made.reload()
    yield made
    made.remove()


def asked_inside(network: Any, names: dict[str, str], asked: list[tuple[str, bool]]) -> list[str]:
    """How requests end in a container of the gateway's image whose names lead to these addresses.

    The engine writes the names into the container's /etc/hosts, which only a test asks it for.

    Args:
        network: the container's.
        names: name → address.
        asked: `base_url` and `private_ok` of each request.
    """
    said = network.client.containers.run(
        image_tag("gateway"), remove=True, cap_drop=["ALL"], read_only=True, extra_hosts=names,
        entrypoint=["/opt/venv/bin/python", "-c", ASK, json.dumps(asked)],
        working_dir="/opt/bakeoff", network=network.name,
    )  # fmt: skip
    answers: list[str] = json.loads(said)
    return answers


def test_no_name_leads_the_gateway_inside(engine: Engine, network: Any) -> None:
    """Whoever named it; a private address is called if the user named the server."""
    with program(engine, ANSWER_404) as (host, port):
        own = network.attrs["IPAM"]["Config"][0]["Gateway"]
        names = INSIDE | IN_PRIVATE | {"server.example": host, "own.example": own}
        refused = [
            (f"http://{name}", private_ok) for private_ok in (False, True) for name in INSIDE
        ]
        refused += [(f"http://{name}", False) for name in IN_PRIVATE]
        refused += [(f"http://own.example:{port}", True), (f"http://server.example:{port}", False)]
        called = [(f"http://server.example:{port}", True), (f"http://{host}:{port}", False)]
        answers = asked_inside(network, names, refused + called)
    for (url, _), answer in zip(refused, answers, strict=False):
        name = url.removeprefix("http://").partition(":")[0]
        assert answer.startswith(f"refused: the provider is not called: {name} has no address but")
    assert answers[len(refused) :] == ["status 404", "status 404"]


def test_each_container_with_a_network_has_it_to_itself(
    engine: Engine, make: Callable[..., ContainerSpec], run_id: str
) -> None:
    """It has the run's label, IPv4 alone and no neighbour, and ends with its container."""
    spec = make("import time; time.sleep(600)")
    container = engine.create(spec)
    engine.start(container)
    name = lockdown.own_network(spec.name)
    assert list(inspected(container)["NetworkSettings"]["Networks"]) == [name]
    with_it = docker.from_env()
    try:
        network = with_it.networks.get(name).attrs
    finally:
        with_it.close()
    assert list(network["Containers"]) == [container]
    assert network["Labels"] == {"bakeoff.run": run_id}
    assert not network["EnableIPv6"]
    engine.remove(container)
    assert engine.networks(run_id) == {}


def test_a_gateway_reaches_no_other_container_of_ours(
    engine: Engine, make: Callable[..., ContainerSpec], run_id: str
) -> None:
    """Another run's gateway listens and is not reached; the user's own server is."""
    other = f"{run_id}-other"
    listener = engine.create(make(LISTEN, run=other))
    try:
        channel = engine.attach(listener)
        engine.start(listener)
        assert next(channel.lines()) == (True, "listening")
        channel.close()
        with program(engine, ANSWER_404) as server:
            targets = [(address(listener), 8000), server]
            reached = printed(engine, make(DIAL, json.dumps(targets)))
        assert reached == [server[0]]
    finally:
        remove_run(engine, other)
    assert engine.networks(other) == {}


def test_a_network_without_its_container_is_found_and_removed(
    engine: Engine, make: Callable[..., ContainerSpec], run_id: str
) -> None:
    """A runner was killed between the two: the run's end removes it, or the next container does."""
    spec = make("pass")
    name = lockdown.own_network(spec.name)
    engine.make_network(name, run_id)
    remove_run(engine, run_id)
    assert engine.networks(run_id) == {}
    engine.make_network(name, run_id)
    engine.create(spec)
    assert engine.networks(run_id) == {name: run_id}


def test_a_container_that_cannot_be_made_leaves_no_network(
    engine: Engine, make: Callable[..., ContainerSpec], run_id: str
) -> None:
    """The engine has no such image."""
    spec = make("pass")
    with pytest.raises(EngineError, match="image"):
        engine.create(ContainerSpec(spec.name, "bakeoff/no-such-image", run_id, "gateway",
                                    network=lockdown.OWN_NETWORK))  # fmt: skip
    assert engine.networks(run_id) == {}


def networks(client: docker.DockerClient, run_id: str) -> Iterator[Any]:
    """New networks of no run, for as long as the engine makes them."""
    while True:
        yield client.networks.create(f"bakeoff-{run_id}-{uuid.uuid4().hex[:6]}")


@pytest.mark.alone
def test_networks_that_no_container_needs_make_room(
    engine: Engine, make: Callable[..., ContainerSpec], client: docker.DockerClient, run_id: str
) -> None:
    """When the engine has no range left, the hint says what to do, and those of ours can go."""
    spec = make("import time; time.sleep(600)")
    container = engine.create(spec)
    engine.start(container)
    fillers: list[Any] = []
    try:
        with pytest.raises(docker.errors.APIError):
            fillers.extend(networks(client, run_id))
        with pytest.raises(EngineError, match="creating network") as caught:
            engine.make_network(f"bakeoff-{run_id}-more-way-out", run_id)
        assert "default-address-pools" in caught.value.hint
        fillers.pop().remove()
        engine.make_network(f"bakeoff-{run_id}-killed-way-out", run_id)
        assert engine.remove_unneeded_networks(settling_seconds=0.1) == 1
        assert engine.networks(run_id) == {lockdown.own_network(spec.name): run_id}
    finally:
        for filler in fillers:
            filler.remove()
