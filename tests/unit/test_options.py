"""From what was asked to a spec: everything wrong is one error with the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner import options, samplers, spec, tasks
from runner.agents import agent_names, load_agent
from runner.errors import UserError
from runner.metrics import VAL_BPB, Metric
from runner.options import RunOptions
from runner.spec import Budget, RunSpec

BUDGET = Budget(trials=6)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a .env."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", agent_names())
def test_no_key_is_one_error_that_says_everything(name: str) -> None:
    """The error names the variable, the file .env and how to run without a key."""
    with pytest.raises(UserError) as caught:
        options.agent_run(name, RunOptions(), BUDGET, {})
    variable = load_agent(name).spec.key_variables[0]
    assert variable in caught.value.message
    assert variable in caught.value.hint
    assert ".env" in caught.value.hint
    assert "REHEARSAL=1" in caught.value.hint
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("name", agent_names())
def test_every_agent_can_be_rehearsed_without_a_key(name: str) -> None:
    """A rehearsal needs no key, is marked, and never holds a real key."""
    environment = dict.fromkeys(load_agent(name).spec.key_variables, "sk-real")
    for env in ({}, environment):
        made = options.agent_run(name, RunOptions(rehearsal=True), BUDGET, env)
        assert made.rehearsed
        assert made.api_key is not None
        assert made.api_key.get_secret_value() == options.REHEARSAL_KEY
        assert made.run_id == f"{name}-s1"


def test_the_environment_goes_before_the_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in .env is found; one in the environment is preferred; an empty one does not count."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert "OPENAI_API_KEY" not in options.environment()
    (here / ".env").write_text("OPENAI_API_KEY=' from-file '\nEMPTY\n")
    for value, key in ((None, "from-file"), ("", "from-file"), ("from-env\n", "from-env")):
        if value is not None:
            monkeypatch.setenv("OPENAI_API_KEY", value)
        made = options.agent_run("gpt", RunOptions(), BUDGET, options.environment())
        assert made.api_key is not None
        assert made.api_key.get_secret_value() == key
        assert not made.rehearsed


def test_an_empty_key_is_none() -> None:
    """A variable that is set to nothing does not count."""
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        options.agent_run("gpt", RunOptions(), BUDGET, {"OPENAI_API_KEY": ""})


def test_a_second_name_of_a_key_serves() -> None:
    """Gemini's key may be in either of its two variables."""
    made = options.agent_run("gemini", RunOptions(), BUDGET, {"GOOGLE_API_KEY": "g"})
    assert made.api_key is not None
    assert made.api_key.get_secret_value() == "g"


def test_a_model_without_a_price_is_refused() -> None:
    """Its cost could not be counted; the hint names the price table and the switch."""
    asked = RunOptions(model="gpt-unheard-of", rehearsal=True)
    with pytest.raises(UserError, match="gpt-unheard-of") as caught:
        options.agent_run("gpt", asked, BUDGET, {})
    assert "runner/prices.toml" in caught.value.hint
    assert "ALLOW_UNPRICED=1" in caught.value.hint


def test_a_model_without_a_price_can_be_allowed() -> None:
    """With the switch it runs, and the spec records that."""
    asked = RunOptions(model="gpt-unheard-of", rehearsal=True, allow_unpriced=True)
    made = options.agent_run("gpt", asked, BUDGET, {})
    assert made.model == "gpt-unheard-of"
    assert made.allow_unpriced


def test_a_model_that_looks_like_an_option_is_refused() -> None:
    """A model's name becomes an argument of the CLI."""
    with pytest.raises(UserError, match="not the name of a model"):
        options.agent_run("gpt", RunOptions(model="--help", rehearsal=True), BUDGET, {})


def test_an_unknown_agent_names_the_nearest() -> None:
    """The error for a misspelled name suggests the nearest name and lists all."""
    with pytest.raises(UserError, match="no agent 'opsu'") as caught:
        options.agent_run("opsu", RunOptions(rehearsal=True), BUDGET, {})
    assert "did you mean opus?" in caught.value.hint
    assert all(name in caught.value.hint for name in agent_names())


