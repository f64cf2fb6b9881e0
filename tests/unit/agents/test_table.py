"""The table of agents, the command lines that come of it, and the prompts."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.agents import (
    agent_names,
    cli_files,
    instructions,
    load_agent,
    render_prompt,
    together,
)
from runner.agents.base import RELAY_URL
from runner.agents.cli_files import cli_table, find_cli
from runner.agents.prompts import PROMPTS, PromptName
from runner.agents.table import MODEL_NAME
from runner.build import agent_images, images
from runner.errors import HostError, UserError
from runner.metrics import VAL_BPB, Metric
from runner.records.layout import ROOT

PROMPT_NAMES = (
    "run_id", "task", "branch", "trial_seconds", "budget", "left", "remarks", "reason",
    "grace_seconds", "metric", "lower", "lowest", "meanwhile", "together",
)  # fmt: skip
PROMPT_VALUES = {word: f"<{word}>" for word in PROMPT_NAMES}
NAMES: tuple[PromptName, ...] = ("first", "fresh", "nudge", "closing")
TOKEN = "token-of-this-run"
CLIS = agent_images.cli_names(ROOT)


def test_the_five_agents_of_the_study_are_there() -> None:
    """With the models that it used."""
    models = {name: load_agent(name).spec.model for name in agent_names()}
    assert models == {
        "opus": "claude-opus-4-6",
        "opus-1m": "claude-opus-4-6",
        "sonnet": "claude-sonnet-4-6",
        "gpt": "gpt-5.4",
        "gemini": "gemini-3-flash-preview",
    }


@pytest.mark.parametrize("name", agent_names())
def test_an_agents_image_is_one_that_is_built(name: str) -> None:
    """The image of its CLI is in the table of images, with the version that npm locks."""
    cli = load_agent(name).spec.cli
    image = images.load_table()[f"agent-{cli}"]
    lock = (ROOT / "images" / "agent" / cli / "package.json").read_text()
    assert image.args["CLI"] == cli
    assert f'"{image.tag.partition(":")[2]}"' in lock


def test_every_cli_has_a_file_and_a_folder_and_a_row() -> None:
    """The folders of images/agent are the CLIs that the rows name, and each file is found."""
    clis = {load_agent(name).spec.cli for name in agent_names()}
    assert sorted(clis) == CLIS
    for cli in CLIS:
        assert find_cli(cli).instructions_file.endswith(".md")
        assert cli_table(cli).tools
        assert (ROOT / "images" / "agent" / cli / "models.toml").is_file()


@pytest.mark.parametrize("name", ["no_such_cli", "base"])
def test_a_cli_without_a_file_is_an_error_with_a_hint(name: str) -> None:
    """A row that names none is the fault of whoever wrote it, and is told so."""
    with pytest.raises(HostError, match=f"runner/agents/{name}.py") as caught:
        find_cli(name)
    assert "agents.toml" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('command = "x"\npolicy = "y"\n', "tools"),
        ('command = "x"\npolicy = "y"\ntools = []\n', "tools"),
        ('command = "x"\npolicy = "y"\nvoice = 1\n[[tools]]\n[tools.shell]\n', "voice"),
    ],
)
def test_a_broken_table_of_a_cli_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, named: str
) -> None:
    """A missing, an empty and an unknown field are each named."""
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy/cli.toml").write_text(text)
    monkeypatch.setattr(cli_files, "FOLDERS", tmp_path)
    with pytest.raises(HostError, match=named):
        cli_table("toy")


@pytest.mark.parametrize("cli", CLIS)
def test_the_locks_name_hashes_and_no_registry(cli: str) -> None:
    """Every package is pinned by its integrity, from wherever it is fetched."""
    lock = (ROOT / "images" / "agent" / cli / "package-lock.json").read_text()
    assert lock.count('"integrity": "sha512-') == lock.count('"node_modules/')
    assert "://" not in lock


@pytest.mark.parametrize(
    ("wrong", "near"), [("gtp", "gpt"), ("opus1m", "opus-1m"), ("Gemini", "gemini")]
)
def test_an_unknown_name_is_told_the_nearest(wrong: str, near: str) -> None:
    """And all the others."""
    with pytest.raises(UserError) as caught:
        load_agent(wrong)
    assert f"did you mean {near}?" in caught.value.hint
    assert all(name in caught.value.hint for name in agent_names())


def test_a_newer_model_is_one_argument_away() -> None:
    """It reaches the command line, and is all that the gateway lets through."""
    agent = load_agent("sonnet", "claude-sonnet-9")
    assert agent.spec.model == "claude-sonnet-9"
    assert "claude-sonnet-9" in agent.turn("go", resume=False, token=TOKEN).argv


def test_what_claude_code_asks_of_its_own_accord_is_the_runs_model() -> None:
    """Every variable of the installed version that names a model does, with the run's window."""
    table = tomllib.loads((ROOT / "images/agent/claude/models.toml").read_text())
    for name, word in (("opus", "claude-opus-4-6"), ("opus-1m", "claude-opus-4-6[1m]")):
        env = load_agent(name).turn("go", resume=False, token=TOKEN).env
        pinned = {f'"{variable}"' for variable, value in env.items() if value == word}
        assert set(table["settings"]) - pinned == set(table["left_alone"])


