"""Fetches what an agent left whose run nobody goes on with.

Its volumes outlive its container. A new container on them packs the repository, as at the orderly
end of a run; no turn runs in it.
"""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable

from runner.collect.artifacts import BUNDLE, Collector
from runner.engine.client import Engine
from runner.errors import EngineError, SandboxError
from runner.records.journal import Journal
from runner.records.layout import RunDir, volume_name
from runner.sandbox.peer import Inbox, MessageReceived
from runner.sandbox.sandbox import ContainerPlan, Sandbox
from runner.wire.messages import Problem, Stop

PACKING_SECONDS = 60.0
MAX_CHARS = 300  # of what the container says
PURPOSES = ("workspace", "home")


def collect_abandoned(
    engine: Engine, run_dir: RunDir, journal: Journal, plan: Callable[[], ContainerPlan]
) -> list[str]:
    """Have an agent's repository packed, and fetch what the agent left.

    Args:
        engine: where its volumes are.
        run_dir: where its files go.
        journal: the run's.
        plan: the agent's container, which gets no files; called only if its volumes are there.

    Returns:
        What could not be had and why, a sentence each.

    Raises:
        HostError: the disk is full.
    """
    run_id = run_dir.path.name
    try:
        there = {volume.name for volume in engine.volumes(run_id)}
        if not {volume_name(run_id, purpose) for purpose in PURPOSES} <= there:
            return [f"{BUNDLE}: the agent's volumes are gone, and its repository with them"]
        why = _pack_and_collect(engine, run_dir, journal, plan())
    except (EngineError, SandboxError) as error:
        why = error.message
    if (run_dir.artifacts / BUNDLE).exists():
        return []
    return [f"{BUNDLE}: the agent's repository could not be packed: {why or 'no reason given'}"]


def _pack_and_collect(
    engine: Engine, run_dir: RunDir, journal: Journal, plan: ContainerPlan
) -> str:
    """Pack in a new container and collect from it; returns what it says of a failure.

    Raises:
        EngineError: the container cannot be made.
    """
    run_id = run_dir.path.name
    for purpose in plan.volumes:
        engine.create_volume(volume_name(run_id, purpose), run_id=run_id)
    inbox: Inbox = queue.Queue()
    peer = Sandbox(engine, run_id, [plan], inbox, lambda *_: None).contestant
    problems = []
    try:
        peer.admit()
        peer.open()
        try:
            peer.wait_started()
            peer.send(Stop("nobody goes on with the run", 0.0))
            engine.wait_exit(peer.container, PACKING_SECONDS)
        except (EngineError, SandboxError) as error:
            problems.append(error.message)
        Collector(engine, run_dir, journal, peer.container).finish()
    finally:
        peer.close()
    return "; ".join([*problems, *_problems(inbox)])


def _problems(inbox: Inbox) -> list[str]:
    """What the container said of its own failures."""
    problems = []
    with contextlib.suppress(queue.Empty):
        while True:
            item = inbox.get_nowait()
            if isinstance(item, MessageReceived) and isinstance(item.message, Problem):
                problems.append(f"{item.message.during}: {item.message.message[:MAX_CHARS]}")
    return problems