def test_an_unknown_sampler_names_the_nearest() -> None:
    """A misspelled name gets the nearest name and the list; one like no name gets the list."""
    with pytest.raises(UserError, match="no sampler 'tp'") as caught:
        options.baseline_run("tp", RunOptions(), BUDGET)
    assert "did you mean tpe?" in caught.value.hint
    assert all(name in caught.value.hint for name in samplers.load())
    with pytest.raises(UserError, match="no sampler") as caught:
        options.baseline_run("zzzzzzzz", RunOptions(), BUDGET)
    assert "did you mean" not in caught.value.hint


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_trial_takes_seconds_above_zero(seconds: float) -> None:
    """A training time that is not above 0 is refused, and the error names its variable."""
    with pytest.raises(UserError, match="TRIAL_SECONDS"):
        options.baseline_run("tpe", RunOptions(trial_seconds=seconds), BUDGET)


def test_an_agent_stops_after_minutes_without_its_runner() -> None:
    """Ten unless ORPHAN_MINUTES says otherwise; a bound that is none is refused by its name."""
    env = {"OPENAI_API_KEY": "sk-1"}
    assert options.agent_run("gpt", RunOptions(), BUDGET, env).orphan_seconds == 600
    asked = RunOptions(orphan_minutes=0.5)
    assert options.agent_run("gpt", asked, BUDGET, env).orphan_seconds == 30
    for minutes in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UserError, match="ORPHAN_MINUTES"):
            options.agent_run("gpt", RunOptions(orphan_minutes=minutes), BUDGET, env)


def test_a_baseline_has_the_tasks_own_time_and_no_key() -> None:
    """Without TRIAL_SECONDS the task's own time is used; a baseline gets no key."""
    made = options.baseline_run("random", RunOptions(seed=3), BUDGET)
    assert made.run_id == "random-s3"
    assert made.trial_seconds > 0
    assert made.api_key is None
    assert options.with_key(made, {}) == made


@pytest.mark.parametrize("pruner", spec.PRUNERS)
def test_a_baseline_that_prunes_is_a_contestant_of_its_own(pruner: str) -> None:
    """So its run has a name of its own, and it is not averaged with those that do not prune."""
    run = options.baseline_run("random", RunOptions(pruner=pruner), BUDGET)
    name = "random" if pruner == "none" else f"random-{pruner}"
    assert (run.contestant, run.run_id, run.pruner) == (name, f"{name}-s1", pruner)
    assert run.sampler == "random"
    assert run.prunes == (pruner != "none")


def test_an_unknown_pruner_names_the_nearest() -> None:
    """The hint has all known names."""
    with pytest.raises(UserError) as caught:
        options.baseline_run("random", RunOptions(pruner="mediam"), BUDGET)
    assert "did you mean median?" in caught.value.hint
    assert "hyperband" in caught.value.hint


def test_a_resumed_run_gets_its_key_again() -> None:
    """A spec that was read from its file has no key, and gets it from the environment again."""
    env = {"OPENAI_API_KEY": "sk-1"}
    made = options.agent_run("gpt", RunOptions(), BUDGET, env)
    read = type(made).model_validate_json(made.model_dump_json())
    again = options.with_key(read, env)
    assert again.api_key is not None
    assert again.api_key.get_secret_value() == "sk-1"
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        options.with_key(read, {})


def test_a_server_of_ones_own_needs_no_key() -> None:
    """With BASE_URL a missing key is no error, because many such servers need none."""
    made = options.agent_run("gpt", RunOptions(base_url="http://192.0.2.1:8000"), BUDGET, {})
    assert made.base_url == "http://192.0.2.1:8000"
    assert not made.rehearsed


