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

from runner.build import debian, images
from runner.engine.client import Engine
from runner.engine.files import archives
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
    """Serve the index on the engine's bridge; the container's address there.

    It belongs to no run, and has no label of one: nothing waits for it or cleans it up but this.
    """
    images.ensure(engine, ["base"])
    index = time_travel.index_of(time_travel.pinned_names(root))
    client = docker.from_env()
    try:
        container = client.containers.create(
            images.load_table()["base"].tag, SERVER, name=f"time-travel-{uuid.uuid4().hex[:12]}"
        )
        try:
            files = {f"index/{path}": content for path, content in index.items()}
            container.put_archive("/", archives.tar_archive(files, uid=0))
            container.start()
            container.reload()
            yield container.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        finally:
            container.remove(force=True)
    finally:
        client.close()


def _build(engine: Engine, tag: str, reference: str, settings: str) -> None:
    """Make the Debian at `reference` with these settings of pip."""
    files = {
        "Dockerfile": f"FROM {reference}\nCOPY pip.conf /etc/pip.conf\n".encode(),
        "pip.conf": settings.encode(),
    }
    context = io.BytesIO(archives.tar_archive(files, uid=0))
    for _ in engine.build_image(context, dockerfile="Dockerfile", tag=tag, buildargs={}, labels={}):
        pass
