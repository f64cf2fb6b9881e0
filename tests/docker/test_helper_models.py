"""Whatever model a CLI calls of its own accord, the gateway hears of the run's model alone."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.agents import Agent, load_agent
from runner.engine.client import Engine
from runner.records.layout import ROOT
from runner.wire.messages import Denied, TurnFinished, TurnStart, Usage
from tests.docker import delegating_model
from tests.docker.agent_box import agent_box, agent_image
from tests.docker.gateway_rig import BASE_IMAGE, STANDIN_FOLDER, TOKEN, Program, Rig

MODEL = Path(delegating_model.__file__)
AGENTS = [
    ("opus", None), ("opus-1m", None), ("opus", "claude-opus-5-5"), ("opus", "claude-haiku-4-5"),
    ("gemini", None), ("gemini", "gemini-4-argon"), ("gemini", "gemini-2.5-pro"),
]  # fmt: skip
CLAUDES = [pair for pair in AGENTS if pair[0] != "gemini"]
GEMINIS = [pair for pair in AGENTS if pair[0] == "gemini"]
# Newer ones and the study's: some never shorten a history as small as a test's, however full the
# model says that its window is.
SHORTENING = [("opus", None), ("opus", "claude-opus-5-5"), *GEMINIS]
EARLY = b'{"model": {"compressionThreshold": 0.001}}'
WRITTEN = """---
name: helper
description: Says hello.
model: {model}
---
Say hello.
"""


@pytest.fixture
def rig(engine: Engine) -> Iterator[Rig]:
    made = Rig(engine)
    yield made
    made.close()


class Delegation:
    """A turn in which the model calls one tool; what came of it on the wire."""

    def __init__(self, rig: Rig, agent: Agent, files: dict[str, bytes] | None = None) -> None:
        upstream = (rig.mount("upstream", "/run/upstream"),)
        place = [f"{STANDIN_FOLDER}/{MODEL.name}", f"{STANDIN_FOLDER}/model.sock"]
        self.model = rig.program("model", BASE_IMAGE, upstream, command=["python3", *place])
        folder = Path(STANDIN_FOLDER)
        files_of_model = {f"{folder.name}/{MODEL.name}": MODEL.read_bytes()}
        rig.engine.put_files(self.model.container, str(folder.parent), files_of_model)
        self.model.up()
        self.model.line("serving")
        self.gateway = rig.gateway()
        models = {"models": [agent.spec.model], "allow_unpriced": True}
        self.gateway.begin(rig.config(agent.spec.provider, **models))
        mounts = (
            rig.mount("workspace", "/workspace"),
            rig.mount("home", "/home/agent"),
            rig.mount("gateway", "/run/gateway", read_only=True),
        )
        self.box: Program = rig.program(
            "agent", agent_image(agent.spec.name), mounts, memory_bytes=2 << 30
        )
        rig.engine.put_files(self.box.container, "/workspace", files or {"x": b""})
        self.box.begin(
            {
                "run_id": rig.run_id,
                "branch": "bakeoff/test",
                "metric": "val_bpb",
                "direction": "minimize",
                "deadline_seconds": 900,
            }
        )
        self._agent = agent
        self._turns = 0

    def turn(
        self, call: dict[str, Any], padding: str = "", *, resume: bool = False
    ) -> TurnFinished:
        """One turn of the CLI that is asked to make this call."""
        prompt = f"Go on. CALL {json.dumps(call)} {padding}"
        made = self._agent.turn(prompt, resume=resume, token=TOKEN)
        before = len(self.box.messages)
        self._turns += 1
        self.box.say(TurnStart(self._turns, made.argv, made.env))
        ended = self.box.next(TurnFinished, before, seconds=240)
        assert ended.exit_code == 0, ended
        return ended

    def was_asked(self, purpose: str, least: int) -> None:
        """Wait until the model was asked so often with this purpose."""
        told = re.compile(rf"asked \S+ {purpose}")
        self.model.until(lambda: sum(bool(told.fullmatch(one)) for one in self.model.text) >= least)

    def models(self) -> set[str]:
        """The models of all requests; none was refused."""
        assert self.gateway.heard(Denied, least=0) == [], self.gateway.text[-5:]
        return {str(usage.record["model"]) for usage in self.gateway.heard(Usage, least=1)}


@pytest.mark.parametrize(("name", "model"), CLAUDES)
def test_claudes_sub_agents_are_the_runs_model(rig: Rig, name: str, model: str | None) -> None:
    """Each alias that its Agent tool knows, with the study's model and newer and smaller ones."""
    agent = load_agent(name, model)
    delegation = Delegation(rig, agent)
    order = {"description": "hello", "prompt": "DELEGATED: say hello"}
    for alias in ({}, *({"model": word} for word in ("haiku", "sonnet", "opus", "fable"))):
        general = {**order, "subagent_type": "general-purpose", **alias}
        delegation.turn({"tools": ["Agent", "Task"], "input": general})
        assert delegation.models() == {agent.spec.model}
    delegation.was_asked("delegated", 5)


