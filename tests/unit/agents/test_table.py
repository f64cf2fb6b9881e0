"""The table of agents, the command lines that come of it, and the prompts."""

from __future__ import annotations

import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.agents import agent_names, load_agent, render_prompt
from runner.agents.base import RELAY_URL
from runner.agents.prompts import PROMPTS, PromptName
from runner.agents.table import MODEL_NAME
from runner.errors import HostError, UserError
from runner.layout import ROOT

WORDS = ("run_id", "task", "branch", "trial_seconds", "budget", "left", "reason", "grace_seconds")
VALUES = {word: f"<{word}>" for word in WORDS}
NAMES: tuple[PromptName, ...] = ("first", "nudge", "closing")
TOKEN = "token-of-this-run"


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
    """The tag stands in the table of images, and has the version that npm locks."""
    spec = load_agent(name).spec
    images = tomllib.loads((ROOT / "images" / "images.toml").read_text())
    tags = {table["tag"]: table["args"]["CLI"] for table in images.values() if "args" in table}
    lock = (ROOT / "images" / "agent" / spec.cli / "package.json").read_text()
    assert tags[spec.image] == spec.cli
    assert f'"{spec.image.partition(":")[2]}"' in lock


@pytest.mark.parametrize("cli", ["claude", "codex", "gemini"])
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
    """It reaches the command line and the gateway's list; the helpers stay."""
    agent = load_agent("sonnet", "claude-sonnet-9")
    assert agent.spec.models[0] == "claude-sonnet-9"
    assert "claude-haiku-4-5" in agent.spec.models
    assert "claude-sonnet-9" in agent.turn("go", resume=False, token=TOKEN).argv


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


@pytest.mark.parametrize("cli", ["claude", "codex", "gemini"])
@pytest.mark.parametrize("name", NAMES)
def test_prompts_are_filled_in_completely(name: PromptName, cli: str) -> None:
    """No placeholder is left; each prompt says what to do without asking."""
    prompt = render_prompt(name, cli, VALUES)
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
    assert used <= listed == set(WORDS)
