"""Fetches what an agent left whose run nobody goes on with.

Its volumes outlive its container. A new container on them packs the repository, as at the orderly
end of a run; no turn runs in it.
"""

from __future__ import annotations

import contextlib
import queue

from runner.collect.artifacts import Collector
from runner.errors import EngineError, SandboxError
from runner.records.layout import volume_name
from runner.run.container_plan import agent_plan
from runner.run.context import RunContext
from runner.sandbox.peer import Inbox, MessageReceived
from runner.sandbox.sandbox import Sandbox
from runner.wire.messages import Problem, Stop

PACKING_SECONDS = 60.0
BUNDLE = "repo.bundle"
MAX_CHARS = 300  # of what the container says
PURPOSES = ("workspace", "home")


def collect_agent(context: RunContext) -> list[str]:
    """Have the agent's repository packed, and fetch what the agent left.

    Args:
        context: the run, as a resumed one. Its gateway is stopped already.

    Returns:
        What could not be had and why, a sentence each.

    Raises:
        HostError: the disk is full.
    """
    if context.spec.kind != "agent":
        return []
    engine, run_id = context.engine, context.spec.run_id
    try:
        there = {volume.name for volume in engine.volumes(run_id)}
        if not {volume_name(run_id, purpose) for purpose in PURPOSES} <= there:
            return [f"{BUNDLE}: the agent's volumes are gone, and its repository with them"]
        why = _pack_and_collect(context)
    except (EngineError, SandboxError) as error:
        why = error.message
    if (context.run_dir.artifacts / BUNDLE).exists():
        return []
    return [f"{BUNDLE}: the agent's repository could not be packed: {why or 'no reason given'}"]


def _pack_and_collect(context: RunContext) -> str:
    """Pack in a new container and collect from it; returns what it says of a failure.

    Raises:
        EngineError: the container cannot be made, or its image is gone.
    """
    engine, run_id = context.engine, context.spec.run_id
    plan = agent_plan(context, context.agent())
    for purpose in plan.volumes:
        engine.create_volume(volume_name(run_id, purpose), run_id=run_id)
    peer = Sandbox(engine, run_id, [plan], context.inbox, context.show).contestant
    problems = []
    try:
        peer.open()
        try:
            peer.wait_started()
            peer.send(Stop("nobody goes on with the run", 0.0))
            engine.wait_exit(peer.container, PACKING_SECONDS)
        except (EngineError, SandboxError) as error:
            problems.append(error.message)
        Collector(engine, context.run_dir, context.journal, peer.container).finish()
    finally:
        peer.close()
    return "; ".join([*problems, *_problems(context.inbox)])


def _problems(inbox: Inbox) -> list[str]:
    """What the container said of its own failures."""
    problems = []
    with contextlib.suppress(queue.Empty):
        while True:
            item = inbox.get_nowait()
            if isinstance(item, MessageReceived) and isinstance(item.message, Problem):
                problems.append(f"{item.message.during}: {item.message.message[:MAX_CHARS]}")
    return problems
