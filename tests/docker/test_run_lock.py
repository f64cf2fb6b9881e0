"""A run whose containers do not hold is refused before its contestant works, or is labelled."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import docker.errors
import docker.utils
import pytest

from runner import options
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec
from runner.errors import EngineError, LockError, SuspendedError
from runner.options import RunOptions
from runner.records.containment import Containment, Finding, read_containment
from runner.records.files import read_lines
from runner.records.journal import Journal
from runner.records.layout import RunDir, container_name
from runner.records.schema import RunResult, UsageRecord
from runner.run import lifecycle
from runner.run.context import RunContext
from runner.run.lock_proof import Prove, boxes, judge
from runner.sandbox.removal import remove_run
from runner.spec import Budget, RunSpec, read_spec
from tests.docker.commands import a_seed

ASKING_SECONDS = 60.0
CONNECTED_TO_RELAY = "0100007F:1F90 01 "  # in /proc/net/tcp: to 127.0.0.1:8080, established
BROKEN = Finding(role="agent", attack="sockets", probe="vsock", outcome="broken", detail="opened")


@pytest.fixture
def spec(engine: Engine) -> Iterator[RunSpec]:
    """A short rehearsed run; whatever it leaves is removed."""
    asked = RunOptions(rehearsal=True, trial_seconds=1.0, verify="none")
    made = options.agent_run("gpt", asked, Budget(trials=1), {})
    made = made.model_copy(update={"run_id": f"test-gpt-s{a_seed()}"})
    yield made
    remove_run(engine, made.run_id)


def finding(*findings: Finding) -> Prove:
    """A proof that has these findings, whatever the containers are."""

    @contextlib.contextmanager
    def prove(context: RunContext, opening: Mapping[str, ContainerSpec]) -> Iterator[None]:
        images = {role: spec.image for role, spec in boxes(context, opening).items()}
        found = Containment(
            proved_at="", part="quick", key="k", images=images, configurations={},
            findings=findings,
        )  # fmt: skip
        judge(context, found)
        yield

    return prove


def nothing_is_left(engine: Engine, spec: RunSpec) -> bool:
    return engine.containers(spec.run_id) == [] and engine.volumes(spec.run_id) == []


def test_a_new_run_is_refused(engine: Engine, tmp_path: Path, spec: RunSpec) -> None:
    """Nothing of it is left, so the same command may be given again."""
    with pytest.raises(LockError, match="vsock in the agent's container succeeded"):
        lifecycle.start(spec, engine, tmp_path, lambda *_: None, finding(BROKEN))
    assert not (tmp_path / spec.run_id).exists()
    assert nothing_is_left(engine, spec)


def is_asking(api: Any, run_id: str) -> bool:
    """Whether the CLI of a run's agent has a connection to where its model answers."""
    try:
        command = api.exec_create(container_name(run_id, "agent"), "cat /proc/net/tcp")
        connections = str(api.exec_start(command))
    except docker.errors.APIError:  # it is not there yet
        return False
    return CONNECTED_TO_RELAY in connections


def test_no_model_answers_before_the_proof_is_there(
    engine: Engine, tmp_path: Path, spec: RunSpec
) -> None:
    """The CLI of its first turn asks by then, and the gateway has not even opened its ledger."""
    run_dir = RunDir(tmp_path / spec.run_id)
    seen: list[bool] = []

    @contextlib.contextmanager
    def slow(context: RunContext, opening: Mapping[str, ContainerSpec]) -> Iterator[None]:
        with contextlib.closing(docker.APIClient(**docker.utils.kwargs_from_env())) as api:
            until = time.monotonic() + ASKING_SECONDS
            while not is_asking(api, spec.run_id) and time.monotonic() < until:
                time.sleep(0.02)
            seen.append(is_asking(api, spec.run_id))
        seen.append("sandbox.opened" in run_dir.events.read_text())
        with finding()(context, opening):
            yield

    result = lifecycle.start(spec, engine, tmp_path, lambda *_: None, slow)
    assert (result.ended_by, seen) == ("trials", [True, False])
    events = {event.event: event.at for event in reversed(Journal(run_dir).events())}
    first_request = next(read_lines(run_dir.usage, UsageRecord))
    assert events["turn.started"] < events["containment.proved"] < first_request.at


def test_an_engine_that_fails_under_the_proof_refuses_a_new_run(
    engine: Engine, tmp_path: Path, spec: RunSpec
) -> None:
    """The engine's own error is told."""

    @contextlib.contextmanager
    def fail(_context: RunContext, opening: Mapping[str, ContainerSpec]) -> Iterator[None]:
        if opening:
            raise EngineError("making a container of the proof: refused")
        yield

    with pytest.raises(EngineError, match="container of the proof"):
        lifecycle.start(spec, engine, tmp_path, lambda *_: None, fail)
    assert not (tmp_path / spec.run_id).exists()
    assert nothing_is_left(engine, spec)


def test_an_unsafe_run_goes_on_and_is_labelled(
    engine: Engine, tmp_path: Path, spec: RunSpec
) -> None:
    """To its end, with the label in its proof, its journal and its result."""
    unsafe = spec.model_copy(update={"unsafe": True})
    result = lifecycle.start(unsafe, engine, tmp_path, lambda *_: None, finding(BROKEN))
    run_dir = RunDir(tmp_path / spec.run_id)
    assert (result.ended_by, result.unsafe) == ("trials", True)
    kept = read_containment(run_dir)
    assert kept is not None
    assert (kept.standing, kept.failed) == ("unsafe", (BROKEN,))
    events = {event.event: event.fields for event in Journal(run_dir).events()}
    assert events["containment.failed"] == {"probes": ["agent: vsock"], "unsafe": True}


def test_a_resumed_run_is_refused_and_stays(engine: Engine, tmp_path: Path, spec: RunSpec) -> None:
    """It is suspended as before, and goes on to its end once its lock holds."""

    @contextlib.contextmanager
    def be_suspended(context: RunContext, opening: Mapping[str, ContainerSpec]) -> Iterator[None]:
        with finding()(context, opening):
            os.kill(os.getpid(), signal.SIGTERM)
            yield

    def resumed(prove: Prove) -> RunResult:
        stored = options.with_key(read_spec(tmp_path, spec.run_id), {})
        return lifecycle.resume(stored, engine, tmp_path, lambda *_: None, prove)

    with pytest.raises(SuspendedError):
        lifecycle.start(spec, engine, tmp_path, lambda *_: None, be_suspended)
    with pytest.raises(LockError) as caught:
        resumed(finding(BROKEN))
    assert f"make resume RUN={spec.run_id}" in caught.value.hint
    journal = Journal(RunDir(tmp_path / spec.run_id))
    assert journal.events()[-1].event == "run.suspended"
    assert engine.containers(spec.run_id) == []
    result = resumed(finding())
    assert (result.ended_by, result.unsafe) == ("trials", False)
    proofs = [event.event for event in journal.events() if event.event.startswith("containment")]
    assert proofs == ["containment.proved", "containment.failed", "containment.proved"]
    assert nothing_is_left(engine, spec)
