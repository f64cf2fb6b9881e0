"""The lock as the engine reports it of a container, and as a program inside finds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest

from runner.build.images import image_tag
from runner.engine import lockdown, seccomp
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, Mount
from runner.errors import EngineError, SandboxError

INTERFACES = "import os; print(*sorted(os.listdir('/sys/class/net')))"
WRITE = """
import os
for path in ("/inside/own", "/fixed", "/tmp", "/own", "/dev/shm", "/", "/opt", "/etc"):
    try:
        open(os.path.join(path, "x"), "w").close()
        print(path)
    except OSError:
        pass
"""
MEMORY_BYTES = 64 << 20
Make = Callable[..., str]


@pytest.fixture
def spec(engine: Engine, run_id: str) -> Callable[..., ContainerSpec]:
    """Describes a container that runs a Python program, with two volumes and two tmpfs."""
    for purpose in ("work", "fixed"):
        engine.create_volume(f"bakeoff-{run_id}-{purpose}", run_id=run_id)

    def describe(program: str = "pass", **fields: Any) -> ContainerSpec:
        given: dict[str, Any] = {
            "name": f"bakeoff-{run_id}-x", "image": image_tag("base"), "run_id": run_id,
            "role": "agent", "command": ["python3", "-uc", program],
            "mounts": (
                Mount(f"bakeoff-{run_id}-work", "/inside"),
                Mount(f"bakeoff-{run_id}-fixed", "/fixed", read_only=True),
            ),
            "tmpfs": {"/tmp": 1 << 20, "/own": 2 << 20},
            "memory_bytes": MEMORY_BYTES, "cpus": 0.5, "cpu_weight": 77, "pids": 9,
            "shm_bytes": 3 << 20, "cpuset": "0",
        }  # fmt: skip
        return ContainerSpec(**{**given, **fields})

    return describe


@pytest.fixture
def inspector() -> Iterator[Any]:
    """The engine's own client, to inspect with."""
    client = docker.from_env()
    yield client.api
    client.close()


def printed(engine: Engine, spec: ContainerSpec) -> list[str]:
    """The words that a container prints until its end."""
    container = engine.create(spec)
    engine.start(container)
    state = engine.wait_exit(container, 60)
    assert state is not None
    assert state.exit_code == 0
    return b"".join(engine.logs(container)).decode().split()


# A rule of `lockdown.host_config` → where the engine reports it, and what.
HOST_RULES: dict[str, tuple[str, object]] = {
    "network_mode": ("NetworkMode", "none"),
    "read_only": ("ReadonlyRootfs", True),
    "tmpfs": (
        "Tmpfs",
        {
            "/tmp": "rw,exec,nosuid,nodev,size=1048576,mode=1777",
            "/own": "rw,exec,nosuid,nodev,size=2097152,uid=1000,gid=1000,mode=0700",
        },
    ),
    "shm_size": ("ShmSize", 3 << 20),
    "cap_drop": ("CapDrop", ["ALL"]),
    "security_opt": ("SecurityOpt", ["no-new-privileges", f"seccomp={seccomp.text()}"]),
    "pids_limit": ("PidsLimit", 9),
    "mem_limit": ("Memory", MEMORY_BYTES),
    "memswap_limit": ("MemorySwap", MEMORY_BYTES),
    "nano_cpus": ("NanoCpus", 5 * 10**8),
    "cpu_shares": ("CpuShares", 77),
    "cpuset_cpus": ("CpusetCpus", "0"),
    "ulimits": (
        "Ulimits",
        [{"Name": "core", "Soft": 0, "Hard": 0}],
    ),
    "log_config": (
        "LogConfig", {"Type": "json-file", "Config": {"max-size": "20m", "max-file": "3"}},
    ),
    "device_requests": ("DeviceRequests", []),
}  # fmt: skip
# What no rule grants, and what the engine reports of it.
NOT_GRANTED = (
    "Binds", "PortBindings", "PublishAllPorts", "Privileged", "CapAdd", "Devices", "VolumesFrom",
    "Links", "ExtraHosts", "GroupAdd", "PidMode", "UTSMode", "UsernsMode", "OomKillDisable",
)  # fmt: skip


