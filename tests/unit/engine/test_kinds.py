"""What an engine says of itself: its kind, its version, its machine, its runtimes."""

from __future__ import annotations

from typing import Any

import pytest

from runner.engine.containers import EngineInfo, Runtime
from runner.engine.kinds import (
    check_version,
    engine_info,
    engine_kind,
    machine_id,
    runtime_record,
    runtimes,
)
from runner.errors import EngineError

# What engines answered, cut to what is read of it: Docker 20.10.24 and Podman 4.3.1.
DOCKER_VERSION: dict[str, Any] = {
    "Version": "20.10.24+dfsg1", "ApiVersion": "1.41",
    "Components": [{"Name": "Engine"}, {"Name": "containerd"}, {"Name": "runc"}],
}  # fmt: skip
PODMAN_VERSION: dict[str, Any] = {
    "Version": "4.3.1", "ApiVersion": "1.41",
    "Components": [{"Name": "Podman Engine"}, {"Name": "Conmon"}],
}  # fmt: skip
MACHINE: dict[str, Any] = {"NCPU": 2, "MemTotal": 25 << 30, "ServerVersion": "20.10.24"}
RUNSC = {"path": "runsc", "runtimeArgs": ["--platform=ptrace", "--ignore-cgroups"]}
DOCKER_INFO: dict[str, Any] = {
    **MACHINE, "ID": "GSG2:O2IO", "DefaultRuntime": "runc",
    "Runtimes": {"runc": {"path": "runc"}, "runsc": RUNSC},
    "SecurityOptions": ["name=seccomp,profile=default"],
}  # fmt: skip
PODMAN_INFO: dict[str, Any] = {
    **MACHINE, "ID": "another at each call", "Name": "vm", "DockerRootDir": "/var/lib/containers",
    "DefaultRuntime": "runc", "Runtimes": {"crun": {"path": ""}, "runc": {"path": ""}},
    "SecurityOptions": ["name=seccomp,profile=default", "name=rootless"],
}  # fmt: skip


@pytest.mark.parametrize("api", ["1.40", "1.24", "0.9"])
def test_an_engine_that_is_too_old_is_refused(api: str) -> None:
    """The error names its version and its API, the hint the oldest that will do."""
    with pytest.raises(EngineError, match=rf"19\.03\.15.*{api}") as caught:
        check_version({"Version": "19.03.15", "ApiVersion": api})
    assert "20.10" in caught.value.hint
    assert "Podman" in caught.value.hint


@pytest.mark.parametrize(
    "answer",
    [DOCKER_VERSION, PODMAN_VERSION, {"Version": "29.1", "ApiVersion": "1.52"},
     {"ApiVersion": "2.0"}, {"ApiVersion": ""}, {"Version": "dev"}, {}],
)  # fmt: skip
def test_a_newer_or_unreadable_version_passes(answer: dict[str, Any]) -> None:
    """Only an API that is certainly too old is refused, whatever number the engine has."""
    check_version(answer)


def test_the_kind_of_an_engine_is_told_by_its_components() -> None:
    """Podman names itself there; whoever names nothing counts as Docker's."""
    assert engine_kind(PODMAN_VERSION) == "podman"
    assert engine_kind(DOCKER_VERSION) == "docker"
    assert engine_kind({"Components": None}) == "docker"
    assert engine_kind({}) == "docker"


def test_a_machine_of_podman_is_the_same_at_each_call() -> None:
    """Its random ID is left out; another name, folder or size is another machine."""
    again = {**PODMAN_INFO, "ID": "yet another"}
    assert machine_id("podman", again) == machine_id("podman", PODMAN_INFO)
    for other in ({"Name": "other"}, {"DockerRootDir": "/srv"}, {"NCPU": 4}):
        assert machine_id("podman", PODMAN_INFO | other) != machine_id("podman", PODMAN_INFO)
    assert machine_id("docker", DOCKER_INFO) == "GSG2:O2IO"


def test_the_runtimes_are_those_that_a_container_can_have() -> None:
    """Docker's engine lists them with their options; Podman gives its own one alone."""
    assert runtimes("docker", DOCKER_INFO) == (
        Runtime("runc"),
        Runtime("runsc", ("--platform=ptrace", "--ignore-cgroups")),
    )
    assert runtimes("podman", PODMAN_INFO) == (Runtime("runc"),)
    assert runtimes("docker", MACHINE) == ()


def test_what_an_engine_is() -> None:
    """Kind, size, default runtime, rights and profile come from its own answer."""
    podman = engine_info("podman", PODMAN_INFO)
    assert (podman.kind, podman.cpus, podman.rootless) == ("podman", 2, True)
    docker = engine_info("docker", DOCKER_INFO)
    assert (docker.default_runtime, docker.seccomp, docker.rootless) == ("runc", "default", False)
    assert engine_info("docker", MACHINE).seccomp == ""


@pytest.mark.parametrize(
    ("name", "native"),
    [("runc", True), ("crun", True), ("io.containerd.runc.v2", True), ("nvidia", True),
     ("", True), ("runsc", False), ("kata", False)],
)  # fmt: skip
def test_which_runtimes_share_the_machines_kernel(name: str, native: bool) -> None:
    """An unknown name is taken for one with a kernel of its own; no name for the engine's."""
    assert Runtime(name).is_native == native


@pytest.mark.parametrize(
    ("options", "hold"),
    [((), True), (("--platform=ptrace",), True), (("--ignore-cgroups",), False),
     (("-ignore-cgroups",), False), (("--ignore-cgroups=true",), False),
     (("--ignore-cgroups=false",), True)],
)  # fmt: skip
def test_bounds_hold_unless_control_groups_are_ignored(
    options: tuple[str, ...], hold: bool
) -> None:
    """However gVisor's flag is written."""
    assert Runtime("runsc", options).bounds_hold == hold


def test_the_record_of_a_run_has_the_runtime_that_it_used() -> None:
    """What was asked for, else the engine's own; one that it does not list has no options."""
    machine: EngineInfo = engine_info("docker", DOCKER_INFO)
    asked = runtime_record(machine, "runsc")
    assert (asked.name, asked.is_native, asked.bounds_hold) == ("runsc", False, False)
    assert runtime_record(machine, None).name == "runc"
    assert runtime_record(machine, "kata").options == ()
