"""From what was asked to a spec: everything wrong is one error with the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner import plan, samplers
from runner.agents import agent_names, load_agent
from runner.errors import UserError
from runner.plan import Asked
from runner.spec import Budget

BUDGET = Budget(trials=6)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a .env."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", agent_names())
def test_no_key_is_one_error_that_says_everything(name: str) -> None:
    """The error names the variable, the file .env and the way without a key."""
    with pytest.raises(UserError) as caught:
        plan.agent_run(name, Asked(), BUDGET, {})
    variable = load_agent(name).spec.key_variables[0]
    assert variable in caught.value.message
    assert variable in caught.value.hint
    assert ".env" in caught.value.hint
    assert "REHEARSAL=1" in caught.value.hint
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("name", agent_names())
def test_every_agent_can_be_rehearsed_without_a_key(name: str) -> None:
    """A rehearsal asks for nothing, is marked, and never holds a real key."""
    environment = dict.fromkeys(load_agent(name).spec.key_variables, "sk-real")
    for env in ({}, environment):
        made = plan.agent_run(name, Asked(rehearsal=True), BUDGET, env)
        assert made.rehearsed
        assert made.api_key is not None
        assert made.api_key.get_secret_value() == plan.REHEARSAL_KEY
        assert made.run_id == f"{name}-s1"


def test_the_environment_goes_before_the_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in .env is found, one in the environment is preferred, an empty one does not count."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert "OPENAI_API_KEY" not in plan.environment()
    (here / ".env").write_text("OPENAI_API_KEY=' from-file '\nEMPTY\n")
    for value, key in ((None, "from-file"), ("", "from-file"), ("from-env\n", "from-env")):
        if value is not None:
            monkeypatch.setenv("OPENAI_API_KEY", value)
        made = plan.agent_run("gpt", Asked(), BUDGET, plan.environment())
        assert made.api_key is not None
        assert made.api_key.get_secret_value() == key
        assert not made.rehearsed


def test_an_empty_key_is_none() -> None:
    """A variable that is set to nothing does not count."""
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        plan.agent_run("gpt", Asked(), BUDGET, {"OPENAI_API_KEY": ""})


def test_a_second_name_of_a_key_serves() -> None:
    """Gemini's key may be in either of its two variables."""
    made = plan.agent_run("gemini", Asked(), BUDGET, {"GOOGLE_API_KEY": "g"})
    assert made.api_key is not None
    assert made.api_key.get_secret_value() == "g"


def test_a_model_without_a_price_is_refused() -> None:
    """No dollar budget could hold for it; the hint names the table and the switch."""
    asked = Asked(model="gpt-unheard-of", rehearsal=True)
    with pytest.raises(UserError, match="gpt-unheard-of") as caught:
        plan.agent_run("gpt", asked, BUDGET, {})
    assert "runner/prices.toml" in caught.value.hint
    assert "ALLOW_UNPRICED=1" in caught.value.hint


def test_a_model_without_a_price_can_be_allowed() -> None:
    """With the switch it runs, and the spec says so."""
    asked = Asked(model="gpt-unheard-of", rehearsal=True, allow_unpriced=True)
    made = plan.agent_run("gpt", asked, BUDGET, {})
    assert made.model == "gpt-unheard-of"
    assert made.allow_unpriced


def test_a_model_that_looks_like_an_option_is_refused() -> None:
    """A model's name becomes an argument of the CLI."""
    with pytest.raises(UserError, match="no model name"):
        plan.agent_run("gpt", Asked(model="--help", rehearsal=True), BUDGET, {})


def test_an_unknown_agent_names_the_nearest() -> None:
    """A typing error is answered with the right word and the list of all."""
    with pytest.raises(UserError, match="no agent 'opsu'") as caught:
        plan.agent_run("opsu", Asked(rehearsal=True), BUDGET, {})
    assert "did you mean opus?" in caught.value.hint
    assert all(name in caught.value.hint for name in agent_names())


def test_an_unknown_sampler_names_the_nearest() -> None:
    """What is nothing like any name gets the list alone."""
    with pytest.raises(UserError, match="no sampler 'tp'") as caught:
        plan.baseline_run("tp", Asked(), BUDGET)
    assert "did you mean tpe?" in caught.value.hint
    assert all(name in caught.value.hint for name in samplers.load())
    with pytest.raises(UserError, match="no sampler") as caught:
        plan.baseline_run("zzzzzzzz", Asked(), BUDGET)
    assert "did you mean" not in caught.value.hint


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_trial_takes_seconds_above_zero(seconds: float) -> None:
    """A trial's time that is none is refused by its variable."""
    with pytest.raises(UserError, match="TRIAL_SECONDS"):
        plan.baseline_run("tpe", Asked(trial_seconds=seconds), BUDGET)


def test_a_baseline_has_the_tasks_own_time_and_no_key() -> None:
    """Without TRIAL_SECONDS the task decides; a sampler is given no key at all."""
    made = plan.baseline_run("random", Asked(seed=3), BUDGET)
    assert made.run_id == "random-s3"
    assert made.trial_seconds > 0
    assert made.api_key is None
    assert plan.with_key(made, {}) == made


def test_a_resumed_run_gets_its_key_again() -> None:
    """A spec read from its file has no key; it comes from the environment once more."""
    env = {"OPENAI_API_KEY": "sk-1"}
    made = plan.agent_run("gpt", Asked(), BUDGET, env)
    read = type(made).model_validate_json(made.model_dump_json())
    again = plan.with_key(read, env)
    assert again.api_key is not None
    assert again.api_key.get_secret_value() == "sk-1"
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        plan.with_key(read, {})


def test_a_server_of_ones_own_needs_no_key() -> None:
    """With BASE_URL a missing key is no error: many such servers want none."""
    made = plan.agent_run("gpt", Asked(base_url="http://192.0.2.1:8000"), BUDGET, {})
    assert made.base_url == "http://192.0.2.1:8000"
    assert not made.rehearsed


def test_a_path_is_made_absolute(here: Path) -> None:
    """DATA means the same file to a runner that is resumed from elsewhere."""
    made = plan.baseline_run("random", Asked(task="pystdlib", data="my.txt"), BUDGET)
    assert made.data == str(here / "my.txt")
