"""Each rule of the lock, weakened in turn: the proof notices it, and names what got through."""

from __future__ import annotations

import contextlib
import itertools
import os
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import docker
import docker.types
import pytest

from runner.build.images import image_tag
from runner.engine import lockdown
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, Mount
from runner.proof import answers, outside
from runner.proof.program import argv, expected, parameters
from runner.records.layout import LABEL_ROLE, LABEL_RUN

AT_ONCE = 4
SECONDS = 600
MIB = 1 << 20
SOCKET = urlsplit(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")).path
FIXED = "/fixed"

# A rule of `host_config` or `process_config`, what is made of it, and the probe that notices.
Weak = dict[str, Any]
WEAKENED: dict[str, tuple[str, Weak, str]] = {
    "a network": ("network_mode", {"network_mode": "bridge"}, "interfaces"),
    "the network of the host": ("network_mode", {"network_mode": "host"}, "routes"),
    "a capability": ("cap_drop", {"cap_add": ["NET_RAW"]}, "capabilities that are left"),
    "a foreign volume": ("mounts", {"more": ("foreign", "/foreign", "volume", False)},
                         "mounts that nobody asked for"),
    "a folder of the host": ("mounts", {"more": ("/etc", "/host", "bind", True)},
                             "files of the host"),
    "the engine's socket": ("mounts", {"more": (SOCKET, "/var/run/docker.sock", "bind", False)},
                            "sockets in usual places"),
    "a volume that is not read-only": ("mounts", {"writable": FIXED},
                                       "what should be read-only is not"),
    "a writable root": ("read_only", {"read_only": False}, "the root is writable"),
    "more processes": ("pids_limit", {"pids_limit": 500}, "processes"),
    "more memory": ("mem_limit", {"mem_limit": 512 * MIB, "memswap_limit": 512 * MIB}, "memory"),
    "swap": ("memswap_limit", {"memswap_limit": 1024 * MIB}, "swap"),
    "more processors": ("nano_cpus", {"nano_cpus": int(1.5e9)}, "processors"),
    "more weight": ("cpu_shares", {"cpu_shares": 4096}, "weight of contended processors"),
    "other cores": ("cpuset_cpus", {"cpuset_cpus": "0-1"}, "cores"),
    "no filter of system calls": (
        "security_opt", {"security_opt": ["no-new-privileges", "seccomp=unconfined"]},
        "no filter of system calls"),
    "new privileges": ("security_opt", {"security_opt": []}, "no_new_privs is missing"),
    "a large tmpfs": ("tmpfs", {"tmpfs": {"/tmp": "rw,nosuid,nodev,size=64m,mode=1777"}},
                      "size of tmpfs"),
    "a tmpfs with setuid files": ("tmpfs", {"tmpfs": {"/tmp": "rw,suid,nodev,size=8m,mode=1777"}},
                                  "setuid files and devices on tmpfs"),
    "more shared memory": ("shm_size", {"shm_size": 128 * MIB}, "size of tmpfs"),
    "a device": ("device_requests", {"devices": ["/dev/null:/dev/probe:rwm"]}, "devices in /dev"),
    "the host's processes": ("network_mode", {"pid_mode": "host"}, "processes of others"),
    "a group of root": ("cap_drop", {"group_add": ["0"]}, "user and groups"),
    "core dumps": ("ulimits", {"ulimits": [docker.types.Ulimit(name="core", soft=-1, hard=-1)]},
                   "core dumps"),
    "root": ("user", {"user": "0:0"}, "user and groups"),
    "a name that tells": ("hostname", {"hostname": "machine-of-somebody"},
                          "a host name that tells something"),
    "a proxy": ("use_config_proxy", {"environment": {"HTTPS_PROXY": "http://user:x@proxy"}},
                "secrets in the environment"),
}  # fmt: skip
OF_PID_1 = {"user", "hostname", "use_config_proxy", "environment"}
# Rules of which nothing is to be seen from inside: where a log goes (tried below), and what PID 1
# is spoken to through.
# A runtime is a choice and no weakening: tests/engines has what differs under gVisor.
NOT_FROM_INSIDE = {"log_config", "stdin_open", "detach", "runtime"}


@pytest.fixture(scope="module")
def box(engine: Engine) -> Iterator[ContainerSpec]:
    """A small container as Bakeoff makes them, with a volume of its own and one to read."""
    run_id = f"test-{uuid.uuid4().hex[:8]}"
    for purpose in ("work", "fixed"):
        engine.create_volume(f"bakeoff-{run_id}-{purpose}", run_id=run_id)
    yield ContainerSpec(
        name=f"bakeoff-{run_id}-weak", image=image_tag("agent-codex"), run_id=run_id, role="agent",
        mounts=(Mount(f"bakeoff-{run_id}-work", "/workspace"),
                Mount(f"bakeoff-{run_id}-fixed", FIXED, read_only=True)),
        tmpfs={"/tmp": 8 * MIB}, memory_bytes=256 * MIB, cpus=1.0, cpu_weight=1024, pids=64,
        shm_bytes=16 * MIB, cpuset="0",
    )  # fmt: skip
    for state in engine.containers(run_id):
        engine.remove(state.id)
    for volume in engine.volumes(run_id):
        engine.remove_volume(volume.name)


@pytest.fixture(scope="module")
def api() -> Iterator[Any]:
    """The engine's own client: the lock's page would not let a weak container through."""
    client = docker.from_env(timeout=SECONDS)
    yield client.api
    client.close()


def weak_mounts(box: ContainerSpec, weak: Weak) -> list[docker.types.Mount]:
    """The mounts of the container, with one more or one that is writable."""
    mounts = [
        docker.types.Mount(
            mount.target, mount.volume, type="volume",
            read_only=mount.read_only and mount.target != weak.get("writable"),
        )
        for mount in box.mounts
    ]  # fmt: skip
    if "more" in weak:
        source, target, kind, read_only = weak["more"]
        source = source if kind == "bind" else box.mounts[0].volume
        mounts.append(docker.types.Mount(target, source, type=kind, read_only=read_only))
    return mounts


def created(api: Any, box: ContainerSpec, name: str, weak: Weak, program: list[str]) -> str:
    """A container of the box whose lock is weakened."""
    own = {"more", "writable"}
    of_host = {key: value for key, value in weak.items() if key not in OF_PID_1 | own}
    of_pid_1 = {key: value for key, value in weak.items() if key in OF_PID_1}
    host = {**lockdown.host_config(box), "mounts": weak_mounts(box, weak), **of_host}
    process = {**lockdown.process_config(box), **of_pid_1}
    if host["network_mode"] == "host":
        process.pop("hostname")
    made = api.create_container(
        box.image, name=name, entrypoint=program,
        labels={LABEL_RUN: box.run_id, LABEL_ROLE: box.role},
        host_config=api.create_host_config(**host), **process,
    )  # fmt: skip
    return str(made["Id"])


def not_held(api: Any, box: ContainerSpec, number: int, weak: Weak) -> set[str]:
    """The probes that do not hold in a container that is weakened like this."""
    told = parameters(box, "quick")
    container = created(api, box, f"{box.name}-{number}", weak, argv(told))
    api.start(container)
    api.wait(container, timeout=SECONDS)
    lines = api.logs(container, stdout=True, stderr=True).decode().splitlines()
    api.remove_container(container, force=True, v=True)
    found = answers.read("weak", expected(told), lines).findings
    return {one.probe for one in found if one.outcome != "held"}


@pytest.fixture(scope="module")
def noticed(box: ContainerSpec, api: Any) -> Mapping[str, set[str]]:
    """The probes that do not hold, by what was weakened; "" for the lock as it is."""
    cases: dict[str, Weak] = {"": {}, **{name: weak for name, (_, weak, _) in WEAKENED.items()}}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        asked = {
            name: pool.submit(not_held, api, box, number, weak)
            for number, (name, weak) in enumerate(cases.items())
        }
        return {name: one.result() for name, one in asked.items()}


def test_the_lock_as_it_is_holds(noticed: Mapping[str, set[str]]) -> None:
    """Without a weakened rule every probe holds."""
    assert noticed[""] == set()


@pytest.mark.parametrize("name", WEAKENED)
def test_a_weakened_rule_is_noticed(name: str, noticed: Mapping[str, set[str]]) -> None:
    """The probe of that rule does not hold, and it holds without the weakening."""
    _, _, probe = WEAKENED[name]
    assert probe in noticed[name]
    assert probe not in noticed[""]


def test_a_copy_out_of_a_container_weakens_nothing(engine: Engine, box: ContainerSpec) -> None:
    """During a `docker cp` older engines mount each volume twice; all that held still holds."""
    told = parameters(box, "quick")
    waiting = ["sh", "-c", 'read -r go; exec "$@"', "sh", *argv(told)]
    spec = replace(box, name=f"{box.name}-copied", entrypoint=waiting)
    with contextlib.ExitStack() as made:
        container = engine.create(spec)
        made.callback(engine.remove, container)
        channel = engine.attach(container)
        made.callback(channel.close)
        engine.start(container)
        copy = engine.get_archive(container, "/usr")  # more than pipes hold: it stands still
        made.callback(copy.close)
        next(copy)
        channel.send(b"go\n")
        printed = (line for is_stdout, line in channel.lines() if is_stdout)
        # Not until its end: the engine notices that only when the copy is over.
        lines = list(itertools.islice(printed, 1 + len(expected(told))))
    found = answers.read("weak", expected(told), lines).findings
    assert {one.probe for one in found if one.outcome != "held"} == set()


def test_every_rule_was_weakened(box: ContainerSpec) -> None:
    """No rule of the lock is left out but those of which nothing is to be seen from inside."""
    rules = {*lockdown.host_config(box), *lockdown.process_config(box)}
    assert rules - {rule for rule, _, _ in WEAKENED.values()} == NOT_FROM_INSIDE


def test_a_log_without_a_bound_is_noticed(engine: Engine, api: Any, box: ContainerSpec) -> None:
    """What a container prints is kept without end, unless its configuration bounds it."""
    told = parameters(box, "quick")
    program = argv({**told, "targets": [], "log_megabytes": outside.LOG_MEGABYTES})
    weak = {"log_config": docker.types.LogConfig(type="json-file", config={})}
    outcomes = {}
    for name, change in (("bounded", {}), ("unbounded", weak)):
        container = created(api, box, f"{box.name}-{name}", change, program)
        api.start(container)
        api.wait(container, timeout=SECONDS)
        outcomes[name] = outside.log_finding("weak", engine, container).outcome
        api.remove_container(container, force=True, v=True)
    assert outcomes == {"bounded": "held", "unbounded": "broken"}
