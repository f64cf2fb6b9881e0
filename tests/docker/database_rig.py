"""A PostgreSQL server of Debian's in a container of its own, and the relay that leads to it."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import docker

from runner.build.images import ensure, image_tag
from runner.engine import lockdown
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, Mount

from .container_log import container_log
from .on_this_machine import forwarded

IMAGE = "postgres-test"
USER, DATABASE, PORT = "bakeoff", "postgres", 5432
READY = "database system is ready to accept connections"


@dataclass(frozen=True)
class Database:
    """A server that runs.

    Attributes:
        engine: where it runs.
        container: its container.
        host, port: where the relay reaches it: on this machine, which passes bytes on to it.
        password: the user's.
    """

    engine: Engine
    container: str
    host: str
    port: int
    password: str

    @property
    def url(self) -> str:
        """The address as STORAGE gives it."""
        return f"postgresql://{USER}@{self.host}:{self.port}/{DATABASE}"

    def fail_for_a_while(self) -> None:
        """End the server in the middle of what it does; it answers again after some seconds."""
        client = docker.from_env()
        try:
            client.api.kill(self.container, "SIGUSR1")
        finally:
            client.close()

    def log(self, *words: str) -> str:
        return container_log(self.engine, self.container, *words)


@contextlib.contextmanager
def database(engine: Engine) -> Iterator[Database]:
    """A server that accepts connections; it is removed afterwards."""
    ensure(engine, [IMAGE, "relay"])
    run_id = f"test-{uuid.uuid4().hex[:8]}"
    volume, password = f"bakeoff-{run_id}-data", f"secret-{uuid.uuid4().hex}"
    spec = ContainerSpec(
        # Of the roles that may have a network, this is the one that runs for long.
        f"bakeoff-{run_id}-gateway", image_tag(IMAGE), run_id, "gateway",
        network=lockdown.OWN_NETWORK,
        mounts=(Mount(volume, "/data"),), tmpfs={"/tmp": 64 << 20}, memory_bytes=512 << 20,
        pids=128,
    )  # fmt: skip
    engine.create_volume(volume, run_id=run_id)
    container = engine.create(spec)
    try:
        engine.put_files(container, "/data", {"password": password.encode()})
        engine.start(container)
        container_log(engine, container, READY, seconds=300)
        with forwarded(engine, address(container), PORT) as (host, port):
            yield Database(engine, container, host, port, password)
    finally:
        engine.remove(container)
        engine.remove_volume(volume)


def address(container: str) -> str:
    """A container's address on its one network."""
    (network,) = inspected(container)["NetworkSettings"]["Networks"].values()
    return str(network["IPAddress"])


def inspected(container: str) -> dict[str, Any]:
    """What `docker inspect` shows of a container."""
    client = docker.from_env()
    try:
        shown: dict[str, Any] = client.api.inspect_container(container)
        return shown
    finally:
        client.close()


def shown(container: str) -> str:
    """The same as text."""
    return json.dumps(inspected(container))
