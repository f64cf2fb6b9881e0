"""The proof of the lock, as each run and `bakeoff prove` make it, in every kind of container."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Mapping

import pytest
from rich.console import Console

from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec
from runner.proof import boxes, table
from runner.proof.prove import prove
from runner.records.containment import Containment

from .conftest import ATTACK_TABLE
from .sandbox_rig import SandboxRig, make_context

CLASSES = {
    "network", "sockets", "engine", "proc and sys", "mounts and namespaces", "PID 1", "privileges",
    "kernel interfaces", "files", "shares", "held-out data", "bombs", "survival", "artefacts",
}  # fmt: skip
COLUMNS = 160
QUICK_SECONDS = 20.0  # all probes of one container, however busy the machine


def in_text(proof: Containment) -> str:
    """The attack table as a terminal without colours shows it."""
    console = Console(width=COLUMNS, file=io.StringIO(), no_color=True)
    with console.capture() as captured:
        console.print(table.attack_table(proof))
    return captured.get()


@pytest.fixture(scope="module")
def machine_boxes(engine: Engine) -> Mapping[str, ContainerSpec]:
    """The containers of this machine that every run has."""
    return boxes.boxes_of_this_machine(engine)


@pytest.fixture(scope="module")
def proof(engine: Engine, machine_boxes: Mapping[str, ContainerSpec]) -> Containment:
    """All probes in all containers; their table is shown at the end of the tests."""
    return prove(engine, machine_boxes, "all")


def test_no_attack_succeeds_and_every_twin_works(
    proof: Containment, request: pytest.FixtureRequest
) -> None:
    """Whatever is tried in any container fails, and what is allowed there works."""
    request.node.add_report_section("call", ATTACK_TABLE, in_text(proof))
    assert table.failures(proof) == []


def test_every_class_is_tried_in_every_container(
    proof: Containment, machine_boxes: Mapping[str, ContainerSpec]
) -> None:
    """Left out are networks where there is one, and what needs a volume of one's own."""
    found = proof.findings + proof.slow
    for role in machine_boxes:
        missing = CLASSES - {one.attack for one in found if one.role == role}
        assert missing == {"gateway": {"network"}, "trial": {"survival", "artefacts"}}.get(
            role, set()
        )


def test_every_probe_is_told_of_once(proof: Containment) -> None:
    """No finding is lost, and none is doubled."""
    counted = Counter((one.role, one.attack, one.probe) for one in proof.findings + proof.slow)
    assert {name for name, count in counted.items() if count > 1} == set()


def test_slow_findings_are_kept_for_the_next_run(
    engine: Engine, proof: Containment, machine_boxes: Mapping[str, ContainerSpec]
) -> None:
    """A quick proof of the same container has them without trying again; of a changed one, none."""
    trial = machine_boxes["trial"]
    again = prove(engine, {"trial": trial}, "quick")
    assert again.slow == tuple(one for one in proof.slow if one.role == "trial")
    assert sum(one.seconds for one in again.findings) < QUICK_SECONDS
    changed = prove(engine, {"trial": ContainerSpec(**{**vars(trial), "pids": 99})}, "quick")
    assert changed.slow == ()
    assert changed.key != again.key


def test_nothing_of_a_proof_is_left(
    engine: Engine, proof: Containment, machine_boxes: Mapping[str, ContainerSpec]
) -> None:
    """Neither a container nor a volume remains on the engine."""
    assert proof.findings
    (run_id,) = {box.run_id for box in machine_boxes.values()}
    assert engine.containers(run_id) == []
    assert engine.volumes(run_id) == []
    assert engine.networks(run_id) == {}


@pytest.fixture(scope="module")
def rig(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxRig]:
    """An open sandbox of a rehearsed run, whose gateway listens."""
    opened = SandboxRig.of(make_context(engine, tmp_path_factory.mktemp("runs"), "gpt"))
    with opened.sandbox:
        yield opened


def test_a_gateway_answers_no_stranger(engine: Engine, rig: SandboxRig) -> None:
    """From the box of a run under way: forged tokens, other paths, other hosts, the socket."""
    agent = rig.sandbox.contestant.spec
    proof = prove(engine, {"agent": agent}, "all")
    asked = [one for one in proof.slow if one.attack == "gateway"]
    assert len(asked) > 10
    assert [one for one in asked if one.outcome != "held"] == []
    assert rig.python("print('alive')") == "alive\n", "the run itself was not touched"
