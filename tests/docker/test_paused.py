"""A container that is paused, or whose PID 1 is stopped: the run ends in time all the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import docker
import pytest

from runner import options
from runner.budget_clock import BudgetClock
from runner.engine.client import Engine
from runner.options import RunOptions
from runner.records.files import read_lines
from runner.records.layout import RunDir, container_name
from runner.records.schema import Event, UsageRecord
from runner.run import lifecycle
from runner.sandbox.removal import remove_run
from runner.spec import Budget
from runner.wire.messages import TrialFinished, TrialLog
from tests.docker.commands import a_seed
from tests.docker.sandbox_rig import SandboxRig, make_context

GRACE_SECONDS = 10.0
STOPPING_SECONDS = 30.0  # what the end may take beyond the grace, on a busy machine
BUSY = 3.0  # how much slower a busy machine is
HOURS = 600 / 3600  # until a container is disturbed, however busy the machine is
LEFT_SECONDS = 3.0  # and from then on
LINE = "x" * 1000
AT_ONCE_SECONDS = 1.0
IN_USE_SINCE = {"agent": "trial.started", "gateway": "sandbox.opened", "judge": "trial.started"}

Act = Callable[[docker.APIClient, str], None]


def pause(api: docker.APIClient, container: str) -> None:
    api.pause(container)


def stop_pid1(api: docker.APIClient, container: str) -> None:
    api.kill(container, "SIGSTOP")


@dataclass
class Seen:
    """What was done to a container, and when the run's last process was gone (machine's time)."""

    clock: BudgetClock
    acted: bool = False
    gone_at: float = 0.0


@contextmanager
def disturbed(run_dir: RunDir, role: str, act: Act) -> Iterator[Seen]:
    """Do something to a container of a run while it is in use, and watch the end.

    The hours of the run are over soon after.
    """
    seen, over = Seen(BudgetClock(Budget(hours=HOURS))), threading.Event()
    thread = threading.Thread(target=_disturb, args=(run_dir, role, act, seen, over), daemon=True)
    thread.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("runner.run.lives.BudgetClock", lambda *_: seen.clock)
            yield seen
    finally:
        over.set()
        thread.join(30)


def _disturb(run_dir: RunDir, role: str, act: Act, seen: Seen, over: threading.Event) -> None:
    run_id = run_dir.path.name
    engine, client = Engine.connect(), docker.from_env()
    try:
        while not said(run_dir, IN_USE_SINCE[role]):
            if over.wait(0.1):
                return
        name = container_name(run_id, role)
        while (state := engine.inspect(name)) is None or state.status != "running":
            if over.wait(0.1):  # a judge is opened late
                return
        act(client.api, name)
        seen.acted = True
        hours = (seen.clock.spent().wall_seconds + LEFT_SECONDS) / 3600
        object.__setattr__(seen.clock, "budget", Budget(hours=hours))
        while not over.wait(0.05):
            looked_at = time.time()
            if any(one.status in ("running", "paused") for one in engine.containers(run_id)):
                seen.gone_at = looked_at
    finally:
        client.close()
        engine.close()


def said(run_dir: RunDir, name: str) -> list[Event]:
    if not run_dir.events.exists():
        return []
    return [event for event in read_lines(run_dir.events, Event) if event.event == name]


@pytest.mark.parametrize(
    ("role", "act"),
    [
        ("agent", pause), ("agent", stop_pid1), ("gateway", pause), ("gateway", stop_pid1),
        ("judge", pause),
    ],
)  # fmt: skip
def test_a_container_that_does_not_listen_holds_up_no_end(
    role: str, act: Act, engine: Engine, tmp_path: Path
) -> None:
    """The hours end the run, its last process is gone soon after the grace, and it is settled."""
    asked = RunOptions(seed=1, trial_seconds=3.0, rehearsal=True, verify="none")
    spec = options.agent_run("gpt", asked, Budget(hours=HOURS), {})
    run_id = f"test-paused-s{a_seed()}"
    spec = spec.model_copy(update={"run_id": run_id, "grace_seconds": GRACE_SECONDS})
    run_dir = RunDir(tmp_path / run_id)
    try:
        with disturbed(run_dir, role, act) as seen:
            result = lifecycle.start(spec, engine, tmp_path, lambda *_: None)
        assert (result.ended_by, result.cause) == ("hours", "budget")
        assert seen.acted, f"the run ended before its {role} was in use"
        (ending,) = said(run_dir, "run.ending")
        took = seen.gone_at - moment(ending)
        print(f"{role} {act.__name__}: {took:.1f} s from the deadline to the last process")
        assert 0 < took <= GRACE_SECONDS + STOPPING_SECONDS
        assert engine.containers(run_id) == []
        assert engine.volumes(run_id) == []
        usage = list(read_lines(run_dir.usage, UsageRecord))
        assert result.spent.usd == pytest.approx(sum(record.cost_usd for record in usage))
    finally:
        remove_run(engine, run_id)


def moment(event: Event) -> float:
    """When it was written, in seconds since 1970."""
    return datetime.fromisoformat(event.at).timestamp()


def test_a_paused_agent_misses_lines_and_nothing_else(engine: Engine, tmp_path: Path) -> None:
    """Sending never waits; when it goes on, it has the log's end and the trial's, in order."""
    own = SandboxRig.of(make_context(engine, tmp_path, "gpt"))
    client = docker.from_env()
    with own.sandbox:
        agent = own.sandbox.contestant
        client.api.pause(agent.container)
        began, passed = time.monotonic(), 0
        for _ in range(5000):
            passed += agent.send(TrialLog("r-1", LINE))
        assert agent.send(TrialFinished("r-1", 1, "ok", 1.5, 60.0))
        assert time.monotonic() - began < AT_ONCE_SECONDS * BUSY
        assert 500 < passed < 5000
        client.api.unpause(agent.container)
        log = own.python("print(open('/home/agent/.bakeoff/trials/0000.log').read())")
        lines = log.split()
        assert lines.count(LINE) == passed
        assert f"({5000 - passed} lines of the log were left out" in log
        client.api.pause(agent.container)
        began = time.monotonic()
    assert time.monotonic() - began < STOPPING_SECONDS
    client.close()
    assert engine.containers(own.context.spec.run_id) == []