def test_what_gemini_cli_asks_of_its_own_accord_is_the_runs_model() -> None:
    """Each model and each purpose that the installed version knows is sent to it by a setting."""
    folder = ROOT / "images/agent/gemini"
    table = tomllib.loads((folder / "models.toml").read_text())
    settings = json.loads((folder / "etc/gemini-cli/settings.json").read_text())["modelConfigs"]
    overrides = {
        rule["match"]["model"]: rule["modelConfig"] for rule in settings["customOverrides"]
    }
    aliases = {name: alias["modelConfig"] for name, alias in settings["customAliases"].items()}
    assert all(to == {"model": "$BAKEOFF_MODEL"} for to in (*overrides.values(), *aliases.values()))
    models = {name.strip('"') for name in table["models"]}
    assert models - overrides.keys() - aliases.keys() == set(table["never_called"])
    purposes = {re.findall(r'"([^"]+)"', purpose)[0] for purpose in table["settings"]}
    assert purposes - overrides.keys() - aliases.keys() == set(table["left_alone"])
    turn = load_agent("gemini", "gemini-4-argon").turn("go", resume=False, token=TOKEN)
    assert turn.env["BAKEOFF_MODEL"] == "gemini-4-argon"


@given(st.text().filter(lambda text: not re.fullmatch(MODEL_NAME, text)))
def test_what_is_no_model_name_is_refused(text: str) -> None:
    """No option, no space, no line break gets into a command line as a model."""
    with pytest.raises(UserError):
        load_agent("gpt", text)


@pytest.mark.parametrize("name", agent_names())
def test_a_turn_carries_prompt_and_model_and_hides_the_token(name: str) -> None:
    """The token is in the environment alone: an argv can be read by everybody inside."""
    turn = load_agent(name).turn("work on", resume=False, token=TOKEN)
    assert "work on" in turn.argv
    assert any(load_agent(name).spec.model in word for word in turn.argv)
    assert not any(TOKEN in word for word in turn.argv)
    assert TOKEN in turn.env.values()


@pytest.mark.parametrize("name", agent_names())
def test_resuming_is_another_command_line(name: str) -> None:
    """The first turn must not resume, and the later ones must."""
    agent = load_agent(name)
    first = agent.turn("go", resume=False, token=TOKEN).argv
    again = agent.turn("go", resume=True, token=TOKEN).argv
    assert {"--continue", "--resume", "resume"}.isdisjoint(first)
    assert not {"--continue", "--resume", "resume"}.isdisjoint(again)


def test_every_cli_is_sent_to_the_relay() -> None:
    """By its environment, or by the policy file in its image."""
    codex = tomllib.loads((ROOT / "images/agent/codex/etc/codex/managed_config.toml").read_text())
    assert codex["model_providers"][codex["model_provider"]]["base_url"] == f"{RELAY_URL}/v1"
    for name, variable in (("opus", "ANTHROPIC_BASE_URL"), ("gemini", "GOOGLE_GEMINI_BASE_URL")):
        assert load_agent(name).turn("go", resume=False, token=TOKEN).env[variable] == RELAY_URL


def test_the_context_windows_are_those_of_the_study() -> None:
    """Gemini CLI has no setting for it."""
    windows = {name: load_agent(name).spec.context_tokens for name in agent_names()}
    assert windows == {
        "opus": 200_000,
        "opus-1m": 1_000_000,
        "sonnet": 1_000_000,
        "gpt": 272_000,
        "gemini": None,
    }


