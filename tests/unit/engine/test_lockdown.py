"""The lock's own decisions: who may have a network, and what size a role has."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from runner.engine import lockdown
from runner.engine.containers import ContainerSpec, EngineInfo
from runner.errors import SandboxError
from runner.limits import limits
from runner.records.layout import ROOT

MACHINE = EngineInfo(id="x", version="27.0", cpus=8, memory_bytes=10 << 30, gpus=False)
SPEC = ContainerSpec(name="bakeoff-x", image="bakeoff/base:0", run_id="x", role="agent")


def test_four_roles_may_have_a_network_and_each_has_its_reason() -> None:
    """Nothing that runs a contestant's code is among them."""
    assert set(lockdown.NETWORK_ROLES) == {"gateway", "reach", "relay", "prepare"}
    assert all(lockdown.NETWORK_ROLES.values())


@pytest.mark.parametrize("role", sorted({*limits(), "cleanup", "nobody", ""}))
def test_a_network_is_for_the_roles_of_the_table_alone(role: str) -> None:
    """Every role may be without a network; one that is not in the table cannot get any."""
    assert lockdown.host_config(replace(SPEC, role=role))["network_mode"] == "none"
    asking = replace(SPEC, role=role, network="own")
    if role in lockdown.NETWORK_ROLES:
        assert lockdown.host_config(asking)["network_mode"] == "bakeoff-x-way-out"
        return
    with pytest.raises(SandboxError, match="bakeoff-x") as caught:
        lockdown.host_config(asking)
    assert repr(role) in caught.value.message
    assert "lockdown.py" in caught.value.hint


@pytest.mark.parametrize(
    "network", ["host", "bridge", "container:other", "bakeoff-y-way-out", "mine", ""]
)
@pytest.mark.parametrize("role", ["agent", "gateway"])
def test_no_role_may_have_another_network(role: str, network: str) -> None:
    """Neither the host's, nor another container's, nor one that somebody made."""
    with pytest.raises(SandboxError, match="network"):
        lockdown.host_config(replace(SPEC, role=role, network=network))


def test_one_place_makes_containers() -> None:
    """No module but the engine's client asks for one, so none gets around the lock."""
    makers = [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "runner").rglob("*.py"))
        if re.search(
            r"\.(create_container|create_host_config|containers\.(run|create))\(", path.read_text()
        )
    ]
    assert makers == ["runner/engine/client.py"]


def test_sizes_are_those_of_the_table_of_limits() -> None:
    """Shares are of the engine's machine, absolute numbers are as they stand."""
    limit = limits()["agent"]
    assert lockdown.sizes(limits()["agent"], MACHINE) == {
        "tmpfs": {"/tmp": limit.tmp_mb << 20},
        "memory_bytes": limit.memory_bytes(MACHINE.memory_bytes),
        "cpus": 8 * limit.cpu_share,
        "cpu_weight": limit.cpu_weight,
        "pids": limit.pids,
        "shm_bytes": limit.shm_mb << 20,
    }
    trial = limits()["trial"]
    assert trial.trial_mb is not None
    assert lockdown.sizes(limits()["trial"], MACHINE)["tmpfs"] == {
        "/tmp": trial.tmp_mb << 20, "/trial": trial.trial_mb << 20,
    }  # fmt: skip
    assert lockdown.sizes(limit, MACHINE)["pids"] == limit.pids


@pytest.mark.parametrize(("cpus", "expected"), [(0.5, 1), (1.0, 1), (2.9, 2), (8.0, 8)])
def test_a_thread_for_each_whole_cpu(cpus: float, expected: int) -> None:
    """A program that computes is told no more threads than it has CPUs, and never none."""
    granted = lockdown.sizes(limits()["trial"], MACHINE)
    assert lockdown.threads({**granted, "cpus": cpus}) == expected


def test_trials_that_run_side_by_side_share_cores_and_memory() -> None:
    """Sets of cores divide both; several GPUs divide the memory, and alone nothing changes."""
    alone = lockdown.sizes(limits()["trial"], MACHINE)
    assert lockdown.divided(alone, MACHINE, 1, 1) == alone
    sets = lockdown.divided(alone, MACHINE, 3, 3)
    assert (sets["cpus"], lockdown.threads(sets)) == (8 // 3, 8 // 3)
    gpus = lockdown.divided(alone, MACHINE, 2, 1)
    assert gpus["cpus"] == alone["cpus"]
    for part, devices in ((sets, 3), (gpus, 2)):
        assert part["memory_bytes"] == alone["memory_bytes"] // devices


@pytest.mark.parametrize("cpuset", [None, "0-3"])
def test_a_container_has_the_cores_of_its_set(cpuset: str | None) -> None:
    """The engine is told of them, and of none for a container that has no set."""
    spec = ContainerSpec("name", "image", "run", "trial", cpuset=cpuset)
    assert lockdown.host_config(spec)["cpuset_cpus"] == cpuset


def test_podman_gets_no_option_that_it_refuses() -> None:
    """Its tmpfs takes no user by number, and gives itself to the container's."""
    asking = replace(SPEC, tmpfs={"/tmp": 1 << 20, "/trial": 2 << 20})
    docker = lockdown.host_config(asking)["tmpfs"]
    podman = lockdown.host_config(asking, "podman")["tmpfs"]
    assert "uid=1000,gid=1000,mode=0700" in docker["/trial"]
    assert podman["/tmp"] == f"{docker['/tmp']},notmpcopyup"
    assert podman["/trial"] == "rw,exec,nosuid,nodev,size=2097152,mode=0700,U,notmpcopyup"


def test_podman_adds_no_place_of_its_own() -> None:
    """Where it would put a tmpfs without a bound, the request has an empty one to read."""
    docker, podman = lockdown.host_config(SPEC), lockdown.host_config(SPEC, "podman")
    added = {path: podman["tmpfs"][path] for path in podman["tmpfs"].keys() - docker["tmpfs"]}
    assert {*added} == {"/run", "/var/tmp"}
    assert all(options.startswith("ro,") and "size=4096" in options for options in added.values())


def test_podmans_configuration_decides_what_a_request_cannot() -> None:
    """It takes no text of a profile, and one limit in a request would undo those it has."""
    podman = lockdown.host_config(SPEC, "podman")
    assert podman["security_opt"] == ["no-new-privileges"]
    assert podman["ulimits"] == []


def test_a_container_has_the_runtime_that_it_asks_for() -> None:
    """None leaves it to the engine."""
    assert lockdown.host_config(replace(SPEC, runtime="runsc"))["runtime"] == "runsc"
    assert lockdown.host_config(SPEC)["runtime"] is None
