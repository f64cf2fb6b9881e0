"""A sandbox opens and closes as a whole, and reports the end of each container."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runner import task_data
from runner.build.images import image_tag
from runner.engine.client import Engine
from runner.errors import SandboxError
from runner.sandbox.sandbox import Sandbox
from runner.tasks import load_task
from runner.wire.messages import Stop, Stopped
from tests.docker.sandbox_rig import SandboxRig, make_context, plans_without_judge


def test_a_sandbox_leaves_nothing(engine: Engine, tmp_path: Path) -> None:
    """Its containers and volumes are there while it is open, and gone when it is closed."""
    data = task_data.ensure(engine, image_tag("data"), load_task("pystdlib"), [], print)
    context = make_context(engine, tmp_path, "gpt", data)
    run_id = context.spec.run_id
    own = SandboxRig.of(context)
    with own.sandbox:
        roles = {state.role for state in engine.containers(run_id)}
        assert roles == {"judge", "rehearsal", "gateway", "agent"}
        assert len(engine.volumes(run_id)) >= 4
        own.sandbox.contestant.send(Stop("a test", 0.0))
        assert own.heard("agent", Stopped).reason
        assert own.gone("agent").exit_code == 0
    assert engine.containers(run_id) == []
    assert engine.volumes(run_id) == []


def test_a_container_that_does_not_start_closes_the_others(engine: Engine, tmp_path: Path) -> None:
    """When one ends before it has started, the error has its last lines and nothing is left."""
    context = make_context(engine, tmp_path, "gpt")
    rehearsal, gateway, agent = plans_without_judge(context)
    broken = replace(gateway, config={**gateway.config, "provider": "nobody"})
    plans = [rehearsal, broken, agent]
    sandbox = Sandbox(engine, context.spec.run_id, plans, context.inbox, context.show)
    with pytest.raises(SandboxError, match="last lines") as caught, sandbox:
        pass
    assert "gateway" in caught.value.message
    assert engine.containers(context.spec.run_id) == []
    assert engine.volumes(context.spec.run_id) == []


def test_the_end_of_a_container_is_reported(engine: Engine, tmp_path: Path) -> None:
    """The inbox gets it at once, so a run never waits for a gateway that was killed."""
    context = make_context(engine, tmp_path, "gpt")
    own = SandboxRig.of(context)
    with own.sandbox:
        gateway = own.sandbox.peer("gateway")
        assert gateway is not None
        engine.kill(gateway.container)
        assert own.gone("gateway").exit_code == 137
