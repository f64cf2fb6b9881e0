"""The faults: what happens to a run that is left alone for a night."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.survival.engine_gate import EngineGate
from benchmarks.survival.live_run import LiveRun
from runner.errors import EngineError

Fault = Callable[[LiveRun], None]
AWAY_SECONDS = 5.0  # of an engine that is gone, a runner that is stopped, an agent that is paused
SUSPEND_SECONDS = 120.0  # far more than the ten that it may take: other tests may run beside it


def kill_container(role: str, run: LiveRun) -> None:
    """`docker kill` of a part."""
    container = run.container(role)
    if container is not None:
        run.engine.kill(container)


def restart_all(run: LiveRun) -> None:
    """`docker restart` of everything."""
    for state in run.engine.containers(run.run_id):
        with contextlib.suppress(EngineError):  # the run has made it anew meanwhile
            run.engine.stop(state.id, 1)
            run.engine.start(state.id)


def lose_engine(gate: EngineGate, _run: LiveRun) -> None:
    """The engine does not answer for a while."""
    gate.shut_for(AWAY_SECONDS)


def hang_up(run: LiveRun) -> None:
    """The terminal is closed."""
    run.signal(signal.SIGHUP)


def stop_runner(run: LiveRun) -> None:
    """The runner is stopped for a while and continued."""
    run.signal(signal.SIGSTOP)
    time.sleep(AWAY_SECONDS)
    run.signal(signal.SIGCONT)


def kill_runner(run: LiveRun) -> None:
    """The runner is killed, and the run resumed."""
    run.kill()
    run.start("resume", run.run_id)


def suspend(run: LiveRun) -> None:
    """SIGTERM, and the run is resumed.

    Raises:
        RuntimeError: it was not suspended in time, or left a container.
    """
    run.signal(signal.SIGTERM)
    run.ended(SUSPEND_SECONDS)
    left = [state.name for state in run.engine.containers(run.run_id)]
    if left:
        raise RuntimeError(f"{run.run_id} was suspended and left {left}")
    run.start("resume", run.run_id)


def pause(role: str, run: LiveRun) -> None:
    """A part is frozen for a while."""
    container = run.container(role)
    if container is not None:
        run.engine.pause(container)
        time.sleep(AWAY_SECONDS)
        with contextlib.suppress(EngineError):
            run.engine.unpause(container)


KINDS = ("agent", "baseline")
PARTS: Mapping[str, Mapping[str, Fault]] = {
    "agent": {
        "kill the gateway": partial(kill_container, "gateway"),
        "kill the model": partial(kill_container, "rehearsal"),
        "kill the agent": partial(kill_container, "agent"),
        "pause the agent": partial(pause, "agent"),
    },
    "baseline": {
        "kill the optimizer": partial(kill_container, "optimizer"),
        "pause the optimizer": partial(pause, "optimizer"),
    },
}


def faults_of(kind: str, gate: EngineGate) -> dict[str, Fault]:
    """All faults of a run of this kind that reaches its engine through the gate, by name."""
    return {
        **PARTS[kind],
        "kill the judge": partial(kill_container, "judge"),
        "kill the trial": partial(kill_container, "trial"),
        "restart all": restart_all,
        "lose the engine": partial(lose_engine, gate),
        "hang up": hang_up,
        "stop the runner": stop_runner,
        "suspend": suspend,
        "kill the runner": kill_runner,
    }
