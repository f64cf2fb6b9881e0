"""A baseline's study as people see it: the table of Optuna, and Optuna's dashboard, read alone."""

from __future__ import annotations

import csv
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import optuna
import pandas as pd
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from runner import options
from runner.errors import UserError
from runner.records.layout import RunDir
from runner.spec import Budget, Proposer, RunSpec
from runner.study.export import export
from runner.study.reading import STUDY, study_of, study_storage

BAKEOFF = Path(sys.executable).with_name("bakeoff")
KNOBS = {"DEPTH": IntDistribution(2, 8), "MATRIX_LR": FloatDistribution(0.005, 0.2, log=True)}
DEADLINE_SECONDS = 60


@pytest.fixture
def spec() -> RunSpec:
    return options.baseline_run("random", options.RunOptions(seed=180), Budget(trials=4))


@pytest.fixture
def run_dir(tmp_path: Path, spec: RunSpec) -> RunDir:
    """A run with its spec and no study yet."""
    run_dir = RunDir(tmp_path / "runs" / spec.run_id)
    run_dir.path.mkdir(parents=True)
    run_dir.spec.write_text(spec.model_dump_json())
    return run_dir


@pytest.fixture
def written(run_dir: RunDir) -> optuna.Study:
    """The study as the optimizer writes it: a result, a failure, a pruned trial, and one open."""
    storage = JournalStorage(JournalFileBackend(str(run_dir.study)))
    study = optuna.create_study(storage=storage, study_name=STUDY, direction="minimize")
    for number in range(4):
        trial = study.ask(KNOBS)
        trial.set_user_attr("bakeoff.ran", {"DEPTH": 4})
        if number == 0:
            study.tell(trial, 2.5)
        elif number == 1:
            study.tell(trial, state=TrialState.FAIL)
        elif number == 2:
            trial.report(3.5, 0)
            study.tell(trial, state=TrialState.PRUNED)
    return study


def test_the_table_is_that_of_optuna(run_dir: RunDir, spec: RunSpec, written: optuna.Study) -> None:
    """Its columns, its rows and its values; the journal is not touched."""
    before = run_dir.study.read_bytes()
    assert export(study_of(run_dir, spec), run_dir.study_table) == 4
    expected = written.trials_dataframe()
    table = pd.read_csv(run_dir.study_table)
    assert list(table.columns) == list(expected.columns)
    assert {"number", "value", "state", "params_DEPTH", "datetime_start"} <= set(table.columns)
    assert list(table["state"]) == ["COMPLETE", "FAIL", "PRUNED", "RUNNING"]
    assert list(table["params_MATRIX_LR"]) == pytest.approx(list(expected["params_MATRIX_LR"]))
    assert table["value"][0] == 2.5
    assert run_dir.study.read_bytes() == before
    assert sorted(path.name for path in run_dir.path.iterdir()) == [
        "spec.json", "study.csv", "study.jsonl",
    ]  # fmt: skip


def test_a_formula_in_the_table_gets_an_apostrophe(run_dir: RunDir) -> None:
    """The texts of a sampler or of a shared database are a stranger's; a number is left alone."""
    study = optuna.create_study()
    trial = study.ask({"PATTERN": optuna.distributions.CategoricalDistribution(["=cmd()"])})
    trial.set_user_attr("said", "@x")
    study.tell(trial, -1.5)
    assert export(study, run_dir.study_table) == 1
    (row,) = csv.DictReader(run_dir.study_table.read_text().splitlines())
    assert row["params_PATTERN"] == "'=cmd()"
    assert row["user_attrs_said"] == "'@x"
    assert row["value"] == "-1.5"


def test_a_copy_that_grows_is_followed_and_damage_ends_it(
    run_dir: RunDir, spec: RunSpec, written: optuna.Study
) -> None:
    """What comes later is seen by who has the study open; a torn line hides what is behind it."""
    whole = run_dir.study.read_bytes()
    lines = whole.splitlines(keepends=True)
    run_dir.study.write_bytes(b"".join(lines[:-4]))
    study = study_of(run_dir, spec)
    seen = len(study.trials)
    run_dir.study.write_bytes(whole)
    assert seen < len(study.trials) == 4
    assert [trial.params for trial in study.trials] == [trial.params for trial in written.trials]
    run_dir.study.write_bytes(b"".join(lines[:-6]) + bytes(100) + b"\n" + b"".join(lines[-6:]))
    assert 0 < len(study_of(run_dir, spec).trials) < 4


