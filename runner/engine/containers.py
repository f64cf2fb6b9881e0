"""What the engine is asked to make, and how it reports what there is: plain frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

EngineKind = Literal["docker", "podman"]

# Of runsc: it makes no control group for the container (runsc/config/flags.go).
IGNORES_CGROUPS = ("ignore-cgroups", "ignore-cgroups=true")
NATIVE_RUNTIMES = ("runc", "crun", "nvidia", "youki")  # containers on the machine's own kernel


@dataclass(frozen=True)
class Runtime:
    """A program that makes containers, by the engine's name for it.

    Attributes:
        name: such as runc or runsc.
        options: what the engine's configuration gives it on its command line.
    """

    name: str
    options: tuple[str, ...] = ()

    @property
    def is_native(self) -> bool:
        """Whether a container shares the kernel of the engine's machine."""
        named_by_containerd = self.name.startswith("io.containerd.runc")
        return not self.name or named_by_containerd or self.name in NATIVE_RUNTIMES

    @property
    def bounds_hold(self) -> bool:
        """Whether memory, processes and processors are bounded, as far as its options tell."""
        return not any(option.lstrip("-") in IGNORES_CGROUPS for option in self.options)


@dataclass(frozen=True)
class EngineInfo:
    """What the engine is, and what its machine has.

    Attributes:
        id: of its machine.
        version: of the engine, in the numbers of its kind.
        cpus: how many its machine has.
        memory_bytes: of its machine.
        gpus: whether containers can be given a GPU.
        kind: whose engine it is.
        runtimes: what a container can be made by.
        default_runtime: the name of the one that a container has unless it asks for another.
        rootless: it runs without root's rights.
        seccomp: its name for the profile that containers have unless they bring one; "" for none.
    """

    id: str
    version: str
    cpus: int
    memory_bytes: int
    gpus: bool
    kind: EngineKind = "docker"
    runtimes: tuple[Runtime, ...] = ()
    default_runtime: str = ""
    rootless: bool = False
    seccomp: str = ""

    def runtime(self, asked: str | None) -> Runtime:
        """The runtime that a container has which asks for `asked`, or for none."""
        name = asked or self.default_runtime
        return next((each for each in self.runtimes if each.name == name), Runtime(name))


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
        runtime: what makes it, by the engine's name, such as "runsc"; None for the engine's own.
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
    runtime: str | None = None


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
