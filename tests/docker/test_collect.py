"""What an agent leaves is copied as it is if it is a regular file, and not at all otherwise."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.build.images import image_tag
from runner.collect.artifacts import WATCHED, Collector
from runner.collect.gateway_state import closed_gateway, collect_records
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, Mount
from runner.errors import ImageError
from runner.records.journal import Journal
from runner.records.layout import RunDir, container_name, volume_name
from runner.sandbox.removal import remove_run
from tests.docker.sandbox_rig import SandboxRig, make_context

GARBAGE = b"\xff\xfe,,\x00\n'''\"\"\"\n=cmd|'/c calc'!A1\n"
WRITE_GARBAGE = f"open('experiments.csv', 'wb').write({GARBAGE!r})"
WRITE_LINKS = """
import os
os.remove("experiments.csv")
os.symlink("/etc/passwd", "experiments.csv")
os.mkdir("STATUS.md")
"""
WRITE_HUGE = """
import os
os.remove("experiments.csv")
with open("experiments.csv", "wb") as file:
    file.truncate(1 << 33)
"""


@pytest.fixture(scope="module")
def rig(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxRig]:
    opened = SandboxRig.of(make_context(engine, tmp_path_factory.mktemp("runs"), "gpt"))
    with opened.sandbox:
        yield opened


@pytest.fixture
def collector(rig: SandboxRig) -> Collector:
    context = rig.context
    return Collector(
        context.engine, context.run_dir, context.journal, rig.sandbox.contestant.container
    )


def collected(journal: Journal, name: str) -> list[str]:
    """The events about a file, in order."""
    return [e.event for e in journal.events() if e.fields.get("name") == name]


def test_an_agents_files_are_copied_as_they_are(rig: SandboxRig, collector: Collector) -> None:
    """Garbage is copied byte for byte, once; links are not followed; size has a bound."""
    artifacts = rig.context.run_dir.artifacts
    collector.poll()
    assert not artifacts.exists(), "before the agent writes there is nothing to collect"
    rig.python(WRITE_GARBAGE)
    collector.poll()
    collector.poll()
    assert (artifacts / "experiments.csv").read_bytes() == GARBAGE
    assert collected(rig.context.journal, "experiments.csv") == ["artifact.collected"]
    rig.python(WRITE_LINKS)
    collector.finish()
    assert (artifacts / "experiments.csv").read_bytes() == GARBAGE, "the link was not followed"
    assert not (artifacts / "STATUS.md").exists()
    assert (artifacts / "train.py").read_text() == rig.context.pristine
    rig.python(WRITE_HUGE)
    collector.poll()
    assert (artifacts / "experiments.csv").stat().st_size == WATCHED["experiments.csv"][1]
    assert collected(rig.context.journal, "experiments.csv")[-1] == "artifact.cut"
    assert sorted(path.name for path in artifacts.iterdir()) == ["experiments.csv", "train.py"]


def test_a_transcript_is_appended_as_it_is(rig: SandboxRig, collector: Collector) -> None:
    """What a turn printed is in the run's transcript, and is returned as lines."""
    rig.python("print('one')\nprint('two', end='')")
    path = f"/home/agent/.bakeoff/transcript-{rig.turn}.jsonl"
    assert collector.transcript(1, path) == ["one", "two"]
    assert collector.transcript(2, path) == ["one", "two"]
    assert rig.context.run_dir.transcript.read_bytes() == b"one\ntwo\none\ntwo\n"
    assert collector.transcript(3, "/home/agent/.bakeoff/no-such-turn.jsonl") == []


@pytest.mark.parametrize("container", ["", "bakeoff-test-no-such-container"])
def test_a_container_that_is_gone_changes_nothing(rig: SandboxRig, container: str) -> None:
    """Collecting from a missing container, or from none, leaves the run's directory as it is."""
    context = rig.context
    before = sorted(context.run_dir.path.rglob("*"))
    Collector(context.engine, context.run_dir, context.journal, container).finish()
    assert sorted(context.run_dir.path.rglob("*")) == before


RECORDS = ["000001.request.json.gz", "000001.response.gz"]


@pytest.fixture
def failed_run(engine: Engine) -> Iterator[str]:
    """The id of a run of which only the gateway's volume is left, with two records on it."""
    run_id = f"test-{uuid.uuid4().hex[:8]}"
    name, volume = container_name(run_id, "gateway"), volume_name(run_id, "ledger")
    try:
        engine.create_volume(volume, run_id=run_id)
        mounts = (Mount(volume, "/state"),)
        spec = ContainerSpec(name, image_tag("gateway"), run_id, "gateway", mounts=mounts)
        container = engine.create(spec)
        engine.put_files(container, "/state", {f"records/{name}": b"gz" for name in RECORDS})
        engine.remove(container)
        yield run_id
    finally:
        remove_run(engine, run_id)


def test_records_are_read_from_a_volume_without_its_gateway(
    engine: Engine, failed_run: str, tmp_path: Path
) -> None:
    """The records of a failed run's gateway are kept when that run is closed, also a second time.

    Without the gateway's image there is no way to its volume.
    """
    run_dir = RunDir(tmp_path)
    with pytest.raises(ImageError):
        closed_gateway(engine, failed_run, lambda: "bakeoff/no-such-image:0")
    for _ in range(2):
        gateway = closed_gateway(engine, failed_run, lambda: image_tag("gateway"))
        assert collect_records(engine, run_dir, Journal(run_dir), gateway) == []
        assert sorted(path.name for path in run_dir.records.iterdir()) == RECORDS
    told = [e.event for e in Journal(run_dir).events()]
    assert told == ["records.collected", "records.collected"]


def test_nothing_recorded_is_no_problem(engine: Engine, tmp_path: Path) -> None:
    """Without a container, a volume or a folder of records nothing is reported or written."""
    run_dir = RunDir(tmp_path)
    assert closed_gateway(engine, "test-no-such-run", lambda: "") == ""
    gone = "bakeoff-test-no-such-container"
    assert collect_records(engine, run_dir, Journal(run_dir), gone) == []
    assert not run_dir.records.exists()
