"""A new agent CLI is one file, one folder and one row: a toy is added to a copy and run.

The toy lies in tests/docker/toy_agent/: the file, the folder, and the row for agents.toml.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.build import images
from runner.engine.client import Engine
from runner.records.files import read_lines
from runner.records.layout import ROOT, RunDir
from runner.records.schema import RunResult, TrialRecord, UsageRecord
from runner.sandbox.removal import remove_run
from tests.docker.commands import KEYS, a_seed
from tests.docker.whole_runs import copy_checkout

TOY = Path(__file__).with_name("toy_agent")
ADDED = ("runner/agents/toy.py", "images/agent/toy")
TABLE = "runner/agents/agents.toml"
TRIALS = 2
RUN_SECONDS = 800.0


@dataclass(frozen=True)
class ToyRun:
    """A rehearsed run of the toy that has ended."""

    checkout: Path
    run_dir: RunDir
    printed: str


def copy_with_toy(checkout: Path) -> None:
    """Copy the files that git holds, and add the three things that a new CLI is."""
    copy_checkout(checkout)
    shutil.copy(TOY / ADDED[0], checkout / ADDED[0])
    shutil.copytree(TOY / ADDED[1], checkout / ADDED[1])
    with (checkout / TABLE).open("a") as table:
        table.write((TOY / "row.toml").read_text())


@pytest.fixture(scope="module")
def toy(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToyRun]:
    """The toy's run, started by the command line of the copy."""
    checkout, runs = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("runs")
    copy_with_toy(checkout)
    seed = a_seed()
    run_dir = RunDir(runs / f"toy-s{seed}")
    command = [
        sys.executable, "-c", "from runner.cli import main; main()", "--runs", str(runs),
        "run", "toy", "--seed", str(seed), "--rehearsal", "--trials", str(TRIALS),
        "--trial-seconds", "2", "--verify", "none",
    ]  # fmt: skip
    env = {name: value for name, value in os.environ.items() if name not in KEYS}
    try:
        done = subprocess.run(
            command, cwd=checkout, env=env, capture_output=True, text=True,
            timeout=RUN_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        yield ToyRun(checkout, run_dir, done.stdout)
    finally:
        remove_run(engine, run_dir.path.name)
        engine.remove_image(images.load_table(checkout)["agent-toy"].tag)


def test_nothing_else_was_touched(toy: ToyRun) -> None:
    """But for the file, the folder and the row, the copy is what git holds."""
    added, changed = set(), set()
    for path in toy.checkout.rglob("*"):
        name = path.relative_to(toy.checkout).as_posix()
        if not path.is_file() or "__pycache__" in name or name.startswith(".bakeoff/"):
            continue
        if not (ROOT / name).exists():
            added.add(name)
        elif path.read_bytes() != (ROOT / name).read_bytes():
            changed.add(name)
    assert changed == {TABLE}
    in_folder = (path for path in (TOY / ADDED[1]).rglob("*") if "__pycache__" not in path.parts)
    expected = {path.relative_to(TOY).as_posix() for path in in_folder if path.is_file()}
    assert added == {ADDED[0], *expected}


def test_a_toy_runs_to_the_end_of_its_budget(toy: ToyRun) -> None:
    """Its turns, its trials and its model requests are those of any other agent."""
    result = RunResult.model_validate_json(toy.run_dir.result.read_text())
    assert (result.ended_by, result.cause) == ("trials", "budget")
    trials = list(read_lines(toy.run_dir.trials, TrialRecord))
    assert [trial.status for trial in trials] == ["ok"] * TRIALS
    usage = list(read_lines(toy.run_dir.usage, UsageRecord))
    assert {record.model for record in usage} == {"claude-opus-4-6"}
    assert all(record.charged_by == "usage" and record.cost_usd > 0 for record in usage)
    assert result.problems == []


def test_its_words_and_its_version_are_on_record(toy: ToyRun) -> None:
    """The transcript is its own stream, and the spec says which version ran."""
    lines = toy.run_dir.transcript.read_text().splitlines()
    assert {"said", "began", "ran", "done"} == {json.loads(line)["kind"] for line in lines}
    assert "Best" in (toy.run_dir.artifacts / "STATUS.md").read_text()
    assert "agent-toy" in json.loads(toy.run_dir.spec.read_text())["versions"]["images"]
