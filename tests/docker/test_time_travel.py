"""Images that are built in a later year hold exactly what their locks name today."""

from __future__ import annotations

import io
import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner import archives, debian, images
from runner.containers import ContainerSpec
from runner.engine import Engine
from runner.layout import ROOT
from tests.time_travel import LATER, locked, normalized
from tests.time_travel.engine import base_of_a_later_year

# The interpreter of each image whose build installs from a lock, and the locks of its environment.
TORCH = ("torch/requirements", "torch/requirements-cpu")
INSTALLED: dict[str, tuple[str, tuple[str, ...]]] = {
    "gateway": ("/opt/venv/bin/python", ("gateway/requirements",)),
    "torch": ("/opt/venv/bin/python", TORCH),
    "optimizer": ("/opt/venv/bin/python", (*TORCH, "optimizer/requirements")),
    "trainer": ("/opt/venv/bin/python", (*TORCH, "trainer/requirements")),
    "trainer-test": (
        "/opt/venv/bin/python",
        (*TORCH, "trainer/requirements", "trainer/requirements-test"),
    ),
}
INSTALLERS = {"pip"}  # what a venv has of its own
PROGRAM = """
import importlib.metadata, json, os, platform, sys
print(json.dumps({
    "packages": {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()},
    "markers": {
        "python_full_version": platform.python_version(), "python_version": "3.11",
        "sys_platform": sys.platform, "platform_machine": platform.machine(),
        "platform_system": platform.system(), "os_name": os.name,
        "implementation_name": sys.implementation.name,
        "platform_python_implementation": platform.python_implementation(),
    },
}))
"""


@pytest.fixture(scope="module")
def later_checkout(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the checkout, its images with names of their own and built in a later year."""
    root = tmp_path_factory.mktemp("checkout")
    for folder in ("images", "trainer", "runner", "tests/trainer"):
        shutil.copytree(ROOT / folder, root / folder)
    table = root / "images" / "images.toml"
    prefix = f"bakeoff-test-{uuid.uuid4().hex[:8]}"
    table.write_text(table.read_text().replace('tag = "bakeoff/', f'tag = "{prefix}/'))
    with (
        base_of_a_later_year(engine, ROOT) as base,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv(debian.OVERRIDE, base)
        try:
            images.ensure(engine, [*INSTALLED, "agent-codex"], root=root)
            yield root
        finally:
            for spec in reversed(images.load_table(root).values()):
                engine.remove_image(spec.tag)


def printed(engine: Engine, image: str, command: list[str]) -> str:
    """What a command prints in a container of an image."""
    run_id = f"test-{uuid.uuid4().hex[:12]}"
    container = engine.create(
        ContainerSpec(
            name=f"bakeoff-{run_id}-trial", image=image, run_id=run_id, role="trial",
            command=command,
        )
    )  # fmt: skip
    try:
        engine.start(container)
        state = engine.wait_exit(container, timeout_seconds=60)
        said = b"".join(engine.logs(container)).decode()
        assert state is not None, said
        assert state.exit_code == 0, said
        return said
    finally:
        engine.remove(container)


@pytest.mark.parametrize("name", INSTALLED)
def test_an_image_of_a_later_year_holds_exactly_the_lock(
    engine: Engine, later_checkout: Path, name: str
) -> None:
    """Not one version differs from the lock, nothing is missing and nothing was added."""
    python, locks = INSTALLED[name]
    engine_tag = images.load_table(later_checkout)[name].tag
    installed: dict[str, Any] = json.loads(printed(engine, engine_tag, [python, "-c", PROGRAM]))
    packages = {normalized(name): version for name, version in installed["packages"].items()}
    texts = [(ROOT / "images" / f"{lock}.lock").read_text() for lock in locks]
    expected = locked(texts, installed["markers"])
    assert {k: v for k, v in packages.items() if k not in INSTALLERS} == expected


def test_who_resolves_takes_a_later_release(engine: Engine, later_checkout: Path) -> None:
    """The index is there, and its releases are wanted: the tests above can fail."""
    parent = images.load_table(later_checkout)["trainer"].tag
    tag = f"{parent.partition(':')[0]}-resolves:test"
    dockerfile = f"FROM {parent}\nUSER root\nRUN pip download --no-deps --dest /tmp idna\n"
    context = io.BytesIO(archives.packed({"Dockerfile": dockerfile.encode()}, uid=0))
    try:
        log = "\n".join(
            engine.build_image(context, dockerfile="Dockerfile", tag=tag, buildargs={}, labels={})
        )
    finally:
        engine.remove_image(tag)
    assert f"idna-{LATER}" in log
