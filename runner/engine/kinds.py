"""What kind of engine answers, and which runtimes its containers can have.

Docker's own engine and Podman's Docker-compatible socket serve; docs/engines.md says how they
differ. A runtime makes a container of what the engine asks for. runc and crun give it the machine's
own kernel. gVisor (`runsc`) puts a second kernel in between, written for that purpose.

The attack that this stops: a run whose bounds are believed and do not hold. A runtime that was told
to ignore control groups sets no bound on memory, processes and processors, and says so nowhere but
in its entry of the engine's configuration (`Runtime.bounds_hold`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from runner.engine.containers import EngineInfo, EngineKind, Runtime
from runner.errors import EngineError
from runner.records.runtime import RuntimeRecord

# Docker Engine 20.10 is the oldest that will do, and 1.41 is its API. Podman has numbers of its
# own (4.3.1 serves API 1.41), so what an engine speaks is compared and not what it is called.
MINIMUM_API, MINIMUM_DOCKER = (1, 41), "20.10"

# What decides whether two machines are the same where an engine has no id of its own.
PODMAN_MACHINE = ("Name", "DockerRootDir", "NCPU", "MemTotal", "Architecture", "OSType")


def check_version(answer: Mapping[str, Any]) -> None:
    """Refuse an engine whose API is older than `MINIMUM_API`; one that names none passes.

    Args:
        answer: the engine's answer to `GET /version`.

    Raises:
        EngineError: the engine is too old.
    """
    numbers = re.match(r"(\d+)\.(\d+)", str(answer.get("ApiVersion", "")))
    if numbers and (int(numbers[1]), int(numbers[2])) < MINIMUM_API:
        needed = "{}.{}".format(*MINIMUM_API)
        raise EngineError(
            f"connecting to the engine: its version {answer.get('Version', '')} is too old: it "
            f"speaks API {numbers[0]}, and {needed} is needed",
            hint=f"install version {MINIMUM_DOCKER} or newer of Docker's engine, or Podman 4.3 or "
            "newer",
        )


def engine_kind(answer: Mapping[str, Any]) -> EngineKind:
    """Which program answers, by the components that it names.

    Args:
        answer: the engine's answer to `GET /version`.
    """
    named = [str(part.get("Name", "")) for part in answer.get("Components") or ()]
    return "podman" if any("podman" in name.lower() for name in named) else "docker"


def engine_info(kind: EngineKind, info: Mapping[str, Any]) -> EngineInfo:
    """What the engine and its machine are.

    Args:
        kind: of the engine.
        info: the engine's answer to `GET /info`.
    """
    security = tuple(map(str, info.get("SecurityOptions") or ()))
    return EngineInfo(
        id=machine_id(kind, info),
        version=str(info.get("ServerVersion", "")),
        cpus=int(info["NCPU"]),
        memory_bytes=int(info["MemTotal"]),
        gpus="nvidia" in (info.get("Runtimes") or {}),
        kind=kind,
        runtimes=runtimes(kind, info),
        default_runtime=str(info.get("DefaultRuntime", "")),
        rootless=any(option.startswith("name=rootless") for option in security),
        seccomp=_seccomp(security),
    )


def machine_id(kind: EngineKind, info: Mapping[str, Any]) -> str:
    """What tells the engine's machine from others, the same at each call.

    Podman answers with another random `ID` each time (pkg/api/handlers/compat/info.go), by which
    every run would be on a machine of its own. What it says of the machine stands in its place.
    """
    if kind == "docker":
        return str(info.get("ID", ""))
    known = "\0".join(str(info.get(name, "")) for name in PODMAN_MACHINE)
    return f"podman-{hashlib.sha256(known.encode()).hexdigest()[:16]}"


def runtimes(kind: EngineKind, info: Mapping[str, Any]) -> tuple[Runtime, ...]:
    """The runtimes that a container can be given, in the order of their names.

    Podman lists runtimes that are not installed, and takes none from a request: a container there
    has the one of its configuration, which is therefore the only one.
    """
    found = info.get("Runtimes") or {}
    default = str(info.get("DefaultRuntime", ""))
    names = sorted(found) if kind == "docker" else [default]
    return tuple(Runtime(name, _options(found.get(name))) for name in names if name)


def runtime_record(machine: EngineInfo, asked: str | None) -> RuntimeRecord:
    """What is kept of the runtime that a run's containers have, which asked for `asked`."""
    used = machine.runtime(asked)
    return RuntimeRecord(
        name=used.name,
        options=used.options,
        is_native=used.is_native,
        bounds_hold=used.bounds_hold,
    )


def _options(entry: Any) -> tuple[str, ...]:
    """The arguments that the engine gives a runtime; none where it does not tell them."""
    body = entry if isinstance(entry, Mapping) else {}
    return tuple(map(str, body.get("runtimeArgs") or ()))


def _seccomp(security: tuple[str, ...]) -> str:
    """The profile that containers have unless they ask for one; "" for none."""
    for option in security:
        fields = dict(part.partition("=")[::2] for part in option.split(","))
        if fields.get("name") == "seccomp":
            return fields.get("profile", "default")
    return ""
