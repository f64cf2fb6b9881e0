"""The lock on every container. Read this page to learn what locks an agent in.

`Engine.create` passes the engine what `host_config` and `process_config` return and, beside them,
only the image, the command, the name and the labels. So each limit and each right of each
container is a line below. There is no way around this page:
no other module asks the engine for a container.

The attack that this stops: code of an agent that wants to reach the network, the host, the key,
another run, or more than its share of the machine. The system calls are those of a profile of ours
(`seccomp.py`), stricter than the engine's. The engine's AppArmor profile stays in force, because
nothing here switches it off.

Where the sizes come from: `runner/limits.toml` has a table for each role, and `sizes` turns it
into numbers for one machine. A container that a program of ours needs for a moment (to read one
file, to try one address) has no table: it gets the small defaults of `ContainerSpec`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import docker.types

from runner.engine import seccomp
from runner.engine.containers import ContainerSpec, EngineInfo, EngineKind, Mount
from runner.errors import SandboxError
from runner.limits import Limit

UID = 1000  # the user `bakeoff` of every image; nothing of ours runs as root

NO_NETWORK, OWN_NETWORK = "none", "own"
NETWORK_SUFFIX = "-way-out"
# The only roles that may have a network, and why. All others see their own loopback alone. It is a
# network of the container's own: no other container is in it, and nobody uses the engine's bridge.
NETWORK_ROLES: Mapping[str, str] = {
    "gateway": "calls the provider's API; holds the key and runs no code of a contestant",
    "reach": "opens and closes one connection to the provider before a run; holds no key",
    "relay": "passes a baseline's bytes to the one database of its study; holds no password",
    "prepare": "downloads the data of a task that needs it; runs before any contestant",
}

# Docker's json-file driver keeps every byte unless it is told otherwise.
LOG_OPTIONS = {"max-size": "20m", "max-file": "3"}

# Podman gives a container with a read-only root a tmpfs without a bound in these places, unless
# the request has something there.
NOTHING_THERE = "ro,noexec,nosuid,nodev,size=4096,mode=0555,notmpcopyup"
PODMANS_TMPFS: Mapping[str, str] = dict.fromkeys(("/run", "/var/tmp"), NOTHING_THERE)

ULIMITS = (
    # No core file: on a host whose core pattern is a path, it would lie on a volume, with the
    # memory of the process in it; where the pattern is a program, that runs as root on the host.
    docker.types.Ulimit(name="core", soft=0, hard=0),
)


def host_config(spec: ContainerSpec, kind: EngineKind = "docker") -> dict[str, Any]:
    """What the engine grants the container, as arguments of docker-py's `create_host_config`.

    Args:
        spec: the container.
        kind: of the engine, because Podman does not know every option of Docker's.

    Raises:
        SandboxError: the container asks for a network that its role may not have.
    """
    return {
        # Network: no interface but loopback; `NETWORK_ROLES` has the exceptions. No port is
        # published, because no line here asks for one.
        "network_mode": _network(spec),
        # Files: the root is read-only. Writable are named volumes and tmpfs; a folder of the host
        # cannot be mounted (no bind mounts), so neither can the engine's socket.
        "read_only": True,
        "mounts": [_volume(mount) for mount in spec.mounts],
        "tmpfs": {
            **{path: _tmpfs_options(path, size, kind) for path, size in spec.tmpfs.items()},
            **(PODMANS_TMPFS if kind == "podman" else {}),
        },
        "shm_size": spec.shm_bytes,  # /dev/shm
        # Rights: no capability, and no program (setuid or other) can gain one.
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges", *_system_calls(kind)],
        # Shares of the machine. Equal bounds mean no swap: `memswap_limit` is memory plus swap.
        "pids_limit": spec.pids,
        "mem_limit": spec.memory_bytes,
        "memswap_limit": spec.memory_bytes,
        "nano_cpus": int(spec.cpus * 1e9),
        "cpu_shares": spec.cpu_weight,
        "cpuset_cpus": spec.cpuset,  # the cores of a trial that has a set of them to itself
        "ulimits": _ulimits(kind),
        # Log: 60 MB on the engine's disk, however much is printed.
        "log_config": docker.types.LogConfig(type="json-file", config=LOG_OPTIONS),
        # The kernel that it sees: the machine's own, or gVisor's where a run asks for it.
        "runtime": spec.runtime,
        # Devices: none but the GPU of a trial that was given one.
        "device_requests": _gpu(spec),
    }


def process_config(spec: ContainerSpec) -> dict[str, Any]:
    """What PID 1 is, as arguments of docker-py's `create_container`."""
    return {
        "user": f"{UID}:{UID}",
        "hostname": spec.role,  # says nothing of the machine or the run
        # The environment is the image's own. docker-py would add the user's proxies, passwords
        # included; `api.py` keeps it from that as well.
        "use_config_proxy": False,
        # Stdin stays open for `start` and later messages, and there is no terminal. Without
        # `detach`, docker-py would close PID 1's stdin when the first client hangs up.
        "stdin_open": True,
        "detach": True,
    }


