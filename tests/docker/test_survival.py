"""A runner that is killed, told to stop, or runs out of something: nothing is lost or left."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.engine.client import Engine
from runner.records.files import read_lines
from runner.records.schema import RunResult, UsageRecord
from tests.docker.commands import (
    Commands,
    a_seed,
    commands,
    events,
    recorded_models,
    rehearsed,
    trials,
    wait_for,
)


@pytest.fixture
def bakeoff(engine: Engine, tmp_path: Path) -> Iterator[Commands]:
    with commands(engine, tmp_path) as made:
        yield made


class Live:
    """A rehearsed run that is under way in a process of its own."""

    def __init__(self, bakeoff: Commands, agent: str, *options: str) -> None:
        seed = a_seed()
        self.bakeoff = bakeoff
        self.run_id = f"{agent}-s{seed}"
        self.run_dir = bakeoff.run_dir(self.run_id)
        self.process = bakeoff.start(*rehearsed(agent, seed, *options))
        self.log = bakeoff.here / "command-0.log"

    def until_trials_began(self, number: int) -> None:
        """Wait until so many trials have begun."""
        wait_for(
            lambda: len(events(self.run_dir, "trial.started")) >= number,
            f"trial {number}", self.process, self.log,
        )  # fmt: skip

    def kill(self) -> None:
        """End the runner as a power cut does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)

    def ended(self) -> RunResult:
        """Wait for the command's own end, which must be a success."""
        assert self.process.wait(400) == 0, self.log.read_text()[-3000:]
        assert self.bakeoff.left(self.run_id) == []
        return self.bakeoff.result(self.run_id)


def test_a_killed_run_is_listed_and_can_be_resumed(bakeoff: Commands) -> None:
    """After SIGKILL `ps` shows what is left; resumed, the run spends the very same budget."""
    live = Live(bakeoff, "gpt", "--trials", "3")
    live.until_trials_began(2)
    live.kill()
    before = trials(live.run_dir)
    assert [trial.trial for trial in before] == [1]
    left = bakeoff.left(live.run_id)  # before: the engine may still make what it was asked for
    shown = bakeoff("ps").stdout
    for name in left:
        assert name in shown
    assert f"bakeoff-{live.run_id}-agent" in shown
    assert "its runner died" in shown
    again = bakeoff(*rehearsed("gpt", int(live.run_id.rpartition("s")[2]), "--trials", "3"))
    assert again.returncode == 2
    assert f"make resume RUN={live.run_id}" in again.stderr
    done = bakeoff("resume", live.run_id)
    assert done.returncode == 0, done.stderr[-3000:]
    records = trials(live.run_dir)
    assert records[:1] == before
    assert [trial.trial for trial in records] == [1, 2, 3]
    assert len({trial.request for trial in records}) == 3
    result = bakeoff.result(live.run_id)
    assert (result.ended_by, result.spent.trials) == ("trials", 3)
    usage = list(read_lines(live.run_dir.usage, UsageRecord))
    assert result.spent.usd == pytest.approx(sum(record.cost_usd for record in usage))
    assert result.spent.requests == len(usage)
    assert live.run_dir.artifacts.joinpath("STATUS.md").read_text()
    assert len(events(live.run_dir, "run.started")) == len(events(live.run_dir, "run.resumed")) == 1
    assert len(events(live.run_dir, "containment.proved")) == 2, "each life proves its lock"
    assert bakeoff.left(live.run_id) == []
    over = bakeoff("resume", live.run_id)
    assert over.returncode == 2
    assert "it is done" in over.stderr


def test_a_killed_baseline_resumes_the_same_study(bakeoff: Commands) -> None:
    """A sampler's journal survives its runner: no trial is asked for twice."""
    seed = a_seed()
    run_id = f"random-s{seed}"
    run_dir = bakeoff.run_dir(run_id)
    process = bakeoff.start(
        "baseline",
        "random",
        "--seed",
        str(seed),
        "--trial-seconds",
        "1",
        "--trials",
        "3",
        "--verify",
        "none",
    )
    log = bakeoff.here / "command-0.log"
    wait_for(lambda: len(events(run_dir, "trial.started")) >= 2, "trial 2", process, log)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)
    done = bakeoff("resume", run_id)
    assert done.returncode == 0, done.stderr[-3000:]
    records = trials(run_dir)
    assert [trial.trial for trial in records] == [1, 2, 3]
    assert len({str(sorted(trial.knobs.items())) for trial in records}) == 3
    assert bakeoff.left(run_id) == []


