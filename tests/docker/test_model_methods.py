"""Optimisers that use a model, rehearsed: the real SDKs, gateway, optimizer, trials and records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runner import options
from runner.engine.client import Engine
from runner.errors import SuspendedError
from runner.options import RunOptions
from runner.records.files import read_lines
from runner.records.layout import RunDir
from runner.records.schema import TrialRecord, UsageRecord
from runner.run import lifecycle
from runner.sandbox.removal import remove_run
from runner.spec import Budget, RunSpec
from tests.docker.commands import a_seed
from tests.docker.whole_runs import through

TRIALS = 3
ASKED = RunOptions(seed=1, trial_seconds=1.0, rehearsal=True, verify="none")
GOOD, BAD = ("good-answers",), ("bad-answers",)


def asked_of(method: str, model: str, plan: tuple[str, ...]) -> RunSpec:
    """The spec of a short run under a name of its own, with this plan of answers."""
    spec = options.baseline_run(method, replace(ASKED, model=model), Budget(trials=TRIALS), {})
    run_id = f"test-{method}-s{a_seed()}"
    return spec.model_copy(update={"run_id": run_id, "rehearsal_plan": plan})


@pytest.mark.parametrize(
    ("method", "model", "by"),
    [
        ("llm-knobs", "claude-opus-4-6", "model"),
        ("llm-code", "gpt-5.4", "model"),
        ("warm", "gemini-3-flash-preview", "warm"),
    ],
)
def test_a_model_proposes_trials_through_the_gateway(
    engine: Engine, tmp_path: Path, method: str, model: str, by: str
) -> None:
    """Each provider's SDK reaches the model, and each trial names its requests and their cost."""
    spec = asked_of(method, model, GOOD)
    result, trials = through(engine, spec, tmp_path)
    assert (result.ended_by, result.cause) == ("trials", "budget")
    assert result.proposals == {"default": 1, by: TRIALS - 1}
    assert result.fallbacks == 0
    usage = {
        one.request: one for one in read_lines(RunDir(tmp_path / spec.run_id).usage, UsageRecord)
    }
    proposals = [trial.proposal for trial in trials if trial.proposal is not None]
    assert len(proposals) == TRIALS
    assert proposals[0].requests == ()
    for proposal in proposals[1:]:
        assert proposal.requests
        assert set(proposal.requests) <= usage.keys()
    named = sum(proposal.usd for proposal in proposals)
    assert 0 < named <= result.spent.usd
    assert result.spent.usd == pytest.approx(sum(one.cost_usd for one in usage.values()))
    assert len({trial.sha256 for trial in trials}) == TRIALS


def test_a_model_that_gives_nothing_usable_suspends_its_run(engine: Engine, tmp_path: Path) -> None:
    """The run says that it gave up by the provider, keeps its trials, and can be resumed."""
    spec = asked_of("llm-code", "gpt-5.4", BAD)
    try:
        with pytest.raises(SuspendedError) as suspended:
            lifecycle.start(spec, engine, tmp_path, lambda *_: None)
        assert (suspended.value.why, suspended.value.by) == ("gave_up", "provider")
        assert "gave up" not in suspended.value.message
        assert len(list(read_lines(RunDir(tmp_path / spec.run_id).trials, TrialRecord))) == 1
        assert not RunDir(tmp_path / spec.run_id).result.exists()
        assert engine.volumes(spec.run_id) != []
    finally:
        remove_run(engine, spec.run_id)
