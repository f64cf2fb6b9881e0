"""One conformance suite over all agents: a rehearsed run with the real CLI, sandbox and trials."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runner import options, results
from runner.agents import agent_names, load_agent
from runner.build import images
from runner.claims import reader as claims
from runner.claims.claim import Claim
from runner.engine.client import Engine
from runner.metrics import VAL_BPB
from runner.options import REHEARSAL_KEY, RunOptions
from runner.records.containment import read_containment
from runner.records.files import read_lines
from runner.records.layout import RunDir
from runner.records.schema import Event, RunResult, TrialRecord, UsageRecord
from runner.run import lifecycle
from runner.sandbox.removal import remove_run
from runner.spec import Budget, RunSpec
from tests.docker.commands import a_seed, recorded_models

TRIALS = 6
TRIAL_SECONDS = 2.0  # fewer, and a busy machine makes one step of each trial


@dataclass(frozen=True)
class Finished:
    """A run that has ended, with everything that it wrote."""

    spec: RunSpec
    run_dir: RunDir
    result: RunResult
    trials: list[TrialRecord]
    usage: list[UsageRecord]
    events: list[Event]

    def rows(self) -> tuple[Claim, ...]:
        return claims.parse(self.run_dir.experiments.read_bytes(), "val_bpb").rows

    def said(self, event: str) -> list[dict[str, Any]]:
        return [e.fields for e in self.events if e.event == event]


@pytest.fixture(scope="module", params=agent_names())
def finished(
    request: pytest.FixtureRequest, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Finished]:
    """A rehearsed run of each agent, of the same seed and budget, to its end."""
    asked = RunOptions(seed=1, trial_seconds=TRIAL_SECONDS, rehearsal=True, record=True)
    spec = options.agent_run(request.param, asked, Budget(trials=TRIALS), {})
    spec = spec.model_copy(update={"run_id": f"test-{request.param}-s{a_seed()}"})
    runs = tmp_path_factory.mktemp("runs")
    run_dir = RunDir(runs / spec.run_id)
    try:
        result = lifecycle.start(spec, engine, runs, lambda *_: None)
        yield Finished(
            spec, run_dir, result,
            list(read_lines(run_dir.trials, TrialRecord)),
            list(read_lines(run_dir.usage, UsageRecord)),
            list(read_lines(run_dir.events, Event)),
        )  # fmt: skip
    finally:
        remove_run(engine, spec.run_id)


def test_the_result_names_the_budget_that_ended_the_run(finished: Finished) -> None:
    """All trials were spent, and that is what ended it; what was written is what was returned."""
    assert (finished.result.ended_by, finished.result.cause) == ("trials", "budget")
    assert finished.result.spent.trials == TRIALS
    written = RunResult.model_validate_json(finished.run_dir.result.read_text())
    assert written == finished.result


def test_its_lock_was_proved_before_its_model_was_asked(finished: Finished) -> None:
    """In containers like those of agent, trial and judge, every probe of which held."""
    proved = read_containment(finished.run_dir)
    assert proved is not None
    assert (proved.standing, proved.failed) == ("held", ())
    assert {one.role for one in proved.findings} == {"agent", "trial", "judge"}
    order = [event.event for event in finished.events]
    assert order.index("containment.proved") < order.index("sandbox.opened")
    (proved_at,) = [event.at for event in finished.events if event.event == "containment.proved"]
    assert proved_at < min(record.at for record in finished.usage)
    assert not finished.result.unsafe


def test_the_ledger_has_good_trials_and_a_crash(finished: Finished) -> None:
    """At least four trials are ok with values of their own, one crashed, and each has its files."""
    values = [trial.value for trial in finished.trials if trial.status == "ok"]
    assert len(values) >= 4
    assert len(set(values)) == len(values)
    assert "crash" in [trial.status for trial in finished.trials]
    assert [trial.trial for trial in finished.trials] == list(range(1, TRIALS + 1))
    for trial in finished.trials:
        folder = finished.run_dir.trial(trial.trial)
        assert (folder / "train.py").read_text()
        assert (folder / "train.log").stat().st_size > 0
    assert finished.trials[0].knobs_changed == {}
    assert any(trial.knobs_changed for trial in finished.trials)
    best = finished.result.best_measured
    assert best is not None
    assert best.value == min(value for value in values if value is not None)


def test_the_agents_own_rows_match_the_ledger(finished: Finished) -> None:
    """Every trial has its row, with the value and the commit that the runner saw."""
    rows = finished.rows()
    assert len(rows) == len(finished.trials)
    for row, trial in zip(rows, finished.trials, strict=True):
        assert trial.commit.startswith(row.cells["commit"]), row
        assert row.value(VAL_BPB) == pytest.approx(trial.value, abs=1e-6)
        assert (row.cells["status"] == "crash") == (trial.status != "ok")
    assert finished.result.problems == []
    claimed, measured = finished.result.best_claimed, finished.result.best_measured
    assert claimed is not None
    assert measured is not None
    assert claimed.value == pytest.approx(measured.value, abs=1e-6)


def test_the_agent_kept_what_was_better_and_reverted_what_was_worse(finished: Finished) -> None:
    """One improvement was kept and one worse trial reverted, by what was measured."""
    rows = finished.rows()
    best = rows[0].value(VAL_BPB)
    assert best is not None
    for row in rows[1:]:
        value = row.value(VAL_BPB)
        if value is not None:
            assert row.cells["status"] == ("keep" if value < best else "revert")
            best = min(best, value)
    statuses = [row.cells["status"] for row in rows[1:]]
    assert "keep" in statuses
    assert "revert" in statuses


def test_the_agents_words_and_its_repository_were_collected(finished: Finished) -> None:
    """STATUS.md, its last train.py, its commits and its CLI's stream are there as they were."""
    artifacts = finished.run_dir.artifacts
    assert "Best" in (artifacts / "STATUS.md").read_text()
    assert (artifacts / "train.py").read_text()
    assert (artifacts / "repo.bundle").read_bytes().startswith(b"# v")
    assert f"bakeoff/{finished.spec.run_id}".encode() in (artifacts / "repo.bundle").read_bytes()
    lines = finished.run_dir.transcript.read_text().splitlines()
    assert len([line for line in lines if line.startswith("{")]) > 10