def test_every_rule_of_the_table_is_in_force(
    engine: Engine, spec: Callable[..., ContainerSpec], run_id: str, inspector: Any
) -> None:
    """What `docker inspect` says of a container is what the table says, rule by rule."""
    assert {*lockdown.host_config(spec())} == {*HOST_RULES, "mounts", "runtime"}
    body = inspector.inspect_container(engine.create(spec()))
    host = body["HostConfig"]
    for rule, (field, value) in HOST_RULES.items():
        assert (host[field] or type(value)()) == value, rule
    assert host["Runtime"] == engine.info().default_runtime
    for field in NOT_GRANTED:
        assert not host.get(field), field
    mounts = [(m["Type"], m["Name"], m["Destination"], m["RW"]) for m in body["Mounts"]]
    assert sorted(mounts) == [
        ("volume", f"bakeoff-{run_id}-fixed", "/fixed", False),
        ("volume", f"bakeoff-{run_id}-work", "/inside", True),
    ]


def test_every_rule_about_pid_1_is_in_force(
    engine: Engine, spec: Callable[..., ContainerSpec], inspector: Any
) -> None:
    """It is uid 1000 without a terminal, and its stdin outlives the first client."""
    body = inspector.inspect_container(engine.create(spec()))["Config"]
    assert body["User"] == "1000:1000"
    assert body["Hostname"] == "agent"
    assert body["OpenStdin"]
    assert not body["StdinOnce"]
    assert not body["Tty"]
    assert body["Env"] == inspector.inspect_image(image_tag("base"))["Config"]["Env"]


@pytest.mark.parametrize("role", ["agent", "optimizer", "trial", "rehearsal", "cleanup", "nobody"])
def test_a_role_that_is_not_in_the_table_gets_no_network(
    engine: Engine, spec: Callable[..., ContainerSpec], run_id: str, role: str
) -> None:
    """The engine is not even asked for such a container."""
    with pytest.raises(SandboxError, match=role):
        engine.create(spec(role=role, network=lockdown.OWN_NETWORK))
    assert (engine.containers(run_id), engine.networks(run_id)) == ([], {})


@pytest.mark.parametrize("role", sorted(lockdown.NETWORK_ROLES))
def test_a_role_of_the_table_has_a_network_when_it_asks_for_one(
    engine: Engine, spec: Callable[..., ContainerSpec], run_id: str, role: str
) -> None:
    """From inside there is another interface than loopback, and without asking there is none."""
    asking = spec(INTERFACES, role=role, network=lockdown.OWN_NETWORK)
    assert len(printed(engine, asking)) > 1
    assert engine.networks(run_id) == {lockdown.own_network(asking.name): run_id}
    engine.remove(spec().name)
    assert engine.networks(run_id) == {}
    assert printed(engine, spec(INTERFACES, role=role)) == ["lo"]


def test_a_folder_of_the_host_cannot_be_mounted(
    engine: Engine, spec: Callable[..., ContainerSpec], run_id: str
) -> None:
    """A path in the place of a volume's name is refused."""
    with pytest.raises(EngineError, match="creating container"):
        engine.create(spec(mounts=(Mount("/etc", "/inside"),)))
    assert engine.containers(run_id) == []


def test_volumes_and_tmpfs_alone_can_be_written(
    engine: Engine, spec: Callable[..., ContainerSpec]
) -> None:
    """A read-only volume and the root cannot."""
    filled = spec()
    container = engine.create(filled)
    engine.put_files(container, "/inside", {"own/file": b""})  # a new volume belongs to root
    engine.remove(container)
    assert printed(engine, spec(WRITE)) == ["/inside/own", "/tmp", "/own", "/dev/shm"]
