"""A runner that is dead or stopped: its agent does not go on, and nothing that it did is lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runner.engine.client import Engine
from runner.records.files import read_lines
from runner.records.layout import container_name
from runner.records.schema import RunResult, UsageRecord
from runner.wire.messages import Heartbeat, Problem, TurnFinished
from tests.docker.agent_box import AgentBox, agent_box
from tests.docker.commands import (
    Commands,
    a_seed,
    commands,
    events,
    rehearsed,
    trials,
    wait_for,
)

ORPHAN_SECONDS = 10.0  # its first git commands count as well
ORPHAN_MINUTES = 0.2
TRIALS = 3
SOON = 90.0


@pytest.fixture
def box(engine: Engine) -> Iterator[AgentBox]:
    with agent_box(engine) as made:
        yield made


@pytest.fixture
def bakeoff(engine: Engine, tmp_path: Path) -> Iterator[Commands]:
    with commands(engine, tmp_path) as made:
        yield made


def test_agentd_interrupts_the_turn_of_an_orphan(box: AgentBox) -> None:
    """What the turn has written stays, the runner is told why, and its next turn runs."""
    box.start(orphan_seconds=ORPHAN_SECONDS)
    box.begin("echo kept > ~/session; trap 'echo bye; exit 5' TERM; sleep 1000 & wait")
    assert "is interrupted" in box.wait_for(Problem, SOON).message
    finished = box.wait_for(TurnFinished, SOON)
    assert finished.exit_code == 5
    assert box.shell("cat ~/session") == "kept\n"


def test_a_turn_goes_on_while_the_runner_is_heard(box: AgentBox) -> None:
    """Heartbeats alone are enough, however long the turn takes."""
    box.start(orphan_seconds=ORPHAN_SECONDS)
    box.begin("sleep 1000")
    until = time.monotonic() + 1.5 * ORPHAN_SECONDS
    while time.monotonic() < until:
        box.send(Heartbeat())
        with pytest.raises(TimeoutError):
            box.end_of_turn(0.5)
    assert [one for one in box.messages if isinstance(one, Problem)] == []
    assert box.end_of_turn(SOON).exit_code == -signal.SIGTERM


def waited(condition: Callable[[], object], what: str) -> None:
    until = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.2)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_an_agent_without_its_runner_stops_and_goes_on_with_it(
    number: signal.Signals, bakeoff: Commands
) -> None:
    """Soon no turn runs and no request is admitted; then all trials are there, none twice."""
    seed = a_seed()
    run_id = f"gpt-s{seed}"
    run_dir = bakeoff.run_dir(run_id)
    options = ("--trials", str(TRIALS), "--orphan-minutes", str(ORPHAN_MINUTES))
    process = bakeoff.start(*rehearsed("gpt", seed, *options))
    wait_for(
        lambda: events(run_dir, "trial.started"), "trial 1",
        process, bakeoff.here / "command-0.log",
    )  # fmt: skip
    os.killpg(process.pid, number)

    def said(role: str) -> str:
        log = bakeoff.engine.logs(container_name(run_id, role))
        return b"".join(log).decode("utf-8", "replace")

    waited(lambda: "no request is admitted until it is back" in said("gateway"), "the gateway")
    waited(lambda: "the runner is silent" in said("agent"), "agentd")
    waited(lambda: "turn 1 ended" in said("agent"), "the end of the turn")
    if number == signal.SIGSTOP:
        os.killpg(process.pid, signal.SIGCONT)
        assert process.wait(SOON * 4) == 0, (bakeoff.here / "command-0.log").read_text()[-3000:]
        (problem,) = (
            event for event in events(run_dir, "container.problem")
            if event.fields["role"] == "agent"
        )  # fmt: skip
        assert problem.fields["during"] == "listening to the runner"
    else:
        process.wait(SOON)
        done = bakeoff("resume", run_id)
        assert done.returncode == 0, done.stderr[-3000:]
    result: RunResult = bakeoff.result(run_id)
    assert (result.ended_by, result.spent.trials) == ("trials", TRIALS)
    assert len({trial.trial for trial in trials(run_dir)}) == TRIALS
    usage = list(read_lines(run_dir.usage, UsageRecord))
    assert result.spent.usd == pytest.approx(sum(record.cost_usd for record in usage))
    assert bakeoff.left(run_id) == []
