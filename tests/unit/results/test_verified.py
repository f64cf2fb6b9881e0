"""Claimed, measured and verified values side by side, and gains in σ of the task."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from runner import ps
from runner.records.files import append_line, to_json
from runner.records.schema import Best, RunResult, TrialRecord, Verdict
from runner.records.verification import Memory, Scores, Verification, Verified
from runner.referee.noise import Conditions, keep_value
from runner.results import write_results
from runner.results.reading import read_run
from tests.run_results import run_result

VERSIONS = {"images": {"trainer": "sha256:1"}, "data": "bakeoff-data-1", "machine": "m"}
CONDITIONS = Conditions(
    task="pystdlib", data="bakeoff-data-1", image="sha256:1", machine="m", trial_seconds=60
)
REJECTED = Verdict(name="without memory", by="probe", rejects=True, text="other logits")


def verified(**fields: Any) -> Verified:
    """A text that came back at 2.32 ± 0.01."""
    base: dict[str, Any] = {
        "trial": 2, "sha256": "", "measured": 2.3, "mean": 2.32, "sd": 0.01, "test_mean": 2.4,
        "held_out": (Scores(seed=1, judged=2.31), Scores(seed=2, judged=2.33)),
        "memory": Memory(state="equal"), "complete": True,
    }  # fmt: skip
    return Verified(**(base | fields))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The directory of an ended run, of which the referee has verified the best text."""
    path = tmp_path / "runs" / "gpt-s1"
    path.mkdir(parents=True)
    for number, value in ((1, 2.5), (2, 2.3)):
        record = TrialRecord(
            trial=number, source="agent", request=f"r{number}", status="ok", value=value,
            judged=True,
        )  # fmt: skip
        append_line(path / "trials.jsonl", record)
    result = run_result("gpt-s1", best_verified=Best(value=2.32, trial=2))
    (path / "result.json").write_text(to_json(result))
    spec = result.model_dump(
        mode="json", include={"run_id", "contestant", "kind", "seed", "task", "metric"}
    )
    (path / "spec.json").write_text(json.dumps(spec | {"trial_seconds": 60, "versions": VERSIONS}))
    keep(path, verified())
    return path


def keep(path: Path, found: Verified) -> None:
    text = to_json(Verification(run_id="gpt-s1", verified=(found,)))
    (path / "verification.json").write_text(text)


def noise(folder: Path) -> None:
    """A task with the mean 2.5 and a σ of 0.02."""
    for seed, value in ((1, 2.48), (2, 2.50), (3, 2.52)):
        keep_value(folder, CONDITIONS, seed, value)


def cells(folder: Path) -> dict[str, str]:
    """The run's line in runs.csv."""
    with (folder / "runs.csv").open(newline="") as file:
        return next(csv.DictReader(file))


def test_the_verified_value_stands_beside_the_others(run: Path, tmp_path: Path) -> None:
    """In the table, the page, the CSV file and the overview; without noise no σ is shown."""
    [row] = write_results([run], tmp_path / "results")
    assert (row.best_measured, row.best_verified, row.gain) == ("2.3000", "2.3200 ± 0.0100", "–")
    line = cells(tmp_path / "results")
    assert (line["best_verified"], line["verified_sd"], line["verified_test"]) == (
        *("2.32", "0.01"),
        "2.4",
    )
    assert (line["without_memory"], line["gain_sigmas"], line["standing"]) == ("equal", "", "")
    assert "2.3200 ± 0.0100" in (tmp_path / "results" / "summary.md").read_text()
    table = ps.runs_table(tmp_path / "runs")
    assert list(table.columns[4].cells) == ["2.3200"]


def test_a_gain_is_shown_in_sigmas_of_the_task(run: Path, tmp_path: Path) -> None:
    """It is that of the verified value: 0.18 at a σ of 0.02."""
    noise(tmp_path / "results")
    keep(run, verified(standing="accepted"))
    [row] = write_results([run], tmp_path / "results")
    assert row.gain == "+9.0 σ, accepted"
    assert float(cells(tmp_path / "results")["gain_sigmas"]) == pytest.approx(9.0)


def test_noise_of_other_conditions_is_not_used(run: Path, tmp_path: Path) -> None:
    """A σ of another machine says nothing about this run."""
    keep_value(tmp_path / "results", CONDITIONS.model_copy(update={"machine": "n"}), 1, 2.4)
    keep_value(tmp_path / "results", CONDITIONS.model_copy(update={"machine": "n"}), 2, 2.5)
    [row] = write_results([run], tmp_path / "results")
    assert row.gain == "–"


def test_a_run_that_is_not_verified_is_shown_by_its_measured_value(
    run: Path, tmp_path: Path
) -> None:
    """One trial alone can be within noise or beyond it."""
    (run / "verification.json").unlink()
    result = RunResult.model_validate_json((run / "result.json").read_bytes())
    (run / "result.json").write_text(to_json(result.model_copy(update={"best_verified": None})))
    noise(tmp_path / "results")
    [row] = write_results([run], tmp_path / "results")
    assert (row.best_verified, row.gain) == ("–", "+10.0 σ, accepted")
    line = cells(tmp_path / "results")
    assert float(line["gain_sigmas"]) == pytest.approx(10.0)
    assert line["standing"] == "accepted"


def test_noise_that_was_measured_after_a_verification_counts_all_its_seeds(
    run: Path, tmp_path: Path
) -> None:
    """The table and the file have the class of the mean, and of what speaks against it."""
    for value, probes, standing in (
        (2.32, (), "accepted"),
        (2.32, (REJECTED.model_copy(update={"rejects": False}),), "sceptical"),
        (2.44, (), "sceptical"),  # 2.3 did not come back
    ):
        result = RunResult.model_validate_json((run / "result.json").read_bytes())
        best = Best(value=value, trial=2)
        (run / "result.json").write_text(to_json(result.model_copy(update={"best_verified": best})))
        keep(run, verified(mean=value, verdicts=probes, standing=None))
        noise(tmp_path / "results")
        [row] = write_results([run], tmp_path / "results")
        sigmas = (2.5 - value) / 0.02
        assert row.gain == f"{sigmas:+.1f} σ, {standing}"
        line = cells(tmp_path / "results")
        assert float(line["gain_sigmas"]) == pytest.approx(sigmas)
        assert line["standing"] == standing


def test_a_rejected_text_is_named(run: Path, tmp_path: Path) -> None:
    """A cheat that only the referee found does not look like a run that nobody verified."""
    result = RunResult.model_validate_json((run / "result.json").read_bytes())
    (run / "result.json").write_text(to_json(result.model_copy(update={"best_verified": None})))
    keep(run, verified(verdicts=(REJECTED,)))
    [row] = write_results([run], tmp_path / "results")
    assert row.best_verified == "rejected"


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b'{"run_id": 3}'])
def test_a_broken_verification_is_a_problem_and_no_more(
    run: Path, tmp_path: Path, content: bytes
) -> None:
    """The run is compared by what else there is."""
    (run / "verification.json").write_bytes(content)
    found = read_run(run)
    assert any(problem.startswith("verification.json") for problem in found.problems)
    [row] = write_results([run], tmp_path / "results")
    assert row.best_verified == "2.3200"
