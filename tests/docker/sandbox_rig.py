"""The containers of a rehearsed run, opened as the runner opens them, driven from a test."""

from __future__ import annotations

import queue
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr

from runner import options
from runner.engine.client import Engine
from runner.options import RunOptions
from runner.records.layout import RunDir
from runner.run.container_plan import container_plans
from runner.run.context import RunContext, open_context, versions
from runner.sandbox.peer import ContainerExited, MessageReceived
from runner.sandbox.sandbox import ContainerPlan, Sandbox
from runner.spec import Budget, RunSpec
from runner.tasks import load_task
from runner.trials import judge_container
from runner.wire.messages import Message, TurnFinished, TurnStart

MAX_PRINTED_BYTES = 4 << 20
M = TypeVar("M", bound=Message)


def make_context(
    engine: Engine,
    folder: Path,
    agent: str,
    data_volume: str = "",
    runtime: str | None = None,
) -> RunContext:
    """The context of a rehearsed run of its own, whose key is like no other text."""
    given = RunOptions(rehearsal=True, runtime=runtime)
    asked = options.agent_run(agent, given, Budget(hours=1), {})
    spec: RunSpec = asked.model_copy(
        update={
            "run_id": f"test-{uuid.uuid4().hex[:8]}",
            "api_key": SecretStr(f"key-{uuid.uuid4().hex}"),
        }
    )
    spec = spec.model_copy(update={"versions": versions(spec, engine, "")})
    run_dir = RunDir(folder / spec.run_id)
    run_dir.path.mkdir(parents=True)
    task = load_task(spec.task)
    return open_context(spec, engine, run_dir, task, data_volume, lambda *_: None)


def plans_without_judge(context: RunContext) -> list[ContainerPlan]:
    """The containers of a run in which nothing is trained, so that it needs no data."""
    return [plan for plan in container_plans(context) if plan.role != judge_container.ROLE]


@dataclass
class SandboxRig:
    """An open sandbox and what its containers say."""

    context: RunContext
    sandbox: Sandbox
    passed_over: list[object] = field(default_factory=list)
    turn: int = 0

    @classmethod
    def of(cls, context: RunContext) -> SandboxRig:
        plans = container_plans(context) if context.data_volume else plans_without_judge(context)
        sandbox = Sandbox(context.engine, context.spec.run_id, plans, context.inbox, context.show)
        return cls(context, sandbox)

    @property
    def key(self) -> str:
        assert self.context.spec.api_key is not None
        return self.context.spec.api_key.get_secret_value()

    def begin(self, argv: list[str], env: dict[str, str] | None = None) -> None:
        """Start a turn that is any program instead of a CLI."""
        self.turn += 1
        assert self.sandbox.contestant.send(TurnStart(self.turn, argv, env or {}))

    def python(self, script: str, env: dict[str, str] | None = None, seconds: float = 120) -> str:
        """What a Python script prints, run as the agent; it must exit with 0."""
        self.begin(["python3", "-c", script], env)
        finished = self.heard("agent", TurnFinished, seconds)
        agent = self.sandbox.contestant.container
        printed = self.context.engine.get_file(agent, finished.transcript, MAX_PRINTED_BYTES) or b""
        assert finished.exit_code == 0, (finished, printed[-2000:])
        return printed.decode("utf-8", "replace")

    def heard(self, role: str, kind: type[M], seconds: float = 60) -> M:
        """The next message of this kind from the container of this role.

        What comes before it is kept in `passed_over`.
        """
        until = time.monotonic() + seconds
        while True:
            item = self._next(until, kind.event)
            if (
                isinstance(item, MessageReceived)
                and item.role == role
                and isinstance(item.message, kind)
            ):
                return item.message
            self.passed_over.append(item)

    def passed(self, role: str, kind: type[M], least: int, seconds: float = 60) -> list[M]:
        """The passed-over messages of this kind from this container, once there are so many.

        What one container says arrives by another way than what another says, so the end of an
        agent's turn is no sign that everything about it has been heard from the gateway.
        """
        until = time.monotonic() + seconds
        while True:
            found = [
                item.message
                for item in self.passed_over
                if isinstance(item, MessageReceived)
                and item.role == role
                and isinstance(item.message, kind)
            ]
            if len(found) >= least:
                return found
            self.passed_over.append(self._next(until, f"{least} of {kind.event}, not {found}"))

    def gone(self, role: str, seconds: float = 60) -> ContainerExited:
        """The end of the container of this role."""
        until = time.monotonic() + seconds
        while True:
            item = self._next(until, f"the end of {role}")
            if isinstance(item, ContainerExited) and item.role == role:
                return item

    def _next(self, until: float, wanted: str) -> object:
        try:
            return self.context.inbox.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            lines = self.sandbox.contestant.last_lines()
            raise TimeoutError(f"{wanted} did not come in time; last lines: {lines}") from None
