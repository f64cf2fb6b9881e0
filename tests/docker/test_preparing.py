"""Preparing data in its image: all three volumes are whole, or none is there at all."""

from __future__ import annotations

import gzip
import os
import shutil
import sysconfig
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runner import task_data
from runner.build import images
from runner.engine.client import Engine
from runner.engine.containers import Mount
from runner.errors import UserError
from runner.records.layout import ROOT
from runner.run import lifecycle
from runner.spec import read_spec
from runner.tasks import load_task

from .trainer_rig import (
    DATA_IMAGE,
    MEGABYTE,
    Volume,
    Volumes,
    made_volumes,
    run,
    spec,
)

OLD_RUN = ROOT / "tests" / "fixtures" / "runs-v1" / "tpe-s1"


@pytest.fixture(scope="module", autouse=True)
def _built(engine: Engine) -> None:
    images.ensure(engine, ["data"])


@pytest.fixture(scope="module")
def pystdlib(engine: Engine) -> Iterator[Volume]:
    """The data of the default task, prepared offline in a volume."""
    with made_volumes(engine) as make:
        volume = make()
        ran = volume.prepare("--task", "pystdlib")
        assert ran.state.exit_code == 0, ran.notes
        yield volume


@pytest.fixture
def volumes(engine: Engine) -> Iterator[Volumes]:
    """Makes volumes; removes them at the end."""
    with made_volumes(engine) as made:
        yield made


def test_the_default_task_is_prepared_offline(pystdlib: Volume) -> None:
    """It is made of what the image holds; no held-out split is in a trial's data."""
    expected = ["task.json", "token_bytes.npy", "tokenizer.json", "train.bin"]
    assert pystdlib.files() == expected
    assert pystdlib.files("/heldout") == ["task.json", "token_bytes.npy", "val.bin"]
    assert pystdlib.files("/test") == ["task.json", "test.bin", "token_bytes.npy"]
    again = pystdlib.prepare("--task", "pystdlib")
    assert again.state.exit_code == 0
    assert "nothing to do" in again.lines[-1]


def test_a_full_disk_leaves_nothing_that_looks_whole(engine: Engine) -> None:
    """When space runs out there is one error, and no task.json in any of the three folders."""
    script = (
        "import subprocess, sys, os\n"
        "command = [sys.executable, '/opt/trainer/prepare.py', '--task', 'pystdlib']\n"
        "code = subprocess.run(command).returncode\n"
        "folders = ('/data', '/heldout', '/test')\n"
        "left = [name for folder in folders for name in os.listdir(folder)]\n"
        "print('left:', left, 'code:', code)\n"
    )
    folders = {"/data": MEGABYTE, "/heldout": MEGABYTE, "/test": MEGABYTE}
    wanted = spec(DATA_IMAGE, role="prepare", command=["python", "-c", script], tmpfs=folders)
    ran = run(engine, wanted, within_seconds=600)
    assert ran.lines[-1] == "left: [] code: 2"
    assert ran.notes[0].startswith("error: preparing pystdlib: ")
    assert "No space left on device" in ran.notes[0]
    assert ran.notes[1].startswith("hint: ")


def test_a_users_text_is_prepared_from_its_volume(engine: Engine, volumes: Volumes) -> None:
    """A real text, copied there as the runner does it, is prepared."""
    prepared, inbox = volumes(), volumes()
    text = (Path(sysconfig.get_path("stdlib")) / "argparse.py").read_bytes()
    mounts = (*prepared.mounts, Mount(inbox.name, "/input"))
    command = ["python", "/opt/trainer/prepare.py", "--task", "text"]
    container = engine.create(spec(DATA_IMAGE, role="prepare", command=command, mounts=mounts))
    try:
        engine.put_files(container, "/input", {"novel.txt": text})
        engine.start(container)
        state = engine.wait_exit(container, 300)
        said = b"".join(engine.logs(container)).decode()
    finally:
        engine.remove(container)
    assert state is not None
    assert state.exit_code == 0, said
    assert all("task.json" in prepared.files(place) for place in ("/data", "/heldout", "/test"))


