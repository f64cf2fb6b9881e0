"""A runner that is killed, and its run resumed on the same volumes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.engine.client import Engine
from tests.docker.commands import Commands, a_seed, commands, events, rehearsed, trials, wait_for
from tests.engines.differences import expected, not_held
from tests.engines.under import Under

TRIALS = 3


@pytest.fixture
def bakeoff(engine: Engine, tmp_path: Path) -> Iterator[Commands]:
    with commands(engine, tmp_path) as made:
        yield made


def test_a_killed_run_goes_on_where_it_was(bakeoff: Commands, under: Under) -> None:
    """After SIGKILL of its runner the run spends the very same budget, and each trial once."""
    seed = a_seed()
    agent = expected(under.name, "agent that is resumed", "gpt")
    run_dir = bakeoff.run_dir(f"{agent}-s{seed}")
    asked = ["--runtime", under.runtime] if under.runtime else []
    asked += ["--unsafe"] if not_held(under.name) else []
    process = bakeoff.start(*rehearsed(agent, seed, "--trials", str(TRIALS), *asked))
    wait_for(
        lambda: len(events(run_dir, "trial.started")) >= 2,
        "the second trial", process, bakeoff.here / "command-0.log",
    )  # fmt: skip
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)
    assert bakeoff.left(run_dir.path.name) != []
    done = bakeoff("resume", run_dir.path.name)
    assert done.returncode == 0, done.stderr[-3000:]
    assert [trial.trial for trial in trials(run_dir)] == [1, 2, 3]
    assert bakeoff.result(run_dir.path.name).ended_by == "trials"
    assert bakeoff.left(run_dir.path.name) == []
