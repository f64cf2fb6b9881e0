"""What the engine is asked to make, and how it reports what there is: plain frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class EngineInfo:
    """What the engine is and has."""

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
    """A container as Bakeoff makes them: locked unless a field says otherwise.

    `tmpfs` maps a path to its size in bytes; `network` is "none" or "bridge"; `cpu_weight` is the
    share of a contended CPU against others' (1024 is the engine's default).
    """

    name: str
    image: str
    run_id: str
    role: str
    command: list[str] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    tmpfs: Mapping[str, int] = field(default_factory=dict)
    network: str = "none"
    memory_bytes: int = 1 << 30
    cpus: float = 1.0
    cpu_weight: int = 1024
    pids: int = 256
    shm_bytes: int = 64 << 20
    gpu: str | None = None


@dataclass(frozen=True)
class ContainerState:
    """A container as the engine reports it now."""

    id: str
    name: str
    run_id: str
    role: str
    status: str
    exit_code: int
    oom_killed: bool
    image: str
    created: str


@dataclass(frozen=True)
class VolumeState:
    """A volume of ours: of a run (`run_id`) or a task's data (`data`)."""

    name: str
    run_id: str
    data: str
