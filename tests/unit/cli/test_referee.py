"""The referee at the end of a run: whatever fails, the run keeps its result."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner import options, run_lock, spec
from runner.cli.context import Folders
from runner.cli.referee import verify_at_end
from runner.errors import UserError
from runner.metrics import VAL_BPB
from runner.records.files import to_json
from runner.records.layout import RunDir
from runner.records.schema import Best, RunResult
from runner.spec import Budget, RunSpec
from tests.run_results import run_result


def ended(folder: Path, *, cause: str = "budget", value: float | None = 2.0) -> RunResult:
    """The result of a run that has just ended, as it lies in its directory."""
    run_dir = RunDir(folder / "runs" / "gp-s1")
    run_dir.path.mkdir(parents=True)
    best = None if value is None else Best(value=value, trial=1)
    result = run_result("gp-s1", kind="baseline", cause=cause, best_measured=best)
    run_dir.result.write_text(to_json(result))
    run_dir.spec.write_text(run_spec().model_dump_json())
    return result


def run_spec(**fields: object) -> RunSpec:
    return RunSpec.model_validate(
        {
            "run_id": "gp-s1", "kind": "baseline", "contestant": "gp", "seed": 1,
            "task": "pystdlib", "metric": VAL_BPB, "budget": Budget(trials=1), "trial_seconds": 5,
            **fields,
        }
    )  # fmt: skip


def test_an_engine_that_is_gone_costs_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The result stays, and names what went wrong and what to do."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    result = ended(tmp_path)
    folders = Folders(tmp_path / "runs", tmp_path / "results")
    now = verify_at_end(folders, run_spec(), result)
    assert now.best_measured == result.best_measured
    assert now.best_verified is None
    [problem] = now.problems
    assert problem.startswith("not verified: ")
    assert "make verify RUN=gp-s1" in problem
    kept = RunResult.model_validate_json((tmp_path / "runs/gp-s1/result.json").read_bytes())
    assert kept == now
    assert "not verified" in capsys.readouterr().out


def test_a_run_that_another_runner_has_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another verification writes its result, so this one only says that it failed."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    result = ended(tmp_path)
    run_dir = RunDir(tmp_path / "runs" / "gp-s1")
    before = run_dir.result.read_bytes()
    with run_lock.held(run_dir):
        now = verify_at_end(Folders(tmp_path / "runs", tmp_path / "results"), run_spec(), result)
    assert now == result
    assert run_dir.result.read_bytes() == before
    assert "not verified" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "cause", "value"),
    [("none", "budget", 2.0), ("best", "user", 2.0), ("best", "budget", None)],
)
def test_nothing_is_verified_that_nobody_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, cause: str, value: float | None
) -> None:
    """VERIFY=none, a run that a person stopped, and one without a value ask for no engine."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    result = ended(tmp_path, cause=cause, value=value)
    folders = Folders(tmp_path / "runs", tmp_path / "results")
    assert verify_at_end(folders, run_spec(verify=asked), result) == result


def test_verify_has_three_values() -> None:
    """Anything else is an error that lists them."""
    assert [options.verify_texts(name) for name in ("best", "kept", "none")] == [
        "best", "kept", "none",
    ]  # fmt: skip
    with pytest.raises(UserError, match="VERIFY is 'all'"):
        options.verify_texts("all")


def test_a_run_of_an_earlier_version_is_verified_by_default() -> None:
    """Its spec does not name what is verified."""
    old = run_spec().model_dump(exclude={"verify", "verify_seeds"})
    assert RunSpec.model_validate(old).verify == "best"
    assert RunSpec.model_validate(old).verify_seeds == spec.VERIFY_SEEDS