def test_the_window_reaches_the_command_line() -> None:
    """Codex takes a number; Claude Code a suffix for the long one."""
    assert (
        "claude-sonnet-4-6[1m]" in load_agent("sonnet").turn("go", resume=False, token=TOKEN).argv
    )
    codex = load_agent("gpt").turn("go", resume=False, token=TOKEN).argv
    assert codex[codex.index("--config") + 1] == "model_context_window=272000"


def test_another_model_keeps_a_window_that_every_model_has() -> None:
    """What is larger than that was the window of the table's model; a run's own comes back."""
    assert load_agent("opus", "claude-haiku-4-5").spec.context_tokens == 200_000
    assert load_agent("sonnet", "claude-haiku-4-5").spec.context_tokens is None
    assert load_agent("gpt", "gpt-6").spec.context_tokens is None
    assert load_agent("gpt", "gpt-5.4").spec.context_tokens == 272_000
    assert load_agent("gpt", "gpt-5.4", 100_000).spec.context_tokens == 100_000


def test_context_windows_differ_between_the_two_opus() -> None:
    """200k is asked for by a variable, 1M by the model's suffix, never by both."""
    short = load_agent("opus").turn("go", resume=False, token=TOKEN)
    long = load_agent("opus-1m").turn("go", resume=False, token=TOKEN)
    assert short.env["CLAUDE_CODE_DISABLE_1M_CONTEXT"] == "1"
    assert "claude-opus-4-6" in short.argv
    assert "CLAUDE_CODE_DISABLE_1M_CONTEXT" not in long.env
    assert "claude-opus-4-6[1m]" in long.argv


@pytest.mark.parametrize("cli", CLIS)
@pytest.mark.parametrize("name", NAMES)
def test_prompts_are_filled_in_completely(name: PromptName, cli: str) -> None:
    """No placeholder is left; each prompt says what to do without asking."""
    prompt = render_prompt(name, cli, PROMPT_VALUES)
    assert "${" not in prompt
    assert "trial" in prompt
    assert not prompt.startswith("-")  # a CLI would take it for an option


def test_a_prompt_that_names_something_unknown_is_an_error_with_a_hint() -> None:
    """The template is named, and where its words are listed."""
    with pytest.raises(HostError) as caught:
        render_prompt("first", "claude", {})
    assert "first.md" in caught.value.message
    assert "README.md" in caught.value.hint


def test_the_readme_of_prompts_lists_every_word() -> None:
    """What the prompts may name is what the page says."""
    page = (PROMPTS / "README.md").read_text()
    listed = set(re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE))
    used = {
        word
        for path in PROMPTS.glob("*.md")
        if path.name != "README.md"
        for word in re.findall(r"\$\{(\w+)\}", path.read_text())
    }
    assert used <= listed == set(PROMPT_NAMES)


def test_the_prompts_name_the_tasks_metric_and_its_direction() -> None:
    """An agent is told to find the lowest val_bpb, or the highest value of a maximised metric."""
    reward = Metric(name="mean_reward", direction="maximize")
    for metric, goal in (
        (VAL_BPB, "the lowest {}val_bpb{}"),
        (reward, "the highest {}mean_reward{}"),
    ):
        values = PROMPT_VALUES | metric.prompt_values
        for name in ("first", "fresh"):
            assert goal.format("", "") in render_prompt(name, "codex", values)
        assert goal.format("`", "`") in instructions(metric.prompt_values).decode()
    first = render_prompt("first", "codex", PROMPT_VALUES | reward.prompt_values)
    assert "keep the commit when it made mean_reward higher" in first


def test_instructions_without_a_metric_are_an_error_with_a_hint() -> None:
    """As with every prompt: what a file may name is listed in one place."""
    with pytest.raises(HostError) as caught:
        instructions({})
    assert "instructions.md" in caught.value.message
    assert "README.md" in caught.value.hint


def test_an_agent_is_told_that_it_has_several_devices() -> None:
    """In the first prompt of a session; of one device nothing is said."""
    for name in ("first", "fresh"):
        said = render_prompt(name, "codex", PROMPT_VALUES | {"together": together(2)})
        assert " Up to 2 trials run at a time: `trial --detach` starts one" in said
    assert together(1) == ""
