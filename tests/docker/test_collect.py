"""What an agent leaves is collected as it is when it is a file, and left where it is otherwise."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.collect import WATCHED, Collector, closed_gateway, collect_records
from runner.containers import ContainerSpec, Mount
from runner.engine import Engine
from runner.journal import Journal
from runner.layout import RunDir, container_name, volume_name
from runner.sandbox import sweep
from runner.stage import image_tag
from tests.docker.sandbox_rig import SandboxRig, make_stage

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
    opened = SandboxRig.of(make_stage(engine, tmp_path_factory.mktemp("runs"), "gpt"))
    with opened.sandbox:
        yield opened


@pytest.fixture
def collector(rig: SandboxRig) -> Collector:
    stage = rig.stage
    return Collector(
        stage.engine, stage.run_dir, stage.journal, lambda: rig.sandbox.contestant.container
    )


def collected(journal: Journal, name: str) -> list[str]:
    """The events about a file, in order."""
    return [e.event for e in journal.events() if e.fields.get("name") == name]


def test_an_agents_files_are_what_they_are(rig: SandboxRig, collector: Collector) -> None:
    """Garbage is copied byte for byte, once; links are not followed; size has a bound."""
    artifacts = rig.stage.run_dir.artifacts
    collector.look()
    assert not artifacts.exists(), "before the first word there is nothing to collect"
    rig.python(WRITE_GARBAGE)
    collector.look()
    collector.look()
    assert (artifacts / "experiments.csv").read_bytes() == GARBAGE
    assert collected(rig.stage.journal, "experiments.csv") == ["artifact.collected"]
    rig.python(WRITE_LINKS)
    collector.finish()
    assert (artifacts / "experiments.csv").read_bytes() == GARBAGE, "the link was not followed"
    assert not (artifacts / "STATUS.md").exists()
    assert (artifacts / "train.py").read_text() == rig.stage.pristine
    rig.python(WRITE_HUGE)
    collector.look()
    assert (artifacts / "experiments.csv").stat().st_size == WATCHED["experiments.csv"][1]
    assert collected(rig.stage.journal, "experiments.csv")[-1] == "artifact.cut"
    assert sorted(path.name for path in artifacts.iterdir()) == ["experiments.csv", "train.py"]


def test_a_transcript_is_appended_as_it_is(rig: SandboxRig, collector: Collector) -> None:
    """What a turn printed is in the run's stream, whole lines or not, and comes back as lines."""
    rig.python("print('one')\nprint('two', end='')")
    path = f"/home/agent/.bakeoff/transcript-{rig.turn}.jsonl"
    assert collector.transcript(1, path) == ["one", "two"]
    assert collector.transcript(2, path) == ["one", "two"]
    assert rig.stage.run_dir.transcript.read_bytes() == b"one\ntwo\none\ntwo\n"
    assert collector.transcript(3, "/home/agent/.bakeoff/no-such-turn.jsonl") == []


@pytest.mark.parametrize("container", ["", "bakeoff-test-no-such-container"])
def test_a_container_that_is_gone_costs_nothing(rig: SandboxRig, container: str) -> None:
    """Collecting from a missing container or from none at all leaves a run as it is."""
    stage = rig.stage
    before = sorted(stage.run_dir.path.rglob("*"))
    Collector(stage.engine, stage.run_dir, stage.journal, lambda: container).finish()
    assert sorted(stage.run_dir.path.rglob("*")) == before


RECORDS = ["000001.request.json.gz", "000001.response.gz"]


@pytest.fixture
def failed_run(engine: Engine) -> Iterator[str]:
    """The id of a run of which the gateway's volume alone is left, with two records on it."""
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
        sweep(engine, run_id)


def fetched(engine: Engine, run_dir: RunDir, run_id: str, image: str) -> list[str]:
    """What is missing after the records of an abandoned run were collected."""
    return collect_records(
        engine, run_dir, Journal(run_dir), lambda: closed_gateway(engine, run_id, lambda: image)
    )


def test_records_are_read_from_a_volume_without_its_gateway(
    engine: Engine, failed_run: str, tmp_path: Path
) -> None:
    """What a failed run's gateway recorded is kept when that run is closed, also when tried again.

    An engine that refuses is one sentence and one event; so no run is kept from its end by it.
    """
    run_dir = RunDir(tmp_path)
    (missing,) = fetched(engine, run_dir, failed_run, "bakeoff/no-such-image:0")
    assert missing.startswith("records: not all could be fetched")
    assert not run_dir.records.exists()
    for _ in range(2):
        assert fetched(engine, run_dir, failed_run, image_tag("gateway")) == []
        assert sorted(path.name for path in run_dir.records.iterdir()) == RECORDS
    told = [e.event for e in Journal(run_dir).events()]
    assert told == ["records.unreadable", "records.collected", "records.collected"]


def test_nothing_recorded_is_no_problem(engine: Engine, tmp_path: Path) -> None:
    """Without a container, a volume or a folder of records there is nothing to say or to make."""
    run_dir = RunDir(tmp_path)
    assert fetched(engine, run_dir, "test-no-such-run", "") == []
    gone = "bakeoff-test-no-such-container"
    assert collect_records(engine, run_dir, Journal(run_dir), lambda: gone) == []
    assert not run_dir.records.exists()
