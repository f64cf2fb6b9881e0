"""Before it begins, CI removes from the engine what carries our labels, and nothing else."""

from __future__ import annotations

import io
import os
import subprocess
import uuid
from collections.abc import Iterator

import docker
import pytest

from runner.build import images
from runner.engine.client import Engine
from runner.engine.files import archives
from runner.records.layout import ROOT


@pytest.fixture
def prefix(engine: Engine, client: docker.DockerClient) -> Iterator[str]:
    """A prefix of labels that nothing else on the machine has; removed afterwards."""
    images.ensure(engine, ["base"])
    made = f"bakeofftest{uuid.uuid4().hex[:8]}"
    yield made
    for container in client.containers.list(all=True, filters={"name": made}):
        container.remove(force=True)
    for volume in client.volumes.list(filters={"name": made}):
        volume.remove(force=True)
    for tag in ("upper", "inputs", "base", "stage", "other"):
        engine.remove_image(f"{made}:{tag}")


def build(engine: Engine, tag: str, parent: str, label: str) -> None:
    """Build an image on another, with one label."""
    dockerfile = f"FROM {parent}\nLABEL {label}=x\n".encode()
    context = io.BytesIO(archives.tar_archive({"Dockerfile": dockerfile}, uid=0))
    steps = engine.build_image(context, dockerfile="Dockerfile", tag=tag, buildargs={}, labels={})
    assert list(steps)


def clear(prefix: str, ci: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / ".ci/clear", prefix],
        env={**os.environ, "CI": ci, **more},
        capture_output=True,
        text=True,
        check=False,
    )


def fill(engine: Engine, client: docker.DockerClient, prefix: str) -> None:
    """Make a container, two volumes and four images with labels, and one of each without."""
    base = images.load_table()["base"].tag
    build(engine, f"{prefix}:inputs", base, f"{prefix}.inputs")
    build(engine, f"{prefix}:upper", f"{prefix}:inputs", "upper")
    build(engine, f"{prefix}:base", base, f"{prefix}.base")
    build(engine, f"{prefix}:stage", base, f"{prefix}.stage")
    build(engine, f"{prefix}:other", base, "other")
    client.containers.create(
        f"{prefix}:upper", "true", name=f"{prefix}-run", labels={f"{prefix}.run": "x"}
    )
    client.containers.create(f"{prefix}:other", "true", name=f"{prefix}-other")
    for kind in ("run", "data"):
        client.volumes.create(f"{prefix}-{kind}", labels={f"{prefix}.{kind}": "x"})
    client.volumes.create(f"{prefix}-other")


def there(client: docker.DockerClient, prefix: str) -> set[str]:
    """What this test has on the engine."""
    containers = client.containers.list(all=True, filters={"name": prefix})
    volumes = client.volumes.list(filters={"name": prefix})
    tags = [tag for image in client.images.list(name=prefix) for tag in image.tags]
    return {f"container {c.name}" for c in containers} | {v.name for v in volumes} | set(tags)


def test_only_what_has_our_labels_goes(
    engine: Engine, client: docker.DockerClient, prefix: str
) -> None:
    """That includes images that others are built on; what another project made stays."""
    fill(engine, client, prefix)
    done = clear(prefix, "true")
    assert done.returncode == 0, done.stderr
    others = {f"container {prefix}-other", f"{prefix}-other", f"{prefix}:other"}
    assert there(client, prefix) == others


def test_an_engine_that_cannot_be_asked_is_an_error() -> None:
    """It is not taken for an empty one: CI would go on with whatever it has cached."""
    done = clear("bakeofftest", "true", DOCKER_HOST="unix:///nowhere.sock")
    assert done.returncode != 0


def test_nothing_is_removed_outside_ci(
    engine: Engine, client: docker.DockerClient, prefix: str
) -> None:
    """Where CI is not `true`, runs and data may belong to a person."""
    fill(engine, client, prefix)
    before = there(client, prefix)
    assert clear(prefix, "").returncode == 1
    assert there(client, prefix) == before
