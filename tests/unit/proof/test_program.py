"""The program of probes as it is packed, and the list of what must answer."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from runner.engine.containers import ContainerSpec, Mount
from runner.proof import outside
from runner.proof.container import prepared
from runner.proof.program import FOLDER, argv, expected, packed_modules, parameters, with_program

BOX = ContainerSpec(
    name="box", image="image", run_id="run", role="agent", command=["python", "own.py"],
    mounts=(Mount("work", "/workspace"), Mount("data", "/data", read_only=True)),
)  # fmt: skip
ONE_ARGUMENT_BYTES = 128 << 10  # MAX_ARG_STRLEN of Linux


def classes(told: dict[str, object]) -> set[str]:
    return {attack for attack, _ in expected(told)}


def test_the_program_fits_into_one_argument() -> None:
    """All modules are packed, and Linux takes the text as an argument."""
    assert len(packed_modules()) < ONE_ARGUMENT_BYTES


def test_the_parts_have_their_probes() -> None:
    """`all` has those of `quick` and more; bombs have a container of their own."""
    quick, slow, bombs = (
        set(expected(parameters(BOX, part))) for part in ("quick", "all", "bombs")
    )
    assert quick < slow
    assert len(quick) > 200
    assert {attack for attack, _ in bombs} == {"bombs"}
    assert bombs & slow == set()


def test_no_two_probes_have_one_name() -> None:
    """A finding names one probe."""
    names = expected(parameters(BOX, "all", gateway=True))
    assert len(names) == len(set(names))


def test_a_container_with_a_network_is_not_asked_whether_it_has_none() -> None:
    """The class `network` is for those without one, and requests are for a gateway that listens."""
    bridged = replace(BOX, role="gateway", network="bridge")
    assert "network" in classes(parameters(BOX, "quick"))
    assert "network" not in classes(parameters(bridged, "quick"))
    assert "gateway" not in classes(parameters(BOX, "all"))
    assert "gateway" in classes(parameters(BOX, "all", gateway=True))


def test_the_program_takes_the_place_of_the_containers_own() -> None:
    """Nothing else of the container differs."""
    made = with_program(BOX, parameters(BOX, "quick"))
    assert made.command is None
    assert replace(made, entrypoint=None, command=BOX.command) == BOX


def test_a_proof_writes_to_volumes_of_its_own() -> None:
    """A volume that may be written, or is not there, is replaced; one to read stays."""
    made = prepared(BOX, {"work", "data"})
    assert made.spec.mounts == (Mount("box-proof-0", "/workspace"), BOX.mounts[1])
    assert made.volumes == ("box-proof-0",)
    absent = prepared(BOX, set())
    assert [mount.volume for mount in absent.spec.mounts] == ["box-proof-0", "box-proof-1"]
    assert absent.spec.mounts[1].read_only
    assert made.spec.name == "box-proof"


def test_the_host_looks_for_what_the_program_leaves() -> None:
    """Both sides name the same files."""
    source = (FOLDER / "leaving.py").read_text()
    for name in (outside.FOLDER, outside.BEATS, *outside.LINKS):
        assert f'"{name}"' in source
    assert f"HONEST = {outside.HONEST!r}".replace("'", '"') in source


# A child ends, changes its process or fails; the next probe is tried all the same.
SURVIVES = """
import json, os, signal, sys
def main(told):
    import framework, twins
    framework.PROBES.clear()
    def add(name, run, **more):
        framework.attack("x", name, twin=twins.write_tmp, **more)(run)
    def refused(box):
        raise PermissionError(1, "no")
    add("held", refused)
    add("killed by the filter", lambda box: os.kill(os.getpid(), signal.SIGSYS))
    add("ended", lambda box: os._exit(0))
    add("changed", lambda box: "gained", changes=True)
    add("wrong", lambda box: 1 / 0)
    add("another error", lambda box: os.stat("/no/such/file"))
    add("gained nothing", lambda box: "")
    for line in framework.run_all(framework.Box("agent", False, "quick"), lambda: None):
        sys.stdout.write(line.decode())
main(None)
"""


@pytest.fixture(scope="module")
def survived() -> dict[str, bool | None]:
    """What is said of probes that end their process, by name."""
    program = argv({})
    program[3] = program[3].replace("import main\nmain.main(json.loads(sys.argv[2]))", SURVIVES)
    program[0] = sys.executable
    done = subprocess.run(program, capture_output=True, text=True, check=True, timeout=60)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    return {one["probe"]: one["succeeded"] for one in said}


def test_a_probe_that_ends_its_process_hides_no_other(survived: dict[str, bool | None]) -> None:
    """Each has one line; a call that the kernel ended its process for was refused."""
    assert survived == {
        "held": False,
        "killed by the filter": False,
        "ended": None,
        "changed": True,
        "wrong": None,
        "another error": None,
        "gained nothing": False,
    }


def test_what_may_end_the_container_comes_last() -> None:
    """A probe whose success ends the container hides no other."""
    assert expected(parameters(BOX, "quick"))[-1] == ("PID 1", "signals")
