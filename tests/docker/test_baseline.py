"""Optimisers under the very same conditions as agents, and tasks of a user's own text."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner import options
from runner.agents import agent_names
from runner.engine.client import Engine
from runner.errors import UserError
from runner.options import RunOptions
from runner.records.layout import RunDir
from runner.run import lifecycle
from runner.spec import Budget, RunSpec, read_spec
from runner.study.reading import study_of
from runner.task_data import places_of
from runner.tasks import load_space, load_task
from tests.docker.commands import a_seed
from tests.docker.whole_runs import through

TRIALS = 3
LOWEST = """
class Lowest:
    def __init__(self, space):
        self.space = space

    def ask(self, number):
        return {n: k.choices[-1] if hasattr(k, "choices") else k.low for n, k in self.space.items()}

    def tell(self, number, knobs, value):
        pass
"""


def asked_of(
    name: str, task: str = "pystdlib", data: Path | None = None, trials: int = TRIALS
) -> RunSpec:
    """The spec of a short run of seed 1, a rehearsed one for an agent, under a name of its own."""
    given = None if data is None else str(data)
    asked = RunOptions(
        seed=1, trial_seconds=1.0, task=task, data=given, rehearsal=name in agent_names()
    )
    budget = Budget(trials=trials)
    spec = (
        options.agent_run(name, asked, budget, {})
        if asked.rehearsal
        else options.baseline_run(name, asked, budget)
    )
    return spec.model_copy(update={"run_id": f"test-{name}-s{a_seed()}"})


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_an_optimiser_spends_its_trials(engine: Engine, tmp_path: Path, sampler: str) -> None:
    """It begins with every default, asks for knobs of the space, and ends by its budget."""
    space = load_space(load_task("pystdlib"))
    result, trials = through(engine, asked_of(sampler), tmp_path)
    assert (result.ended_by, result.cause, result.kind) == ("trials", "budget", "baseline")
    assert [trial.trial for trial in trials] == [1, 2, 3]
    assert trials[0].knobs == {name: knob.default for name, knob in space.items()}
    assert trials[0].knobs_changed == {}
    assert trials[1].knobs != trials[2].knobs
    for trial in trials:
        assert set(trial.knobs) == set(space)
        assert trial.source == "sampler"
        assert not trial.other_changes
        assert trial.status in ("ok", "crash", "timeout", "rejected"), trial
    assert trials[0].status == "ok"
    assert result.spent.usd == 0
    assert result.spent.requests == 0
    assert not result.rehearsed
    run_dir = RunDir(tmp_path / result.run_id)
    assert not run_dir.artifacts.exists()
    study = study_of(run_dir, read_spec(tmp_path, result.run_id))
    assert [trial.params for trial in study.trials][:TRIALS] == [trial.knobs for trial in trials]
    assert [trial.value for trial in study.trials][:TRIALS] == [trial.value for trial in trials]


def test_a_users_own_sampler_is_a_contestant(engine: Engine, tmp_path: Path) -> None:
    """Its file is read when the run starts, and its trials are those that it asks for."""
    path = tmp_path / "lowest.py"
    path.write_text(LOWEST, encoding="utf-8")
    asked = RunOptions(seed=1, trial_seconds=1.0)
    made = options.baseline_run(f"{path}:Lowest", asked, Budget(trials=2))
    path.unlink()
    run_spec = made.model_copy(update={"run_id": f"test-lowest-s{a_seed()}", "verify": "none"})
    result, trials = through(engine, run_spec, tmp_path / "runs")
    assert (result.ended_by, made.contestant) == ("trials", "lowest")
    space = load_space(load_task("pystdlib"))
    assert trials[0].knobs == {name: knob.default for name, knob in space.items()}
    lowest = {name: knob.choices[-1] if knob.choices else knob.low for name, knob in space.items()}
    assert trials[1].knobs == lowest
    kept = read_spec(tmp_path / "runs", run_spec.run_id).own_sampler
    assert kept is not None
    assert kept.text == LOWEST


SPACE = """
DEPTH = { type = "int", low = 1, high = 4, step = 3 }
WINDOW_PATTERN = { type = "categorical", choices = ["SSSL", "L"] }
[MATRIX_LR]
type = "float"
low = 0.01
high = 0.1
log = true
when = { knob = "DEPTH", is = [1] }
"""
TOTAL_USD = 10.0
KILL_SECONDS = 30.0  # from a spent budget to the end of the trial under way, on a busy machine


def test_a_budget_of_devices_ends_a_search_of_its_own_space(engine: Engine, tmp_path: Path) -> None:
    """At a dollar a second; a knob whose condition does not hold is trained at its default."""
    path = tmp_path / "space.toml"
    path.write_text(SPACE)
    asked = RunOptions(trial_seconds=1.0, space=str(path))
    budget = Budget(total_usd=TOTAL_USD, compute_usd_per_hour=3600.0)
    spec = options.baseline_run("random", asked, budget)
    spec = spec.model_copy(update={"run_id": f"test-space-s{a_seed()}"})
    path.unlink()
    result, trials = through(engine, spec, tmp_path / "runs")
    assert (result.ended_by, result.cause) == ("total_usd", "budget")
    spent = result.spent.device_seconds
    assert spent == pytest.approx(sum(trial.wall_seconds for trial in trials), abs=0.1)
    assert TOTAL_USD - 1 <= spent <= TOTAL_USD + KILL_SECONDS  # a trial counts from its container
    assert all(trial.status != "killed" for trial in trials[:-1])
    assert trials[0].knobs == {"DEPTH": 4, "WINDOW_PATTERN": "SSSL", "MATRIX_LR": 0.04}
    assert trials[0].knobs_changed == {}
    for trial in trials:
        assert trial.knobs["DEPTH"] in (1, 4)
        assert trial.knobs["DEPTH"] == 1 or trial.knobs["MATRIX_LR"] == 0.04


@pytest.fixture
def own_text(engine: Engine, tmp_path: Path) -> Path:
    """A real text of a user's: two files of prose about programs."""
    folder = tmp_path / "texts"
    folder.mkdir()
    for name, source in (("one.txt", "argparse"), ("two.txt", "typing")):
        (folder / name).write_text(_real_text(source), encoding="utf-8")
    return folder


