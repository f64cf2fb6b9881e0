"""Images that are built in a later year hold exactly what their locks name today."""

from __future__ import annotations

import io
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from runner.build import debian, images, inventory
from runner.engine.client import Engine
from runner.engine.files import archives
from runner.records.layout import ROOT
from tests.time_travel import LATER, locked
from tests.time_travel.engine import base_of_a_later_year

# The images whose builds install Python packages into the image, with the locks of what is there.
TORCH = ("torch/requirements", "torch/requirements-cpu")
TORCH_ON_GPUS = ("torch/requirements-cuda",)
INSTALLED: dict[str, tuple[str, ...]] = {
    "gateway": ("gateway/requirements",),
    "torch": TORCH,
    "optimizer": (*TORCH, "optimizer/requirements", "optimizer/requirements-source"),
    "trainer": (*TORCH, "trainer/requirements"),
    "trainer-test": (*TORCH, "trainer/requirements", "trainer/requirements-test"),
}
# Two more install node, or packages as text, in a stage of their builds that is thrown away.
BUILT = (*INSTALLED, "agent-codex", "data")
COPIED_NOT = shutil.ignore_patterns("__pycache__")  # other tests write there at any moment
COPIED = ("images", "scripts", "trainer", "runner", "tests/trainer")

pytestmark = pytest.mark.timeout(2400)  # seven images are built from nothing


@pytest.fixture(scope="module")
def later_checkout(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the checkout, its images with names of their own and built in a later year."""
    root = tmp_path_factory.mktemp("checkout")
    for folder in COPIED:
        shutil.copytree(ROOT / folder, root / folder, ignore=COPIED_NOT)
    table = root / "images" / "images.toml"
    prefix = f"bakeoff-test-{uuid.uuid4().hex[:8]}"
    table.write_text(table.read_text().replace('tag = "bakeoff/', f'tag = "{prefix}/'))
    with base_of_a_later_year(engine, ROOT) as base, pytest.MonkeyPatch.context() as patch:
        patch.setenv(debian.OVERRIDE, base)
        try:
            images.ensure(engine, BUILT, root=root)
            yield root
        finally:
            for spec in reversed(images.load_table(root).values()):
                engine.remove_image(spec.tag)


@pytest.mark.parametrize("name", INSTALLED)
def test_an_image_of_a_later_year_holds_exactly_the_lock(
    engine: Engine, later_checkout: Path, name: str
) -> None:
    """Not one version differs from the lock, nothing is missing and nothing was added."""
    digest = engine.image_digest(images.load_table(later_checkout)[name].tag)
    found = inventory.installed(engine, digest, root=later_checkout)["pip"]
    packages = {canonicalize_name(package): version for package, version in found.items()}
    locks = INSTALLED[name]
    if engine.info().gpus and locks[:2] == TORCH:
        locks = (*TORCH_ON_GPUS, *locks[2:])
    expected = locked((ROOT / "images" / f"{lock}.lock").read_text() for lock in locks)
    assert {one: version for one, version in packages.items() if one != "pip"} == expected


def test_who_resolves_takes_a_later_release(engine: Engine, later_checkout: Path) -> None:
    """The index is there, and its releases are wanted: the tests above can fail."""
    parent = images.load_table(later_checkout)["trainer"].tag
    tag = f"{parent.partition(':')[0]}-resolves:test"
    dockerfile = f"FROM {parent}\nUSER root\nRUN pip download --no-deps --dest /tmp idna\n"
    context = io.BytesIO(archives.tar_archive({"Dockerfile": dockerfile.encode()}, uid=0))
    try:
        steps = engine.build_image(
            context, dockerfile="Dockerfile", tag=tag, buildargs={}, labels={}
        )
        log = "\n".join(steps)
    finally:
        engine.remove_image(tag)
    assert f"idna-{LATER}" in log
