"""The quick proof of a run's lock: what holds, and what is known not to hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runner.engine.client import Engine
from runner.proof.boxes import boxes_of_this_machine
from runner.proof.prove import prove
from runner.records.containment import Containment
from tests.engines.differences import Failing, not_held
from tests.engines.under import Under

CONTESTANTS = ("agent-claude", "agent-codex", "agent-gemini", "optimizer", "trial", "judge")


@pytest.fixture(scope="module")
def proof(engine: Engine, under: Under) -> Containment:
    """All quick probes, in a container of each role that has the runtime of a run."""
    boxes = boxes_of_this_machine(engine)
    chosen = {role: replace(boxes[role], runtime=under.runtime) for role in CONTESTANTS}
    return prove(engine, chosen, "quick")


@pytest.mark.parametrize("role", CONTESTANTS)
def test_exactly_what_is_listed_does_not_hold(proof: Containment, under: Under, role: str) -> None:
    """All other attacks fail, and their twins work."""
    found: set[Failing] = {
        (one.attack, one.probe, one.outcome)
        for one in proof.findings
        if one.role == role and one.outcome != "held"
    }
    assert found == not_held(under.name)
