"""What the engine is asked to make, and how it reports what there is: plain frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class EngineInfo:
    """What the engine is, and what its machine has."""

    id: str
    version: str
    cpus: int
    memory_bytes: int
    gpus: bool


@dataclass(frozen=True)
class Mount:
    """A named volume inside a container."""

    volume: str
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class ContainerSpec:
    """A container as Bakeoff makes them. `lockdown.py` says what is true of every one of them.

    Attributes:
        name: its name on the engine.
        image: a tag or a content id.
        run_id: the run that it belongs to, for its label.
        role: what it is in that run, for its label and for its right to a network.
        command: the image's own where it is None.
        entrypoint: the image's own where it is None.
        mounts: the named volumes in it.
        tmpfs: path → size in bytes.
        network: "none", or "own" for a role that may have one (`lockdown.py`).
        memory_bytes: its memory; it has no swap.
        cpus: how many CPUs it may keep busy.
        cpu_weight: its share of a contended CPU against others' (1024 is the engine's default).
        pids: how many processes and threads it may have.
        shm_bytes: the size of /dev/shm.
        gpu: the number of the one GPU that it may use.
        cpuset: the cores that it may use, such as "0-3"; None for all of them.
    """

    name: str
    image: str
    run_id: str
    role: str
    command: list[str] | None = None
    entrypoint: list[str] | None = None
    mounts: tuple[Mount, ...] = ()
    tmpfs: Mapping[str, int] = field(default_factory=dict)
    network: str = "none"
    memory_bytes: int = 1 << 30
    cpus: float = 1.0
    cpu_weight: int = 1024
    pids: int = 256
    shm_bytes: int = 64 << 20
    gpu: str | None = None
    cpuset: str | None = None


@dataclass(frozen=True)
class ContainerState:
    """A container as the engine reports it now; `started_at` tells its lives apart."""

    id: str
    name: str
    run_id: str
    role: str
    status: str
    exit_code: int
    oom_killed: bool
    started_at: str = ""


@dataclass(frozen=True)
class VolumeState:
    """A volume of ours: of a run (`run_id`) or a task's data (`data`)."""

    name: str
    run_id: str
    data: str
