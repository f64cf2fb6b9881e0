"""What a proof depends on, and the slow findings that are kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.engine.containers import ContainerSpec, Mount
from runner.proof import keeping
from runner.proof.keeping import Machine, box_key, configuration, proof_key
from runner.records import layout
from runner.records.containment import Finding

MACHINE = Machine("engine 20.10", "6.1", "boot")
PROBES = "the text of all probes"
BOX = ContainerSpec(
    name="bakeoff-a-s1-agent", image="image", run_id="a-s1", role="agent",
    mounts=(Mount("bakeoff-a-s1-workspace", "/workspace"), Mount("data", "/data", True)),
    tmpfs={"/tmp": 1 << 20},
)  # fmt: skip
OF_ANOTHER_RUN = replace(
    BOX, name="bakeoff-b-s2-agent", run_id="b-s2",
    mounts=(Mount("bakeoff-b-s2-workspace", "/workspace"), Mount("data", "/data", True)),
)  # fmt: skip


def test_two_runs_of_one_kind_have_one_key() -> None:
    """The names of a run, its containers and its volumes decide nothing."""
    assert configuration(BOX) == configuration(OF_ANOTHER_RUN)
    assert box_key("sha256:1", BOX, MACHINE, PROBES) == box_key(
        "sha256:1", OF_ANOTHER_RUN, MACHINE, PROBES
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"pids": 999}, {"memory_bytes": 5}, {"tmpfs": {"/tmp": 2 << 20}}, {"shm_bytes": 7},
        {"cpus": 9.0}, {"cpu_weight": 9}, {"cpuset": "0"}, {"gpu": "0"}, {"role": "trial"},
    ],
)  # fmt: skip
def test_whatever_the_engine_is_asked_for_is_in_the_key(changed: dict[str, Any]) -> None:
    """Each size and each right that differs makes another key."""
    other = replace(BOX, **changed)
    assert configuration(other) != configuration(BOX)
    assert box_key("sha256:1", other, MACHINE, PROBES) != box_key("sha256:1", BOX, MACHINE, PROBES)


def test_a_mount_is_in_the_configuration_and_not_in_the_key_of_slow_findings() -> None:
    """A volume more changes what a quick proof finds; no slow probe looks at it."""
    other = replace(BOX, mounts=(*BOX.mounts, Mount("more", "/more")))
    assert configuration(other) != configuration(BOX)
    assert box_key("sha256:1", other, MACHINE, PROBES) == box_key("sha256:1", BOX, MACHINE, PROBES)


def test_another_kind_of_engine_is_asked_for_something_else() -> None:
    """Podman is told no profile, and other options of tmpfs."""
    assert configuration(BOX, "podman") != configuration(BOX)
    podman = replace(MACHINE, kind="podman")
    assert box_key("sha256:1", BOX, podman, PROBES) != box_key("sha256:1", BOX, MACHINE, PROBES)


@pytest.mark.parametrize("field", ["engine", "kernel", "boot"])
def test_the_machine_is_in_every_key(field: str) -> None:
    """Another engine, kernel or boot makes the proof worth nothing."""
    changed: dict[str, Any] = {field: "other"}
    other = replace(MACHINE, **changed)
    assert box_key("sha256:1", BOX, other, PROBES) != box_key("sha256:1", BOX, MACHINE, PROBES)
    boxes = [("agent", "sha256:1", "configuration")]
    assert proof_key(boxes, other) != proof_key(boxes, MACHINE)


def test_the_image_is_in_every_key() -> None:
    """A rebuilt image has to be tried again."""
    assert box_key("sha256:2", BOX, MACHINE, PROBES) != box_key("sha256:1", BOX, MACHINE, PROBES)
    one, other = ([("agent", digest, "c")] for digest in ("sha256:1", "sha256:2"))
    assert proof_key(one, MACHINE) != proof_key(other, MACHINE)


def test_the_probes_are_in_the_key_of_slow_findings() -> None:
    """What an older program found, or did not try, says nothing of a newer one."""
    assert box_key("sha256:1", BOX, MACHINE, "newer") != box_key("sha256:1", BOX, MACHINE, PROBES)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of the machine's own, so that nothing is left there."""
    monkeypatch.setattr(layout, "MACHINE_FOLDER", tmp_path)
    return tmp_path / keeping.FOLDER


def test_what_is_kept_is_told_of_any_role(folder: Path) -> None:
    """The name of the container comes from whoever asks; nothing kept is no finding."""
    found = Finding(role="agent-codex", attack="bombs", probe="memory", outcome="held")
    keeping.keep("key", (found,))
    assert keeping.kept("key", "agent") == (found.model_copy(update={"role": "agent"}),)
    assert keeping.kept("another", "agent") == ()
    assert [path.name for path in folder.iterdir()] == ["key.json"]


@pytest.mark.parametrize("content", [b"", b"[{", b'[{"role": "x"}]', b"\xff" * 9, b"{}"])
def test_a_torn_file_is_no_finding(folder: Path, content: bytes) -> None:
    """What cannot be read whole is as if it had never been kept."""
    keeping.keep("key", ())
    (folder / "key.json").write_bytes(content)
    assert keeping.kept("key", "agent") == ()
