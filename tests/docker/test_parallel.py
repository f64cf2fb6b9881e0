"""Several trials of one run at a time, each on cores of its own."""

from __future__ import annotations

import itertools
from datetime import datetime
from pathlib import Path

from runner import options
from runner.build.images import image_tag
from runner.engine import one_off
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec
from runner.options import RunOptions
from runner.records.files import read_lines
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.records.schema import TrialRecord
from runner.run import lifecycle
from runner.sandbox.removal import remove_run
from runner.spec import Budget
from tests.docker.commands import a_seed

TRIALS = 4
SEED = 30  # its first settings are small models, which a single core trains in a second


def test_two_trials_train_at_a_time_on_different_cores(engine: Engine, tmp_path: Path) -> None:
    """Two workers on two halves of the cores: trials overlap, and the ledger has each of them."""
    asked = RunOptions(seed=SEED, trial_seconds=3.0, workers=2, cpu_sets=2, verify="none")
    spec = options.baseline_run("random", asked, Budget(trials=TRIALS))
    spec = spec.model_copy(update={"run_id": f"test-random-s{a_seed()}"})
    try:
        result = lifecycle.start(spec, engine, tmp_path, lambda *_: None)
    finally:
        left = remove_run(engine, spec.run_id)
    assert left == 0, "something was left on the engine"
    run_dir = RunDir(tmp_path / spec.run_id)
    trials = list(read_lines(run_dir.trials, TrialRecord))
    assert (result.ended_by, result.cause) == ("trials", "budget")
    assert sorted(trial.trial for trial in trials) == list(range(1, TRIALS + 1))
    assert {trial.status for trial in trials} <= {"ok", "crash"}
    half = engine.info().cpus // 2
    halves = {f"cores-0-{half - 1}", f"cores-{half}-{2 * half - 1}"}
    assert {trial.device for trial in trials} == halves
    at_once = [
        {one.device, other.device}
        for one, other in itertools.combinations(trials, 2)
        if max(map(began, (one, other))) < min(map(ended, (one, other)))
    ]
    assert at_once, "no two trials overlapped"
    assert all(pair == halves for pair in at_once)
    ends = [e.fields["trial"] for e in Journal(run_dir).events() if e.event == "trial.finished"]
    assert ends == [trial.trial for trial in trials]


def began(trial: TrialRecord) -> datetime:
    return datetime.fromisoformat(trial.started_at)


def ended(trial: TrialRecord) -> datetime:
    return datetime.fromisoformat(trial.ended_at)


def test_a_container_has_its_set_of_cores_and_no_other(engine: Engine, run_id: str) -> None:
    """What runs in it sees the same, and so do the threads that libraries start."""
    cores = engine.info().cpus
    program = "import os; print(sorted(os.sched_getaffinity(0)))"
    for cpuset, seen in ((f"{cores - 1}-{cores - 1}", [cores - 1]), (None, list(range(cores)))):
        spec = ContainerSpec(
            f"bakeoff-{run_id}-cores", image_tag("base"), run_id, "trial",
            command=["python3", "-c", program], cpuset=cpuset,
        )  # fmt: skip
        said = one_off.run(engine, spec, one_off.Bounds(60.0))
        assert said.output.strip() == str(seen)