def test_claudes_other_sub_agents_are_the_runs_model(rig: Rig) -> None:
    """Those that come with it, and one that an agent wrote itself, with a model of its own."""
    agent = load_agent("opus")
    written = WRITTEN.format(model="claude-sonnet-5").encode()
    delegation = Delegation(rig, agent, {".claude/agents/helper.md": written})
    for kind in ("Explore", "Plan", "helper"):
        order = {"description": "hello", "prompt": "DELEGATED: say hello", "subagent_type": kind}
        delegation.turn({"tools": ["Agent", "Task"], "input": order})
        assert delegation.models() == {agent.spec.model}
    delegation.was_asked("delegated", 3)


@pytest.mark.parametrize(("name", "model"), GEMINIS)
def test_geminis_sub_agents_are_the_runs_model(rig: Rig, name: str, model: str | None) -> None:
    """Those that come with it, and one that an agent wrote itself, with a model of its own."""
    agent = load_agent(name, model)
    written = WRITTEN.format(model="gemini-3.5-flash").encode()
    delegation = Delegation(rig, agent, {".gemini/agents/helper.md": written})
    kinds = ("codebase_investigator", "generalist", "helper")
    for kind in kinds:
        order: dict[str, str] = {"agent_name": kind, "prompt": "DELEGATED: say hello"}
        delegation.turn({"tools": ["invoke_agent"], "input": order})
        assert delegation.models() == {agent.spec.model}
    delegation.was_asked("delegated", 2)


@pytest.mark.parametrize(("name", "model"), SHORTENING)
def test_a_history_is_shortened_by_the_runs_model(rig: Rig, name: str, model: str | None) -> None:
    """The model says that its window is nearly full; what shortens the history is let through."""
    agent = load_agent(name, model)
    delegation = Delegation(rig, agent, {".gemini/settings.json": EARLY})
    tools = {"Bash": {"command": "seq 3000"}, "run_shell_command": {"command": "seq 3000"}}
    tool = "run_shell_command" if name == "gemini" else "Bash"
    full = {"tools": [tool], "input": tools[tool], "context_tokens": 1_040_000}
    call = full if name == "gemini" else {**full, "context_tokens": 990_000}
    delegation.turn(call, padding="long ago " * 5000)
    delegation.turn(call, padding="and now " * 1000, resume=True)
    assert delegation.models() == {agent.spec.model}
    delegation.was_asked("summary", 1)


@pytest.mark.parametrize("cli", ["claude", "codex", "gemini"])
def test_the_names_of_models_in_a_cli_are_known(engine: Engine, cli: str) -> None:
    """A new version that calls new models, or has new variables for them, is looked at first."""
    table = tomllib.loads((ROOT / "images" / "agent" / cli / "models.toml").read_text())
    agent = {"claude": "opus", "codex": "gpt", "gemini": "gemini"}[cli]
    with agent_box(engine, agent) as box:
        box.start()
        for kind in ("models", "settings"):
            look = f"LC_ALL=C grep -rahoE '{table['patterns'][kind]}' /opt/agent | sort -u"
            box.begin(look)
            assert sorted(box.end(300)[1].splitlines()) == sorted(table[kind]), (
                f"{cli} has other {kind} than images/agent/{cli}/models.toml: see there what to do"
            )