def _real_text(module: str) -> str:
    found = __import__(module).__file__
    assert found is not None
    return Path(found).read_text(encoding="utf-8")


@pytest.mark.parametrize("contestant", ["random", "gpt"])
def test_a_text_of_the_users_is_a_task(
    engine: Engine, tmp_path: Path, own_text: Path, contestant: str
) -> None:
    """DATA is prepared into volumes of its own, trained on, and kept for the next run."""
    before = {volume.name for volume in engine.volumes()}
    try:
        spec = asked_of(contestant, "text", own_text, trials=1)
        result, trials = through(engine, spec, tmp_path / "runs")
        kept = [v for v in engine.volumes() if v.name not in before and v.data == "text"]
    finally:
        for volume in engine.volumes():
            if volume.data == "text" and volume.name not in before:
                engine.remove_volume(volume.name)
    (data,) = [v.name for v in kept if v.name.startswith("bakeoff-data-")]
    assert {v.name for v in kept} == set(places_of(data))
    assert result.ended_by == "trials"
    assert result.task == "text"
    assert trials[0].status == "ok"
    assert trials[0].value is not None
    assert 0.5 < trials[0].value < 8.0


@pytest.mark.parametrize("content", [b"one short document", b"\xff\xfe\x00" * 2000])
def test_a_text_that_cannot_be_used_starts_nothing(
    engine: Engine, tmp_path: Path, content: bytes
) -> None:
    """The error is prepare's own, with the run not begun and no half-made volume kept."""
    text = tmp_path / "mine.txt"
    text.write_bytes(content)
    before = engine.volumes()
    with pytest.raises(UserError, match="preparing the data of task text") as caught:
        lifecycle.start(
            asked_of("random", "text", text), engine, tmp_path / "runs", lambda *_: None
        )
    assert caught.value.message
    assert not (tmp_path / "runs").exists()
    assert {v.name for v in engine.volumes() if v.data == "text"} == {
        v.name for v in before if v.data == "text"
    }