def test_the_run_went_over_several_turns(finished: Finished) -> None:
    """The first turn was followed by nudges, all of them good."""
    prompts = [fields["prompt"] for fields in finished.said("turn.started")]
    assert prompts[0] == "first"
    assert "nudge" in prompts
    assert finished.result.spent.turns == len(prompts)
    assert all(fields["tool_calls"] > 0 for fields in finished.said("turn.finished"))


def test_money_is_counted_and_marked_as_rehearsed(finished: Finished) -> None:
    """Requests have dollars and tokens of an allowed model; the sum is what the run has spent."""
    assert finished.usage
    model = load_agent(finished.spec.contestant).spec.model
    assert {record.model for record in finished.usage} == {model}
    cost = sum(record.cost_usd for record in finished.usage)
    assert cost > 0
    assert finished.result.spent.usd == pytest.approx(cost)
    assert finished.result.spent.tokens == sum(record.tokens for record in finished.usage)
    assert finished.result.spent.requests == len(finished.usage)


def test_a_rehearsal_is_marked_everywhere(finished: Finished, tmp_path: Path) -> None:
    """The spec, the result, each trial, each request and each row of the comparison say so."""
    assert finished.result.rehearsed
    assert json.loads(finished.run_dir.spec.read_text())["rehearsed"] is True
    assert all(trial.rehearsed for trial in finished.trials)
    assert all(record.rehearsed for record in finished.usage)
    results.write_results([finished.run_dir.path], tmp_path)
    for name in ("runs.csv", "trials.csv"):
        with (tmp_path / name).open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows
        assert all(row["rehearsed"].lower() == "true" for row in rows), name
        assert all(not float(row.get("spent_usd") or 0) for row in rows), name
    assert "rehears" in (tmp_path / "summary.md").read_text().lower()


def test_the_journal_tells_the_run_from_its_start_to_its_end(finished: Finished) -> None:
    """It begins and ends as it should, tells of each trial, and nothing in it is a problem."""
    names = [event.event for event in finished.events]
    assert names[0] == "run.started"
    assert names[-1] == "run.finished"
    assert names.count("trial.queued") == names.count("trial.finished") == TRIALS
    assert "sandbox.opened" in names
    assert finished.said("container.problem") == []
    assert finished.said("gateway.outage_ended") == []


def test_the_spec_says_what_exactly_ran(finished: Finished) -> None:
    """Versions, the engine, the data and each image by its content are on record."""
    versions = json.loads(finished.run_dir.spec.read_text())["versions"]
    assert all(digest.startswith("sha256:") for digest in versions["images"].values())
    assert {"trainer", "gateway", "rehearsal"} <= set(versions["images"])
    assert versions["data"].startswith("bakeoff-data-pystdlib-")
    assert versions["engine"]
    assert versions["base"]
    assert set(versions["software"]) == set(versions["images"])
    assert versions["software"]["trainer"]["apt"]["libc6"]
    assert versions["software"]["trainer"]["pip"]["torch"].startswith("2.")
    agent = f"agent-{load_agent(finished.spec.contestant).spec.cli}"
    (cli,) = versions["software"][agent]["npm"].values()
    assert images.load_table()[agent].tag.endswith(f":{cli}")


def test_the_spec_says_the_window_that_the_agent_had(finished: Finished) -> None:
    """It is the table's, and it is what a resumed run goes on with."""
    spec = json.loads(finished.run_dir.spec.read_text())
    assert spec["context_tokens"] == load_agent(spec["contestant"]).spec.context_tokens


def test_no_file_of_the_run_holds_the_key(finished: Finished) -> None:
    """What a person sends to a colleague has no secret in it."""
    for path in finished.run_dir.path.rglob("*"):
        assert not path.is_file() or REHEARSAL_KEY.encode() not in path.read_bytes(), path


def test_each_request_was_recorded_without_a_secret(finished: Finished) -> None:
    """RECORD=1 keeps both bodies of all that was paid for, as gzip files that can be read."""
    models = recorded_models(finished.run_dir)
    assert models <= {record.model for record in finished.usage} | {""}
    kept = {path.name.partition(".")[0] for path in finished.run_dir.records.glob("*.response.gz")}
    assert {record.request for record in finished.usage if record.charged_by == "usage"} <= kept
    assert finished.said("records.collected")


def test_nothing_of_the_run_is_left_on_the_engine(finished: Finished, engine: Engine) -> None:
    """Its containers and volumes are gone; the data it used is still there for the next one."""
    assert engine.containers(finished.spec.run_id) == []
    assert engine.volumes(finished.spec.run_id) == []
    data = json.loads(finished.run_dir.spec.read_text())["versions"]["data"]
    assert data in [volume.name for volume in engine.volumes()]