@pytest.mark.parametrize(
    "url",
    ["localhost:8000", "ftp://192.0.2.1", "unix:///model.sock", "https://", "http://x:port",
     "http://[::1", "http://x/v1?key=sk-1", "http://x/#v1", "http://x /v1", "", "http://x:0"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """The error quotes BASE_URL, and the hint shows a valid one."""
    with pytest.raises(UserError, match="BASE_URL") as caught:
        options.agent_run("gpt", RunOptions(base_url=url), BUDGET, {})
    assert "http://192.0.2.1:8000/v1" in caught.value.hint


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    """The records contain the address, so it must hold no secret."""
    with pytest.raises(UserError, match="BASE_URL") as caught:
        options.agent_run("gpt", RunOptions(base_url="https://me:secret@192.0.2.1/v1"), BUDGET, {})
    assert "secret" not in caught.value.message + caught.value.hint
    assert "OPENAI_API_KEY" in caught.value.hint


def test_a_path_is_made_absolute(here: Path) -> None:
    """DATA names the same file when the run is resumed from another folder."""
    made = options.baseline_run("random", RunOptions(task="pystdlib", data="my.txt"), BUDGET)
    assert made.data == str(here / "my.txt")


def test_a_run_measures_what_its_task_does(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The spec has the metric of the task, which stands in the task's own file."""
    assert options.baseline_run("random", RunOptions(), BUDGET).metric == VAL_BPB
    (here / "digits.toml").write_text(
        "[task]\ntrain_seconds = 5\nlimit_seconds = 5\nseed = 1\nspace = 'cpu'\n"
        "sequence_tokens = 1\njudged_tokens = 1\nestimate_tokens = 1\n"
        "[task.metric]\nname = 'accuracy'\ndirection = 'maximize'\n"
    )
    monkeypatch.setattr(tasks, "TASKS_FOLDER", here)
    made = options.baseline_run("random", RunOptions(task="digits"), BUDGET)
    assert made.metric == Metric(name="accuracy", direction="maximize")
    assert RunSpec.model_validate_json(made.model_dump_json()).metric == made.metric


def test_an_optimiser_asks_ahead_with_several_workers_unless_it_is_told() -> None:
    """With one, each suggestion knows all results; the spec records what holds."""
    cases = ((1, None, False), (2, None, True), (1, True, True), (2, False, False))
    for workers, told, ahead in cases:
        asked = RunOptions(workers=workers, ask_ahead=told)
        made = options.baseline_run("random", asked, BUDGET)
        assert (made.workers, made.ask_ahead) == (workers, ahead)
        assert made.trials_at_a_time == workers


def test_the_devices_of_a_run_are_in_its_spec() -> None:
    """An agent may train on all of them at a time; an optimiser has its workers."""
    gpus = RunOptions(gpus="0,1", rehearsal=True, workers=3)
    agent = options.agent_run("gpt", gpus, BUDGET, {})
    assert (agent.gpu, agent.all_gpus, agent.devices, agent.trials_at_a_time) == (
        "0",
        ("0", "1"),
        2,
        2,
    )
    one = options.agent_run("gpt", RunOptions(gpu="7", rehearsal=True), BUDGET, {})
    assert (one.gpu, one.gpus, one.all_gpus, one.devices) == ("7", (), ("7",), 1)
    cores = options.baseline_run("random", RunOptions(cpu_sets=4, workers=2), BUDGET)
    assert (cores.gpu, cores.devices, cores.trials_at_a_time) == (None, 4, 2)
    earlier = RunSpec.model_validate_json(
        one.model_dump_json(exclude={"gpus", "cpu_sets", "workers", "ask_ahead"})
    )
    assert earlier == one.model_copy(update={"api_key": None})


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (RunOptions(workers=0), "WORKERS is 0"),
        (RunOptions(cpu_sets=-1), "CPU_SETS is -1"),
        (RunOptions(gpu="0", gpus="1"), "GPU is '0' and GPUS is '1'"),
    ],
)
def test_devices_and_workers_that_make_no_sense_are_refused(asked: RunOptions, said: str) -> None:
    """Before anything is started, with a hint."""
    with pytest.raises(UserError, match=said) as caught:
        options.baseline_run("random", asked, BUDGET)
    assert caught.value.hint


def test_devices_bound_a_baseline_if_they_cost_something() -> None:
    """TOTAL_USD ends it then; for nothing a device runs for ever."""
    devices = Budget(total_usd=1, compute_usd_per_hour=2)
    assert options.baseline_run("random", RunOptions(), devices).budget == devices
    with pytest.raises(UserError, match="nothing bounds") as caught:
        options.baseline_run("random", RunOptions(), Budget(total_usd=1, compute_usd_per_hour=0))
    assert "TOTAL_USD" in caught.value.hint