def test_a_run_whose_runner_died_can_be_closed(bakeoff: Commands) -> None:
    """`stop` collects what there is, writes a result that says so, and clears the engine."""
    live = Live(bakeoff, "gemini", "--trials", "3", "--record")
    live.until_trials_began(2)
    live.kill()
    assert bakeoff.left(live.run_id)
    stopped = bakeoff("stop", live.run_id)
    assert stopped.returncode == 0, stopped.stderr
    result = bakeoff.result(live.run_id)
    assert (result.ended_by, result.spent.trials) == ("abandoned", 2)
    assert [trial.status for trial in trials(live.run_dir)][1:] == ["killed"]
    assert live.run_dir.experiments.read_text().startswith("experiment,")
    assert recorded_models(live.run_dir) == {""}
    settled = {record.request for record in read_lines(live.run_dir.usage, UsageRecord)}
    asked = live.run_dir.records.glob("*.request.json*")
    assert settled == {path.name.partition(".")[0] for path in asked}, "each has its price"
    assert result.spent.requests == len(settled)
    assert bakeoff.left(live.run_id) == []


def test_a_live_run_is_stopped_gracefully(bakeoff: Commands) -> None:
    """`stop` lets the agent write its STATUS.md; the run ends by itself, with what it had."""
    live = Live(bakeoff, "gpt", "--trials", "50", "--record")
    live.until_trials_began(2)
    asked = bakeoff("stop", live.run_id)
    assert asked.returncode == 0
    assert "asked to stop" in asked.stdout
    result = live.ended()
    assert (result.ended_by, result.cause) == ("stopped", "user")
    assert [e.fields["prompt"] for e in events(live.run_dir, "turn.started")][-1] == "closing"
    assert live.run_dir.artifacts.joinpath("STATUS.md").read_text()
    assert {trial.status for trial in trials(live.run_dir)} <= {"ok", "crash", "killed"}
    usage = list(read_lines(live.run_dir.usage, UsageRecord))
    assert recorded_models(live.run_dir) == {record.model for record in usage}
    (collected,) = events(live.run_dir, "records.collected")
    assert collected.fields["files"] >= 2 * len(usage) - 2, "the last two may have been cut"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_suspends_a_run(bakeoff: Commands, number: signal.Signals) -> None:
    """Soon, with nothing left but volumes; resumed, it ends by its budget."""
    live = Live(bakeoff, "opus", "--trials", "3")
    live.until_trials_began(2)
    began = time.monotonic()
    os.killpg(live.process.pid, number)
    assert live.process.wait(90) == 1
    assert time.monotonic() - began <= 40, "ten seconds, and more for a busy machine"
    assert bakeoff.engine.containers(live.run_id) == []
    assert bakeoff.engine.volumes(live.run_id) != []
    (suspended,) = events(live.run_dir, "run.suspended")
    assert suspended.fields["detail"] == f"{number.name} to the runner"
    assert f"make resume RUN={live.run_id}" in live.log.read_text()
    assert not live.run_dir.result.exists()
    done = bakeoff("resume-all")
    assert done.returncode == 0, done.stdout
    assert f"{live.run_id}: ended" in done.stdout
    assert bakeoff.result(live.run_id).ended_by == "trials"
    assert [trial.trial for trial in trials(live.run_dir)] == [1, 2, 3]
    assert bakeoff.left(live.run_id) == []


def test_a_suspended_run_can_be_ended(bakeoff: Commands) -> None:
    """With what there is; its result names what suspended it."""
    live = Live(bakeoff, "gpt", "--trials", "50")
    live.until_trials_began(2)
    os.killpg(live.process.pid, signal.SIGTERM)
    assert live.process.wait(90) == 1
    assert bakeoff("stop", live.run_id).returncode == 0
    result = bakeoff.result(live.run_id)
    assert (result.ended_by, result.cause) == ("stopped", "user")
    assert "SIGTERM" in result.detail
    assert live.run_dir.artifacts.joinpath("repo.bundle").exists()
    assert bakeoff.left(live.run_id) == []


def test_the_hours_end_a_run(bakeoff: Commands) -> None:
    """When the wall budget is spent the agent is told, writes its STATUS.md, and is gone.

    Told by its last trial or, between trials, by a closing turn: either may come first.
    """
    live = Live(bakeoff, "gpt", "--hours", "0.005")
    result = live.ended()
    assert (result.ended_by, result.cause) == ("hours", "budget")
    assert result.spent.wall_seconds >= 0.005 * 3600
    assert live.run_dir.artifacts.joinpath("STATUS.md").read_text()


def test_the_dollars_end_a_run(bakeoff: Commands) -> None:
    """A cap of dollars is never passed, not by one request, and it is what ends the run."""
    cap = 0.2
    live = Live(bakeoff, "gpt", "--usd", str(cap), "--trials", "50")
    result = live.ended()
    assert (result.ended_by, result.cause) == ("usd", "budget")
    usage = list(read_lines(live.run_dir.usage, UsageRecord))
    assert 0 < sum(record.cost_usd for record in usage) <= cap
    assert result.rehearsed
