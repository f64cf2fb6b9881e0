"""A user's commands against a real engine: what is shown, compared, refused, cleared away."""

from __future__ import annotations

import csv
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner import options
from runner.build.images import image_tag
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec
from runner.errors import UserError
from runner.preflight import checks
from runner.spec import Budget
from tests.docker.commands import Commands, a_seed, commands

SECONDS = ("--trial-seconds", "1", "--verify", "none")


@pytest.fixture
def bakeoff(engine: Engine, tmp_path: Path) -> Iterator[Commands]:
    with commands(engine, tmp_path) as made:
        yield made


@pytest.fixture
def done(bakeoff: Commands) -> str:
    """The id of a short baseline that has run to its end."""
    seed = a_seed()
    bakeoff.run_dir(f"random-s{seed}")
    ran = bakeoff("baseline", "random", "--seed", str(seed), *SECONDS, "--trials", "1")
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "ended by trials" in ran.stdout
    assert "best measured: val_bpb" in ran.stdout
    return f"random-s{seed}"


def test_a_run_is_shown_compared_kept_and_deleted(bakeoff: Commands, done: str) -> None:
    """After a run: `ps`, `logs`, `collect`, a refusal to overwrite it, and `clean-runs`."""
    shown = bakeoff("ps").stdout
    assert done in shown
    assert "ended by trials" in shown
    assert "trial.finished" in bakeoff("logs", done).stdout
    assert done in bakeoff("collect").stdout
    with (bakeoff.here / "results" / "runs.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["run_id"], row["ended_by"], row["trials"]) == (done, "trials", "1")
    assert (bakeoff.here / "results" / "summary.md").read_text()
    written = (bakeoff.runs / done / "result.json").read_bytes()
    seed = done.rpartition("s")[2]
    again = bakeoff("baseline", "random", "--seed", seed, *SECONDS, "--trials", "1")
    assert again.returncode == 2
    assert f"error: starting {done}: that run is done" in again.stderr
    assert f"make clean-runs RUN={done}" in again.stderr
    assert (bakeoff.runs / done / "result.json").read_bytes() == written
    cleared = bakeoff("clean-runs", done)
    assert cleared.returncode == 0
    assert not (bakeoff.runs / done).exists()
    assert bakeoff("clean-runs", done).returncode == 2


BAD = {
    "unknown agent": (("run", "gtp", "--rehearsal"), 2, "did you mean gpt"),
    "no key": (("run", "gpt"), 2, "OPENAI_API_KEY"),
    "nothing to bound it": (("run", "gpt", "--rehearsal", "--hours", "none"), 2, "HOURS"),
    "no such data": (
        ("baseline", "tpe", "--task", "text", "--data", "/no/such"),
        2,
        "name a file of text",
    ),
    "no such run": (("logs", "gpt-s123456"), 2, "make ps"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_done_starts_nothing(bakeoff: Commands, case: str) -> None:
    """One error line and a hint; with an engine at hand, still no container, volume or file."""
    arguments, exit_code, hint = BAD[case]
    seed = a_seed()
    if arguments[0] != "logs":
        arguments = (*arguments, "--seed", str(seed))
    refused = bakeoff(*arguments)
    assert refused.returncode == exit_code, refused.stderr
    error, said = refused.stderr.splitlines()
    assert error.startswith("error: ")
    assert said.startswith("hint: ")
    assert hint in error + said
    assert not bakeoff.runs.exists()
    assert bakeoff.left(f"gpt-s{seed}") + bakeoff.left(f"tpe-s{seed}") == []


def test_a_gpu_is_taken_only_from_an_engine_that_has_one(engine: Engine) -> None:
    """Without a GPU runtime GPU=0 is refused before anything starts; with one it passes."""
    spec = options.baseline_run("tpe", options.RunOptions(gpu="0"), Budget(trials=1))
    if engine.info().gpus:
        checks.check_devices(spec, engine)
    else:
        with pytest.raises(UserError, match="no GPU runtime"):
            checks.check_devices(spec, engine)
    checks.check_devices(spec.model_copy(update={"gpu": None}), engine)


def test_cores_are_divided_as_far_as_they_go(engine: Engine) -> None:
    """More sets than cores are refused; what a set is, and what stays idle, is said."""
    cores = engine.info().cpus
    spec = options.baseline_run("tpe", options.RunOptions(), Budget(trials=1))
    assert checks.check_devices(spec, engine) == ""
    each = checks.check_devices(spec.model_copy(update={"cpu_sets": cores}), engine)
    said = f"{cores} trials at a time may train, on 1 of {cores} cores each"
    assert each == (said if cores > 1 else "")
    with pytest.raises(UserError, match=f"CPU_SETS is {cores + 1}"):
        checks.check_devices(spec.model_copy(update={"cpu_sets": cores + 1}), engine)


def test_a_machine_that_works_passes_the_doctor(bakeoff: Commands) -> None:
    """Engine, disk and images are found, no row is a no, and no folder is made."""
    found = bakeoff("doctor")
    assert found.returncode == 0, found.stdout
    assert "Docker" in found.stdout
    assert "image trainer" in found.stdout
    assert not bakeoff.runs.exists()


def test_what_a_dead_run_left_is_shown_and_cleared(bakeoff: Commands, engine: Engine) -> None:
    """A container and a volume without a runner are in `ps`, and gone after their clean-up."""
    run_id = f"test-{uuid.uuid4().hex[:8]}"
    bakeoff.run_dir(run_id)
    name = f"bakeoff-{run_id}-agent"
    container = engine.create(
        ContainerSpec(name, image_tag("base"), run_id, "agent", command=["sleep", "1000"])
    )
    engine.start(container)
    engine.create_volume(f"bakeoff-{run_id}-home", run_id=run_id)
    shown = bakeoff("ps").stdout
    assert name in shown
    assert f"bakeoff-{run_id}-home" in shown
    cleared = bakeoff("clean-runs", run_id)
    assert cleared.returncode == 0, cleared.stderr
    assert "removed 2 containers and volumes" in cleared.stdout
    assert bakeoff.left(run_id) == []


def test_the_log_of_a_container_is_for_people(bakeoff: Commands, engine: Engine) -> None:
    """`logs` prints what a container says to people, and no message of the protocol."""
    run_id = f"test-{uuid.uuid4().hex[:8]}"
    bakeoff.run_dir(run_id)
    program = 'print(\'{"event":"ready","program":"agent"}\')\nprint(\'[bold]at work[/]\')'
    container = engine.create(
        ContainerSpec(
            f"bakeoff-{run_id}-agent", image_tag("base"), run_id, "agent",
            command=["python3", "-c", program],
        )
    )  # fmt: skip
    engine.start(container)
    assert engine.wait_exit(container, 30)
    printed = bakeoff("logs", run_id, "--no-follow")
    assert printed.returncode == 0
    assert printed.stdout == "[bold]at work[/]\n"
