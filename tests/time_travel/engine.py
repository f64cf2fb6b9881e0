"""The index of a later year for image builds: served by a container, named in a base image.

A build has pip's ordinary configuration, which is that of the image it stands on; so the base image
of a later year is a Debian with one more file, /etc/pip.conf.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker

from runner import archives, debian, images
from runner.containers import ContainerSpec, Mount
from runner.engine import UID, Engine
from tests import time_travel

PORT = 8000
SERVER = ["python3", "-m", "http.server", str(PORT), "--directory", "/index"]


@contextmanager
def base_of_a_later_year(engine: Engine, root: Path) -> Iterator[str]:
    """The tag of a Debian whose pip is offered a newer release of all that a checkout's locks pin.

    No two have the same bytes, so that no build upon it is answered by the engine's cache.
    """
    tag = f"bakeoff-time-travel:{uuid.uuid4().hex[:12]}"
    with _index_container(engine, root) as address:
        settings = (
            f"# {tag}\n[global]\nextra-index-url = http://{address}:{PORT}/simple/\n"
            f"trusted-host = {address}\n"
        )
        reference = debian.base_reference(engine, lambda _: None)
        _build(engine, tag, reference, settings)
        try:
            yield tag
        finally:
            engine.remove_image(tag)


@contextmanager
def _index_container(engine: Engine, root: Path) -> Iterator[str]:
    """Serve the index on the engine's bridge; the container's address there."""
    images.ensure(engine, ["base"])
    run_id = f"test-{uuid.uuid4().hex[:12]}"
    volume = f"bakeoff-{run_id}-index"
    engine.create_volume(volume, run_id=run_id)
    container = engine.create(
        ContainerSpec(
            name=f"bakeoff-{run_id}-index",
            image=images.load_table()["base"].tag,
            run_id=run_id,
            role="prepare",
            command=SERVER,
            mounts=(Mount(volume, "/index"),),
            network="bridge",
        )
    )
    try:
        index = time_travel.index_of(time_travel.pinned_names(root))
        engine.put_archive(container, "/index", archives.packed(index, UID))
        engine.start(container)
        yield _address(container)
    finally:
        engine.remove(container)
        engine.remove_volume(volume)


def _address(container: str) -> str:
    client = docker.from_env()
    try:
        body = client.api.inspect_container(container)
    finally:
        client.close()
    return str(body["NetworkSettings"]["Networks"]["bridge"]["IPAddress"])


def _build(engine: Engine, tag: str, reference: str, settings: str) -> None:
    """Make the Debian at `reference` with these settings of pip."""
    files = {
        "Dockerfile": f"FROM {reference}\nCOPY pip.conf /etc/pip.conf\n".encode(),
        "pip.conf": settings.encode(),
    }
    context = io.BytesIO(archives.packed(files, uid=0))
    for _ in engine.build_image(context, dockerfile="Dockerfile", tag=tag, buildargs={}, labels={}):
        pass
