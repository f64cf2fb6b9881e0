"""The three real CLIs through the real gateway: nothing that they ask for is refused by mistake."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runner.agents.base import AgentCli, TurnOrder
from runner.agents.claude import ClaudeCode
from runner.agents.codex import Codex
from runner.agents.gemini import GeminiCli
from runner.engine import Engine
from runner.protocol import Denied, TurnFinished, TurnStart, Usage
from tests.docker.gateway_rig import KEY, MODELS, REHEARSAL_IMAGE, TOKEN, Program, Rig

CLIS: dict[str, tuple[str, AgentCli]] = {
    "anthropic": ("bakeoff/agent-claude:2.1.328", ClaudeCode()),
    "openai": ("bakeoff/agent-codex:0.169.0", Codex()),
    "google": ("bakeoff/agent-gemini:0.61.0", GeminiCli()),
}


@pytest.fixture
def rig() -> Iterator[Rig]:
    engine = Engine.connect()
    made = Rig(engine)
    yield made
    made.close()
    engine.close()


def agent(rig: Rig, provider: str) -> Program:
    """The agent's container of this provider's CLI."""
    mounts = (
        rig.mount("workspace", "/workspace"),
        rig.mount("home", "/home/agent"),
        rig.mount("gateway", "/run/gateway", read_only=True),
    )
    made = rig.program("agent", CLIS[provider][0], mounts, memory_bytes=2 << 30)
    made.begin({"run_id": rig.run_id, "branch": "bakeoff/test", "deadline_seconds": 300})
    return made


def turn(program: Program, provider: str, number: int, resume: bool = False) -> TurnFinished:
    """One invocation of the CLI, to its end."""
    order = TurnOrder(MODELS[provider][0], "Read program.md and begin.", resume, TOKEN)
    made = CLIS[provider][1].turn(order)
    before = len(program.messages)
    program.say(TurnStart(number, made.argv, made.env))
    return program.next(TurnFinished, before, seconds=120)


@pytest.mark.parametrize("provider", sorted(CLIS))
def test_a_cli_works_through_the_gateway_over_two_turns(rig: Rig, provider: str) -> None:
    """A turn and a resumed one: every request is let through, answered, and has its price."""
    model = rig.program("rehearsal", REHEARSAL_IMAGE, (rig.mount("upstream", "/run/upstream"),))
    model.begin({"provider": provider, "seed": 1, "api_key": KEY, "deadline_seconds": 300})
    gateway = rig.gateway()
    gateway.begin(rig.config(provider, base_url="unix:///run/upstream/model.sock"))
    program = agent(rig, provider)
    first = turn(program, provider, 1)
    second = turn(program, provider, 2, resume=True)
    assert (first.exit_code, second.exit_code) == (0, 0), program.text[-40:]
    assert gateway.heard(Denied) == []
    records = [usage.record for usage in gateway.heard(Usage)]
    assert len(records) >= 4
    assert all(record["status"] == 200 and record["cost_usd"] > 0 for record in records)
    assert all(record["charged_by"] == "usage" and record["rehearsed"] for record in records)
