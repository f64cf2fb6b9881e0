"""What an agent leaves is collected as it is when it is a file, and left where it is otherwise."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runner.collect import WATCHED, Collector
from runner.engine import Engine
from runner.journal import Journal
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
