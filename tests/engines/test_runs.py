"""Whole rehearsed runs: each CLI and a baseline, with real trials that a judge scores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runner import options
from runner.agents import agent_names, load_agent
from runner.engine.client import Engine
from runner.options import RunOptions
from runner.records.containment import read_containment
from runner.records.files import read_lines
from runner.records.layout import RunDir
from runner.records.runtime import RuntimeRecord
from runner.records.schema import RunResult, TrialRecord
from runner.run import lifecycle
from runner.sandbox.removal import remove_run
from runner.spec import Budget, RunSpec, read_spec
from tests.docker.commands import a_seed
from tests.engines.differences import Failing, not_held
from tests.engines.under import Under

TRIALS = 2
TRIAL_SECONDS = 2.0
BASELINE = "random"


def one_for_each_cli() -> list[str]:
    """The first agent of each CLI: their containers differ by that alone."""
    first: dict[str, str] = {}
    for name in agent_names():
        first.setdefault(load_agent(name).spec.cli, name)
    return list(first.values())


def spec_of(name: str, under: Under) -> RunSpec:
    """A short run of its own."""
    asked = RunOptions(
        trial_seconds=TRIAL_SECONDS, rehearsal=name != BASELINE, runtime=under.runtime,
        verify="none", unsafe=bool(not_held(under.name)),
    )  # fmt: skip
    budget = Budget(trials=TRIALS)
    made = (
        options.baseline_run(name, asked, budget)
        if name == BASELINE
        else options.agent_run(name, asked, budget, {})
    )
    return made.model_copy(update={"run_id": f"test-{name}-s{a_seed()}"})


@pytest.fixture(scope="module", params=[*one_for_each_cli(), BASELINE])
def finished(
    request: pytest.FixtureRequest,
    engine: Engine,
    under: Under,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[RunDir, RunResult]]:
    """A run that has come to its end."""
    spec = spec_of(request.param, under)
    runs = tmp_path_factory.mktemp("runs")
    try:
        yield RunDir(runs / spec.run_id), lifecycle.start(spec, engine, runs, print)
    finally:
        remove_run(engine, spec.run_id)


def test_a_run_spends_its_trials(finished: tuple[RunDir, RunResult]) -> None:
    """Both trials trained and were scored by the judge, and their number ended the run."""
    run_dir, result = finished
    trials = list(read_lines(run_dir.trials, TrialRecord))
    assert (result.ended_by, result.cause) == ("trials", "budget"), result
    assert [trial.trial for trial in trials] == [1, 2]
    assert [trial.status for trial in trials] == ["ok", "ok"], [trial.reason for trial in trials]
    assert all(trial.judged for trial in trials)
    assert result.problems == []


def test_its_lock_was_proved(finished: tuple[RunDir, RunResult], under: Under) -> None:
    """What is known not to hold makes it an unsafe run, and everything else held."""
    proof = read_containment(finished[0])
    assert proof is not None
    found: set[Failing] = {
        (one.attack, one.probe, one.outcome) for one in proof.findings if one.outcome != "held"
    }
    assert found == not_held(under.name)
    assert proof.standing == ("unsafe" if found else "held")


def test_what_an_agent_made_is_collected(finished: tuple[RunDir, RunResult]) -> None:
    """Its files came out of its container; a baseline has its study instead."""
    run_dir, result = finished
    if result.kind == "agent":
        assert (run_dir.artifacts / "repo.bundle").read_bytes().startswith(b"# v")
        assert run_dir.transcript.stat().st_size > 0
        assert run_dir.experiments.stat().st_size > 0
    else:
        assert run_dir.study.stat().st_size > 0


def test_the_runtime_is_on_record(finished: tuple[RunDir, RunResult], under: Under) -> None:
    """The spec says what the containers were made by, and whether their bounds hold."""
    run_dir, result = finished
    spec = read_spec(run_dir.path.parent, result.run_id)
    found = RuntimeRecord.of_run(spec.versions)
    assert found is not None
    assert spec.runtime == under.runtime
    assert found.bounds_hold == under.bounds_hold
    assert ("under runsc" in found.label) == (under.name == "gvisor")


def test_nothing_is_left_on_the_engine(finished: tuple[RunDir, RunResult], engine: Engine) -> None:
    """Containers and volumes of the run are gone."""
    _, result = finished
    assert engine.containers(result.run_id) == []
    assert engine.volumes(result.run_id) == []
