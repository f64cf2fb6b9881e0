"""Images on a real engine: which are built, which stay, and what a failed build reports."""

from __future__ import annotations

import errno
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.build import images
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec
from runner.errors import ImageError, UserError

DOCKERFILE = """
ARG BASE_IMAGE=bakeoff/base:0.1.0
FROM bakeoff/base:0.1.0 AS build
LABEL bakeoff.stage=build test.name={name}
RUN echo {name} > /made
FROM bakeoff/base:0.1.0
LABEL test.name={name}
COPY --from=build /made /made
COPY {folder}/ /sent/
"""


@pytest.fixture
def checkout(engine: Engine, tmp_path: Path) -> Iterator[Path]:
    """A checkout of two small images of two stages each, `left` below `right`."""
    images.ensure(engine, ["base"])
    name = f"bakeoff-test/{uuid.uuid4().hex[:12]}"
    (tmp_path / "images").mkdir()
    table = ""
    for folder, parent in (("left", ""), ("right", "left")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "program.py").write_text("version = 1\n")
        (tmp_path / folder / "Dockerfile").write_text(DOCKERFILE.format(name=name, folder=folder))
        table += f"""
[{folder}]
tag = "{name}-{folder}:1"
dockerfile = "{folder}/Dockerfile"
parent = "{parent}"
inputs = ["{folder}"]
"""
    (tmp_path / "images/images.toml").write_text(table)
    yield tmp_path
    for spec in images.load_table(tmp_path).values():
        engine.remove_image(spec.tag)
    engine.prune_images(f"test.name={name}")  # what the failed builds left


def digests(engine: Engine, checkout: Path) -> list[str]:
    """The content ids of left and right; "" for an image that is not built."""
    return [engine.image_digest(spec.tag) for spec in images.load_table(checkout).values()]


def run(engine: Engine, tag: str, command: list[str]) -> tuple[int, str]:
    """Exit code and output of a command in a fresh container, locked as all of ours are."""
    run_id = f"test-{uuid.uuid4().hex[:12]}"
    spec = ContainerSpec(
        name=f"bakeoff-{run_id}-images", image=tag, run_id=run_id, role="trial", command=command
    )
    container = engine.create(spec)
    try:
        engine.start(container)
        state = engine.wait_exit(container, timeout_seconds=120)
        assert state is not None, f"{command} did not end within two minutes"
        return state.exit_code, b"".join(engine.logs(container)).decode()
    finally:
        engine.remove(container)


def test_images_are_built_parents_first_and_once(engine: Engine, checkout: Path) -> None:
    """The first call builds both, the second nothing."""
    assert images.ensure(engine, ["right"], root=checkout) == ["left", "right"]
    built = digests(engine, checkout)
    assert all(built)
    assert images.ensure(engine, ["right"], root=checkout) == []
    assert digests(engine, checkout) == built


@pytest.mark.alone
def test_only_what_is_built_on_a_change_is_rebuilt(engine: Engine, checkout: Path) -> None:
    """A change of the upper image leaves the lower one as it is; the replaced image is removed."""
    images.ensure(engine, ["right"], root=checkout)
    left, right = digests(engine, checkout)
    (checkout / "right/program.py").write_text("version = 2\n")
    assert images.ensure(engine, ["left", "right"], root=checkout) == ["right"]
    left_after, right_after = digests(engine, checkout)
    assert left_after == left
    assert right_after != right
    assert engine.image_digest(right) == ""


def test_a_failed_build_shows_the_end_of_its_log(engine: Engine, checkout: Path) -> None:
    """The error has what the failing step printed, and the earlier image is still there."""
    images.ensure(engine, ["left"], root=checkout)
    before = digests(engine, checkout)
    with (checkout / "left/Dockerfile").open("a") as dockerfile:
        dockerfile.write("RUN echo the disk is made of cheese && exit 3\n")
    with pytest.raises(ImageError, match="made of cheese") as caught:
        images.ensure(engine, ["right"], root=checkout)
    assert "build-left.log" in caught.value.hint
    assert digests(engine, checkout) == before


def test_an_unknown_image_is_refused_with_the_nearest_name(engine: Engine, checkout: Path) -> None:
    """Nothing is built."""
    with pytest.raises(UserError) as caught:
        images.ensure(engine, ["rihgt"], root=checkout)
    assert "did you mean right?" in caught.value.hint
    assert digests(engine, checkout) == ["", ""]


def test_up_to_date_images_are_checked_quickly(engine: Engine) -> None:
    """Every command checks its images, so that has to be quick.

    An idle machine takes well below a second for all of them; a busy one may need several.
    """
    everything = images.everyday()
    images.ensure(engine, everything)
    began = time.perf_counter()
    assert images.ensure(engine, everything) == []
    assert time.perf_counter() - began < 10


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("base", ["python3", "/opt/bakeoff/verify-base"]),
        ("torch", ["python", "/opt/bakeoff/torch/verify"]),
    ],
)
def test_an_image_holds_what_it_promises(engine: Engine, name: str, command: list[str]) -> None:
    """`verify` passes as uid 1000, in a locked container without a network."""
    images.ensure(engine, [name])
    exit_code, output = run(engine, images.load_table()[name].tag, command)
    assert (exit_code, output) == (0, "")


def test_the_base_runs_programs_without_rights(engine: Engine) -> None:
    """They are uid 1000 without capabilities, and the root file system is read-only."""
    program = (
        "import os; print(os.getuid(), open('/proc/self/status').read().split('CapEff:')[1][:17])\n"
        "try: open('/opt/bakeoff/x', 'w')\n"
        "except OSError as error: print(error.errno)"
    )
    tag = images.load_table()["base"].tag
    exit_code, output = run(engine, tag, ["python3", "-c", program])
    assert exit_code == 0
    assert output.split() == ["1000", "0000000000000000", str(errno.EROFS)]
