"""The lock from inside an agent's container, as a program of the agent finds it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from runner.engine.client import Engine
from tests.docker.sandbox_rig import SandboxRig, make_context
from tests.docker.test_sandbox import FACTS, QUESTION, REACH, ask, signed
from tests.engines.differences import expected
from tests.engines.under import Under

NOTHING = "0" * 16
# What is so on Docker's engine with runc; `differences.py` says what is not so elsewhere, and why.
USUAL: dict[str, Any] = {
    "interfaces": ["lo"],
    "devices": ["lo"],
    "routes": [],
    "ids": [1000, 1000, 1000],
    "groups": [1000],
    "status": {
        "CapEff": NOTHING, "CapPrm": NOTHING, "CapBnd": NOTHING, "NoNewPrivs": "1", "Seccomp": "2",
    },
    "writable": ["/workspace/x", "/home/agent/x", "/tmp/x"],
    "unwritable": [],
    "replaced": False,
    "foreign": [],
    "open of pid 1": [],
    "own environ": True,
    "node": False,
    "setuid": False,
    "chroot": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def rig(
    engine: Engine, under: Under, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SandboxRig]:
    """One open sandbox of a rehearsed run for all probes."""
    folder = tmp_path_factory.mktemp("runs")
    opened = SandboxRig.of(make_context(engine, folder, "gpt", runtime=under.runtime))
    with opened.sandbox:
        yield opened


@pytest.fixture(scope="module")
def facts(rig: SandboxRig) -> dict[str, Any]:
    """What a program of the agent finds out about its container."""
    found: dict[str, Any] = json.loads(rig.python(FACTS))
    closed = ("PermissionError", False)
    found["open of pid 1"] = sorted(
        name for name, how in found["pid 1"].items() if how not in closed
    )
    return found


@pytest.mark.parametrize("fact", USUAL)
def test_the_lock_is_as_elsewhere(facts: dict[str, Any], under: Under, fact: str) -> None:
    """Network, files, rights and PID 1 are as on Docker's engine, but for what is listed."""
    assert facts[fact] == expected(under.name, fact, USUAL[fact])


def test_nothing_outside_is_reached(rig: SandboxRig) -> None:
    """The gateway's relay answers; the internet, metadata and a name do not."""
    outside = [("1.1.1.1", 443), ("169.254.169.254", 80), ("api.openai.com", 443), ("::1", 80)]
    targets = json.dumps([("127.0.0.1", 8080), *outside])
    reached: dict[str, str] = json.loads(rig.python(REACH, {"TARGETS": targets}))
    assert reached.pop("127.0.0.1:8080") == "reached"
    assert [target for target, how in reached.items() if how == "reached"] == []


def test_the_gateway_answers_the_runs_token_alone(rig: SandboxRig) -> None:
    """Its socket lies on a volume, which both containers have."""
    plain = {"content-type": "application/json"}
    allowed, refused = ask(
        rig,
        ("POST", "/v1/responses", signed(rig), QUESTION),
        ("POST", "/v1/responses", plain, QUESTION),
    )
    assert allowed[0] == 200
    assert refused[0] == 401