def test_files_of_any_name_are_prepared_as_a_run_does_it(engine: Engine, tmp_path: Path) -> None:
    """Names that are no UTF-8, of 250 bytes, in folders; packed files: all are read."""
    source = (Path(sysconfig.get_path("stdlib")) / "argparse.py").read_bytes()
    half = len(source) // 2
    for name, content in (
        (b"caf\xe9.txt", source[:half]),
        (b"deep/er/" + b"n" * 247 + b".gz", gzip.compress(source[half:])),
        (b"latin\n.txt", "café à la crème\n".encode("latin-1")),
    ):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    said: list[str] = []
    task = load_task("text")
    files = task_data.input_files(str(tmp_path), task)
    volume = task_data.ensure(engine, DATA_IMAGE, task, files, said.append)
    try:
        assert any("read 3 files: " in line for line in said), said
        assert any("latin\\n.txt is not UTF-8: it was read as cp1252" in line for line in said)
        assert task_data.ensure(engine, DATA_IMAGE, task, files, said.append) == volume
        assert not [v for v in engine.volumes() if v.name == f"{volume}-input"]
        said.clear()
        engine.remove_volume(task_data.heldout_volume(volume))
        assert task_data.missing(engine, volume) == [task_data.heldout_volume(volume)]
        assert task_data.ensure(engine, DATA_IMAGE, task, files, said.append) == volume
        assert any("preparing the data" in line for line in said)
        assert task_data.missing(engine, volume) == []
        labels = {v.name: v.data for v in engine.volumes() if v.name.endswith(volume[-12:])}
        assert labels == dict.fromkeys(task_data.places_of(volume), "text")
    finally:
        for each in task_data.places_of(volume):
            engine.remove_volume(each)


def test_a_text_that_is_refused_or_changes_leaves_no_volume(engine: Engine, tmp_path: Path) -> None:
    """No later run can take it for whole; the next try begins anew, whatever was left behind."""
    path, task = tmp_path / "picture.txt", load_task("text")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 100)
    volume = task_data.volume_of(task, [path])
    engine.create_volume(f"{volume}-input", run_id=volume)  # as a killed runner leaves it
    with pytest.raises(UserError, match="is a picture"):
        task_data.ensure(engine, DATA_IMAGE, task, [path], print)

    def grow(line: str) -> None:
        path.write_bytes(path.read_bytes() + b"more")

    with pytest.raises(UserError, match="changed meanwhile"):
        task_data.ensure(engine, DATA_IMAGE, task, [path], grow)
    digest = volume.rpartition("-")[2]
    assert not [v.name for v in engine.volumes() if digest in v.name]


@pytest.mark.parametrize("lost", [task_data.heldout_volume, task_data.test_volume])
def test_a_run_whose_held_out_text_is_gone_is_not_resumed(
    engine: Engine, tmp_path: Path, lost: Callable[[str], str]
) -> None:
    """The error names the volume; nothing of the run is touched."""
    run_id = f"tpe-s{uuid.uuid4().int % 10**6}"
    volume = f"bakeoff-data-pystdlib-{run_id}"
    shutil.copytree(OLD_RUN, tmp_path / run_id)
    (tmp_path / run_id / "result.json").unlink()
    spec = read_spec(tmp_path, run_id).model_copy(
        update={"run_id": run_id, "versions": {"data": volume}}
    )
    there = [name for name in task_data.places_of(volume) if name != lost(volume)]
    try:
        for name in there:
            engine.create_volume(name, run_id=run_id)
        with pytest.raises(UserError, match=f"the volume {lost(volume)} is gone"):
            lifecycle.resume(spec, engine, tmp_path, lambda *_: None)
        assert task_data.missing(engine, volume) == [lost(volume)]
    finally:
        for name in there:
            engine.remove_volume(name)
