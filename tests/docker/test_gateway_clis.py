"""The three real CLIs through the real gateway: no request of theirs is refused by mistake."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from runner.agents.base import AgentCli, TurnOrder
from runner.agents.claude import ClaudeCode
from runner.agents.cli_files import cli_table
from runner.agents.codex import Codex
from runner.agents.gemini import GeminiCli
from runner.engine.client import Engine
from runner.wire.messages import CapReached, Denied, Outage, Problem, TurnFinished, TurnStart, Usage
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
    made.begin(
        {
            "run_id": rig.run_id,
            "branch": "bakeoff/test",
            "metric": "val_bpb",
            "direction": "minimize",
            "deadline_seconds": 300,
        }
    )
    return made


def turn(
    program: Program,
    provider: str,
    number: int = 1,
    resume: bool = False,
    prompt: str = "Read program.md and begin.",
) -> TurnFinished:
    """One invocation of the CLI, to its end."""
    order = TurnOrder(MODELS[provider][0], prompt, resume, TOKEN)
    made = CLIS[provider][1].turn(order)
    before = len(program.messages)
    program.say(TurnStart(number, made.argv, made.env))
    return program.next(TurnFinished, before, seconds=120)


@pytest.mark.parametrize("provider", sorted(CLIS))
def test_a_cli_works_through_the_gateway_over_two_turns(rig: Rig, provider: str) -> None:
    """In a turn and a resumed one, every request is forwarded, answered and priced."""
    model = rig.program("rehearsal", REHEARSAL_IMAGE, (rig.mount("upstream", "/run/upstream"),))
    tools = cli_table(
        {"anthropic": "claude", "openai": "codex", "google": "gemini"}[provider]
    ).tools
    config = {"provider": provider, "seed": 1, "api_key": KEY, "tools": tools}
    model.begin({**config, "deadline_seconds": 300})
    gateway = rig.gateway()
    gateway.begin(rig.config(provider, base_url="unix:///run/upstream/model.sock"))
    program = agent(rig, provider)
    first = turn(program, provider)
    second = turn(program, provider, 2, resume=True)
    assert (first.exit_code, second.exit_code) == (0, 0), program.text[-40:]
    records = [usage.record for usage in gateway.heard(Usage, least=4)]
    assert gateway.heard(Denied, least=0) == []
    assert all(record["status"] == 200 and record["cost_usd"] > 0 for record in records)
    assert all(record["charged_by"] == "usage" and record["rehearsed"] for record in records)


@pytest.mark.parametrize("provider", sorted(CLIS))
def test_a_cli_survives_an_outage(rig: Rig, provider: str) -> None:
    """The gateway retries for a short time only, so the CLI sees the failure too, and retries."""
    rig.standin()
    gateway = rig.gateway()
    gateway.begin(rig.config(provider, limits={"retry_seconds": 0.5}))
    faults = [{"status": 529}, {"status": 429, "retry_after": 1}, {"status": 500}, {"refuse": True}]
    plan = {"id": "a", "faults": faults}
    ended = turn(agent(rig, provider), provider, prompt=f"Say hello. PLAN {json.dumps(plan)}")
    assert ended.exit_code == 0, ended.stderr_tail
    # failed attempts have records as well, of no tokens
    gateway.until(
        lambda: any(isinstance(m, Usage) and m.record["output_tokens"] for m in gateway.messages)
    )
    assert gateway.heard(Problem)
    assert gateway.heard(Outage)


@pytest.mark.parametrize("provider", sorted(CLIS))
def test_a_spent_budget_ends_a_cli_at_once(rig: Rig, provider: str) -> None:
    """It stops by itself within seconds and says why; Codex has a message of its own for it."""
    gateway = rig.gateway()
    gateway.begin(rig.config(provider, caps={"usd": 0}))
    program = agent(rig, provider)
    ended = turn(program, provider, prompt="Say hello.")
    assert ended.seconds < 60
    assert [cap.budget for cap in gateway.heard(CapReached)] == ["usd"]
    transcript = program.engine.get_file(program.container, ended.transcript, 1 << 20) or b""
    message = b"Quota exceeded" if provider == "openai" else b"usd budget is spent"
    assert message in transcript + ended.stderr_tail.encode()