def test_what_has_no_study_is_named(run_dir: RunDir, spec: RunSpec) -> None:
    """A run before its first trial, a file without one, an agent's run, and a search of texts."""
    with pytest.raises(UserError, match=r"there is no .*study\.jsonl"):
        study_of(run_dir, spec)
    run_dir.study.write_bytes(b"no JSON\n")
    with pytest.raises(UserError, match="holds no study"):
        study_of(run_dir, spec)
    agent = spec.model_copy(update={"kind": "agent"})
    with pytest.raises(UserError, match="only baselines have a study"):
        study_storage(run_dir, agent)
    asked = Proposer(method="llm-code", provider="openai", model="m")
    with pytest.raises(UserError, match="searches whole texts, and has no study") as caught:
        study_storage(run_dir, spec.model_copy(update={"proposer": asked}))
    assert "texts.jsonl" in caught.value.hint


@pytest.fixture
def dashboard(run_dir: RunDir, written: optuna.Study) -> Iterator[str]:
    """The address of the dashboard, which the command serves in a process of its own."""
    command = [str(BAKEOFF), "--runs", str(run_dir.path.parent), "optuna-dashboard"]
    process = subprocess.Popen(
        [*command, run_dir.path.name, "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", said)
        assert found, said
        yield found[0]
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def asked(address: str, method: str = "GET", host: str = "localhost") -> tuple[int, bytes]:
    """Status and body of an answer."""
    request = urllib.request.Request(address, method=method, headers={"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_the_dashboard_shows_the_trials_and_changes_nothing(
    run_dir: RunDir, dashboard: str, written: optuna.Study
) -> None:
    """It answers with the study's trials, refuses to delete it, and ends on Ctrl-C."""
    before = run_dir.study.read_bytes()
    status, body = asked(f"{dashboard}/api/studies")
    assert status == 200
    (summary,) = json.loads(body)["study_summaries"]
    assert summary["study_name"] == STUDY
    study = f"{dashboard}/api/studies/{summary['study_id']}"
    trials = json.loads(asked(f"{study}?after=0")[1])["trials"]
    assert [trial["state"] for trial in trials] == ["Complete", "Fail", "Pruned", "Running"]
    assert trials[0]["values"] == [2.5]
    assert b"<html" in asked(f"{dashboard}/dashboard")[1].lower()
    assert asked(study, "DELETE")[0] == 405
    assert asked(study, "PUT")[0] == 405
    assert asked(study, host="attacker.example")[0] == 403
    assert len(json.loads(asked(f"{dashboard}/api/studies")[1])["study_summaries"]) == 1
    written.tell(3, 2.25)
    until = time.monotonic() + DEADLINE_SECONDS  # the dashboard keeps what it read for two seconds
    while "values" not in (last := json.loads(asked(f"{study}?after=0")[1])["trials"][3]):
        assert time.monotonic() < until, last
    assert last["values"] == [2.25]
    assert run_dir.study.read_bytes().startswith(before)


@pytest.mark.parametrize(
    "asked", [(), ("random-s180", "--storage", "postgresql://bakeoff@192.0.2.1/studies")]
)
def test_the_dashboard_shows_a_run_or_a_database(asked: tuple[str, ...]) -> None:
    """Neither and both are refused before anything is opened."""
    done = subprocess.run(
        [str(BAKEOFF), "optuna-dashboard", *asked],
        capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "set either RUN or STORAGE" in done.stderr


def test_a_port_that_is_taken_is_named(run_dir: RunDir, written: optuna.Study) -> None:
    """The hint says how another one is chosen."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        runs = str(run_dir.path.parent)
        done = subprocess.run(
            [str(BAKEOFF), "--runs", runs, "optuna-dashboard", run_dir.path.name, "--port", port],
            capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert f"opening port {port} of 127.0.0.1" in done.stderr
    assert "PORT=" in done.stderr
