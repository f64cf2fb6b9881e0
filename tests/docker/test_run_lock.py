"""A run whose containers do not hold is refused before its contestant works, or is labelled."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from runner import options
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec
from runner.errors import EngineError, LockError, SuspendedError
from runner.options import RunOptions
from runner.records.containment import Containment, Finding, read_containment
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.records.schema import RunResult
from runner.run import lifecycle
from runner.run.context import RunContext
from runner.run.lock_proof import Prove, boxes, judge
from runner.sandbox.removal import remove_run
from runner.spec import Budget, RunSpec, read_spec
from tests.docker.commands import a_seed

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

    def prove(context: RunContext, opening: Mapping[str, ContainerSpec]) -> None:
        images = {role: spec.image for role, spec in boxes(context, opening).items()}
        found = Containment(
            proved_at="", part="quick", key="k", images=images, configurations={},
            findings=findings,
        )  # fmt: skip
        judge(context, found)

    return prove


def nothing_is_left(engine: Engine, spec: RunSpec) -> bool:
    return engine.containers(spec.run_id) == [] and engine.volumes(spec.run_id) == []


def test_a_new_run_is_refused(engine: Engine, tmp_path: Path, spec: RunSpec) -> None:
    """Nothing of it is left, so the same command may be given again."""
    with pytest.raises(LockError, match="vsock in the agent's container succeeded"):
        lifecycle.start(spec, engine, tmp_path, lambda *_: None, finding(BROKEN))
    assert not (tmp_path / spec.run_id).exists()
    assert nothing_is_left(engine, spec)


def test_an_engine_that_fails_under_the_proof_refuses_a_new_run(
    engine: Engine, tmp_path: Path, spec: RunSpec
) -> None:
    """The engine's own error is told."""

    def fail(_context: RunContext, _opening: Mapping[str, ContainerSpec]) -> None:
        raise EngineError("making a container of the proof: refused")

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

    def be_suspended(context: RunContext, opening: Mapping[str, ContainerSpec]) -> None:
        finding()(context, opening)
        os.kill(os.getpid(), signal.SIGTERM)

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
