"""The three real CLIs in their images: what they ask for, and whole turns with a scripted model."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest

from runner.agents import Agent, load_agent, render_prompt
from runner.build.agent_images import cli_version
from runner.engine.client import Engine
from runner.records.layout import ROOT
from runner.wire.messages import (
    MESSAGES,
    Start,
    Started,
    TrialAccepted,
    TrialFinished,
    TrialRequested,
    TurnFinished,
)
from runner.wire.protocol import decode, encode
from tests.docker.agent_box import AgentBox, agent_box

BASE, REHEARSAL = "bakeoff/base:0.1.0", "bakeoff/rehearsal:0.1.0"
TOKEN = "token-of-this-run"
PROMPT_VALUES = {
    "run_id": "test", "task": "pystdlib", "branch": "bakeoff/test", "trial_seconds": 5,
    "budget": "6 trials", "left": "4 trials", "remarks": "", "reason": "",
    "grace_seconds": "", "meanwhile": "", "together": "", "metric": "val_bpb",
    "lower": "lower", "lowest": "lowest",
}  # fmt: skip
# Tells what it was asked and refuses everything in a way that makes no CLI try for long.
NOTING_GATEWAY = """
import http.server, json, os, socketserver
class Note(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        noted = {"method": self.command, "path": self.path, "headers": dict(self.headers)}
        print(json.dumps({**noted, "body": body.decode("utf-8", "replace")}), flush=True)
        answer = b'{"error": {"type": "invalid_request_error", "message": "not today"}}'
        self.send_response(400)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    do_GET = do_HEAD = do_PUT = do_DELETE = do_CONNECT = do_OPTIONS = do_POST
    def address_string(self):
        return "relay"
    def log_message(self, *arguments):
        pass
socketserver.ThreadingUnixStreamServer("/run/gateway/llm.sock", Note).serve_forever()
"""
MODEL_PATHS = {
    "opus": "/v1/messages?beta=true",
    "opus-1m": "/v1/messages?beta=true",
    "gpt": "/v1/responses",
    "gemini": "/v1beta/models/gemini-3-flash-preview:streamGenerateContent?alt=sse",
}
KEY_HEADERS = {"anthropic": "x-api-key", "openai": "authorization", "google": "x-goog-api-key"}
HOSTILE_CODEX = """
web_search = "live"
[tools]
web_search = true
[features]
web_search_request = true
[analytics]
enabled = true
[projects."/workspace"]
trust_level = "trusted"
"""
HOSTILE_CLAUDE = """
{"permissions": {"allow": ["WebSearch", "WebFetch"], "deny": []},
 "env": {"DISABLE_TELEMETRY": "0", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "0"}}
"""
HOSTILE_GEMINI = """
{"tools": {"exclude": [], "core": ["google_web_search", "web_fetch", "run_shell_command"]},
 "privacy": {"usageStatisticsEnabled": true}, "telemetry": {"enabled": true}}
"""
HOSTILE_SETTINGS = {
    "~/.codex/config.toml": HOSTILE_CODEX,
    "/workspace/.codex/config.toml": HOSTILE_CODEX,
    "~/.claude/settings.json": HOSTILE_CLAUDE,
    "/workspace/.claude/settings.json": HOSTILE_CLAUDE,
    "~/.gemini/settings.json": HOSTILE_GEMINI,
    "/workspace/.gemini/settings.json": HOSTILE_GEMINI,
}
WEB_TOOLS = ("web_search", "web_fetch", "WebSearch", "WebFetch", "googleSearch", "urlContext")


@pytest.fixture(params=["opus", "gpt", "gemini"])
def agent(request: pytest.FixtureRequest) -> Agent:
    """One agent a CLI."""
    return load_agent(request.param)


@pytest.fixture
def box(engine: Engine, agent: Agent) -> Iterator[AgentBox]:
    """Its container, which has taken `start`."""
    with agent_box(engine, agent.spec.name) as made:
        made.start()
        yield made


def run_turn(box: AgentBox, agent: Agent, prompt: str, *, resume: bool = False) -> TurnFinished:
    """Run one turn; every trial that is asked for is better than the one before."""
    turn = agent.turn(prompt, resume=resume, token=TOKEN)
    box.begin_turn(turn.argv, turn.env)
    while True:
        message = box.wait_for((TrialRequested, TurnFinished), 90)
        if isinstance(message, TurnFinished):
            return message
        assert isinstance(message, TrialRequested)
        trial = sum(isinstance(past, TrialRequested) for past in box.messages)
        value = 2.0 - trial / 10
        summary = {"val_bpb": value}
        box.send(TrialAccepted(message.request, trial))
        box.send(TrialFinished(message.request, trial, "ok", value, 5.0, summary, metric="val_bpb"))


def noted_requests(box: AgentBox, agent: Agent) -> list[dict[str, Any]]:
    """What a CLI sends out in one turn whose first request is refused."""
    gateway = box.add("gateway", BASE, ["python3", "-c", NOTING_GATEWAY], "/run/gateway")
    box.engine.start(gateway)
    finished = run_turn(box, agent, "say hello")
    assert not agent.judge(box.read(finished.transcript).splitlines(), finished.exit_code).good
    box.engine.kill(gateway)  # the log of one that has ended is whole
    assert box.engine.wait_exit(gateway, 30)
    printed = b"".join(box.engine.logs(gateway)).decode()
    return [json.loads(line) for line in printed.splitlines()]


def start_rehearsal(box: AgentBox, agent: Agent) -> None:
    """A scripted model right behind the relay, where the gateway would be."""
    model = box.add("rehearsal", REHEARSAL, None, "/run/upstream")
    with io.BytesIO() as archive:
        with tarfile.open(fileobj=archive, mode="w") as tar:
            link = tarfile.TarInfo("llm.sock")
            link.type, link.linkname = tarfile.SYMTYPE, "model.sock"
            tar.addfile(link)
        box.engine.put_archive(model, "/run/upstream", archive.getvalue())
    channel = box.engine.attach(model)
    box.engine.start(model)
    config = {
        "provider": agent.spec.provider, "seed": 1, "api_key": TOKEN, "deadline_seconds": 300,
        "tools": agent.rehearsal_tools(),
    }  # fmt: skip
    channel.send(encode(Start(config)))
    for is_stdout, line in channel.lines():
        if is_stdout and isinstance(decode(line, MESSAGES), Started):
            break
    channel.close()


def test_the_image_keeps_its_promises_in_its_lock(box: AgentBox, agent: Agent) -> None:
    """Version, policy and tools, proved without network, root or a writable root."""
    version = cli_version(ROOT, agent.spec.cli)
    assert box.shell(f"python3 /opt/bakeoff/agent/verify {version}") == ""


def test_a_cli_asks_for_nothing_but_its_model(box: AgentBox, agent: Agent) -> None:
    """No telemetry, no update, no other path; the run's token for a key; its own model.

    And the policy file is in force: a provider's own search would pass any network lock.
    """
    requests = noted_requests(box, agent)
    assert {(noted["method"], noted["path"]) for noted in requests} == {
        ("POST", MODEL_PATHS[agent.spec.name])
    }
    for noted in requests:
        headers = {name.lower(): value for name, value in noted["headers"].items()}
        assert headers[KEY_HEADERS[agent.spec.provider]].removeprefix("Bearer ") == TOKEN
        body = json.loads(noted["body"])
        assert body.get("model", agent.spec.model) == agent.spec.model
        tools = json.dumps(body.get("tools", []))
        assert not [name for name in WEB_TOOLS if f'"{name}"' in tools]
        assert "exec_command" in tools or "Bash" in tools or "run_shell_command" in tools


def test_the_policy_cannot_be_undone_from_inside(box: AgentBox, agent: Agent) -> None:
    """Settings that an agent leaves in its home and repository bring back no web, no telemetry."""
    written = (
        f"mkdir -p $(dirname {path}) && cat > {path} <<'END'\n{content}\nEND"
        for path, content in HOSTILE_SETTINGS.items()
    )
    box.shell("set -e\n" + "\n".join(written))
    requests = noted_requests(box, agent)
    assert {noted["path"] for noted in requests} == {MODEL_PATHS[agent.spec.name]}
    for noted in requests:
        tools = json.dumps(json.loads(noted["body"]).get("tools", []))
        assert not [name for name in WEB_TOOLS if f'"{name}"' in tools]


def test_turns_with_a_scripted_model(box: AgentBox, agent: Agent) -> None:
    """Two turns of one session: real tool calls, a trial, files written, words understood."""
    start_rehearsal(box, agent)
    first = run_turn(box, agent, render_prompt("first", agent.spec.cli, PROMPT_VALUES))
    outcome = agent.judge(box.read(first.transcript).splitlines(), first.exit_code)
    assert outcome.good, outcome
    assert outcome.tool_calls >= 3
    box.log("trial 1 ended: ok")
    assert box.read("/workspace/experiments.csv")
    nudge = render_prompt("nudge", agent.spec.cli, PROMPT_VALUES)
    second = run_turn(box, agent, nudge, resume=True)
    resumed = agent.judge(box.read(second.transcript).splitlines(), second.exit_code)
    assert resumed.good, resumed
    assert not resumed.session_lost


def test_a_turn_that_is_interrupted_is_not_good(box: AgentBox, agent: Agent) -> None:
    """Whatever exit code a CLI gives: a gateway that never answers, then SIGTERM."""
    silent = "import socket, threading; s = socket.socket(socket.AF_UNIX); "
    silent += "s.bind('/run/gateway/llm.sock'); s.listen(); threading.Event().wait()"
    box.engine.start(box.add("gateway", BASE, ["python3", "-c", silent], "/run/gateway"))
    turn = agent.turn("say hello", resume=False, token=TOKEN)
    box.begin_turn(turn.argv, turn.env)
    box.interrupt_after_output()
    finished = box.wait_for(TurnFinished, 90)
    assert not agent.judge(box.read(finished.transcript).splitlines(), finished.exit_code).good


def test_claude_codes_agents_differ_in_their_window_alone(engine: Engine) -> None:
    """The long one asks for the long context by its beta; each sends the model of the study."""
    betas = {}
    for name in ("opus", "opus-1m", "sonnet"):
        agent = load_agent(name)
        with agent_box(engine, name) as box:
            box.start()
            noted = noted_requests(box, agent)[0]
            headers = {key.lower(): value for key, value in noted["headers"].items()}
            betas[name] = {one.rpartition("-2")[0] for one in headers["anthropic-beta"].split(",")}
            assert json.loads(noted["body"])["model"] == agent.spec.model
    assert betas["opus-1m"] - betas["opus"] == {"context-1m"}
    assert betas["opus"] <= betas["opus-1m"]
    assert "context-1m" in betas["sonnet"]


@pytest.mark.parametrize("tokens", [None, 100_000])
def test_codex_works_in_the_window_that_it_is_given(engine: Engine, tokens: int | None) -> None:
    """It keeps 95 % of the window for itself; the study's is 272,000 tokens."""
    agent = load_agent("gpt", context_tokens=tokens)
    with agent_box(engine, "gpt") as box:
        box.start()
        noted_requests(box, agent)
        session = box.shell("cat ~/.codex/sessions/*/*/*/*.jsonl")
    (window,) = set(re.findall(r'"model_context_window":(\d+)', session))
    assert int(window) == 0.95 * (tokens or 272_000)