class Sizes(TypedDict):
    """The fields of a `ContainerSpec` that `runner/limits.toml` decides."""

    tmpfs: dict[str, int]
    memory_bytes: int
    cpus: float
    cpu_weight: int
    pids: int
    shm_bytes: int


def sizes(limit: Limit, machine: EngineInfo) -> Sizes:
    """The sizes of a role's container on the engine's machine.

    Args:
        limit: the role's table in `runner/limits.toml`.
        machine: the engine's machine, whose memory and CPUs are shared out.
    """
    folders_mb = {"/tmp": limit.tmp_mb, "/trial": limit.trial_mb}
    return {
        "tmpfs": {path: size_mb << 20 for path, size_mb in folders_mb.items() if size_mb},
        "memory_bytes": limit.memory_bytes(machine.memory_bytes),
        "cpus": machine.cpus * limit.cpu_share,
        "cpu_weight": limit.cpu_weight,
        "pids": limit.pids,
        "shm_bytes": limit.shm_mb << 20,
    }


def divided(granted: Sizes, machine: EngineInfo, devices: int, cpu_sets: int) -> Sizes:
    """The sizes of a trial's container where others of the same run train beside it.

    Args:
        granted: what one trial alone has.
        machine: the engine's machine.
        devices: how many trials may run at a time: they share the memory.
        cpu_sets: into how many sets the cores are divided: each trial has one.
    """
    cores = granted["cpus"] if cpu_sets == 1 else min(granted["cpus"], machine.cpus // cpu_sets)
    return {**granted, "memory_bytes": granted["memory_bytes"] // devices, "cpus": float(cores)}


def threads(granted: Sizes) -> int:
    """How many threads a program computes with in a container of these sizes; at least one."""
    return max(1, int(granted["cpus"]))


def own_network(container: str) -> str:
    """The name of the network of a container: `networks.py` makes and removes it."""
    return container + NETWORK_SUFFIX


def _network(spec: ContainerSpec) -> str:
    """The container's network, which is `none` or, for a role that may have one, its own."""
    allowed = (NO_NETWORK, OWN_NETWORK) if spec.role in NETWORK_ROLES else (NO_NETWORK,)
    if spec.network not in allowed:
        raise SandboxError(
            f"creating container {spec.name}: the role {spec.role!r} may not have the network "
            f"{spec.network!r}, only {' or '.join(allowed)}",
            hint="NETWORK_ROLES in runner/engine/lockdown.py lists those that may have a network",
        )
    return NO_NETWORK if spec.network == NO_NETWORK else own_network(spec.name)


def _system_calls(kind: EngineKind) -> list[str]:
    """The option for our seccomp profile: its text.

    Podman takes no text, only the path of a file on its own machine: there its containers.conf
    decides (docs/engines.md).
    """
    return [] if kind == "podman" else [f"seccomp={seccomp.text()}"]


def _ulimits(kind: EngineKind) -> list[docker.types.Ulimit]:
    """The limits on a process.

    Podman forgets the limits of its configuration where a request has one, and then raises the
    number of open files and of processes to the kernel's most, which a machine without
    CAP_SYS_RESOURCE refuses: there its containers.conf decides these too.
    """
    return [] if kind == "podman" else [*ULIMITS]


def _volume(mount: Mount) -> docker.types.Mount:
    """A mount of a named volume; the engine refuses a path in the place of the name."""
    return docker.types.Mount(mount.target, mount.volume, type="volume", read_only=mount.read_only)


def _tmpfs_options(path: str, size_bytes: int, kind: EngineKind) -> str:
    """Mount options: /tmp is open to all users of the container, any other belongs to ours.

    Podman 4 refuses `uid` and `gid`; `U` gives the folder to the container's user there. Its
    `notmpcopyup` keeps the image's files out of the folder, as Docker's engine does.
    """
    common = f"rw,exec,nosuid,nodev,size={size_bytes}"
    if path == "/tmp":
        rights = "mode=1777"
    else:
        rights = "mode=0700,U" if kind == "podman" else f"uid={UID},gid={UID},mode=0700"
    return f"{common},{rights}" + ",notmpcopyup" * (kind == "podman")


def _gpu(spec: ContainerSpec) -> list[docker.types.DeviceRequest]:
    if spec.gpu is None:
        return []
    return [docker.types.DeviceRequest(device_ids=[spec.gpu], capabilities=[["gpu"]])]
