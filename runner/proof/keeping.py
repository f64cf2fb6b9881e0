"""What a proof depends on, as a key, and the slow findings that are kept under it.

Invariant: a finding is told of a container only if nothing that decides it has changed: the image,
what the engine is asked for, the engine, its kernel, the boot of its machine, and the probes. Slow
probes depend on no volume, so the key of a box leaves volumes out; a run's own names are left out
too.

They lie in a folder of this machine, open to all its users, who share its engine as well.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from runner.engine import lockdown
from runner.engine.containers import ContainerSpec, EngineKind
from runner.errors import HostError
from runner.records.containment import Finding
from runner.records.files import explained, write_whole
from runner.records.layout import shared_folder, shared_path

FOLDER = "bakeoff-proofs"
KEY_DIGITS = 32
MAX_BYTES = 4 << 20
_FINDINGS = TypeAdapter(tuple[Finding, ...])


@dataclass(frozen=True)
class Machine:
    """The engine and its machine.

    Attributes:
        engine: its id and version.
        kernel: as it is seen from inside.
        boot: the id of the boot.
        kind: of the engine, because the options of a container differ by it.
    """

    engine: str
    kernel: str
    boot: str
    kind: EngineKind = "docker"


def configuration(spec: ContainerSpec, kind: EngineKind = "docker") -> str:
    """The SHA-256 of what an engine of this kind is asked for, but for the names of a run."""
    asked = {
        "host": lockdown.host_config(_nameless(spec), kind),
        "process": lockdown.process_config(spec),
        "role": spec.role,
    }
    text = json.dumps(asked, sort_keys=True, default=str)
    return hashlib.sha256(text.replace(spec.run_id or "\0", "RUN").encode()).hexdigest()


def _nameless(spec: ContainerSpec) -> ContainerSpec:
    """The container with its volumes called after their places."""
    mounts = tuple(replace(mount, volume=f"at{mount.target}") for mount in spec.mounts)
    return replace(spec, name="box", mounts=mounts)


def box_key(digest: str, spec: ContainerSpec, machine: Machine, probes: str) -> str:
    """The key of all that a slow finding about a container depends on, 32 hex digits.

    Args:
        digest: of its image.
        spec: the container.
        machine: where it is.
        probes: the text of the program that tries the lock.
    """
    without_volumes = replace(spec, mounts=())
    asked = configuration(without_volumes, machine.kind)
    decisive = [digest, asked, machine.engine, machine.kernel]
    return _digest([*decisive, machine.boot, probes])


def proof_key(boxes: Iterable[tuple[str, str, str]], machine: Machine) -> str:
    """The key of a whole proof, 32 hex digits.

    Args:
        boxes: role, image and configuration of each container.
        machine: where they are.
    """
    parts = [part for box in sorted(boxes) for part in box]
    return _digest([*parts, machine.engine, machine.kernel, machine.boot])


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:KEY_DIGITS]


def keep(key: str, findings: tuple[Finding, ...]) -> None:
    """Keep the slow findings about a container.

    Raises:
        HostError: they cannot be written.
    """
    path = shared_folder(FOLDER) / f"{key}.json"
    with explained(path):
        write_whole(path, _FINDINGS.dump_json(findings).decode())


def kept(key: str, role: str) -> tuple[Finding, ...]:
    """The slow findings under a key, told of a role; none where nothing whole is kept."""
    path = shared_path(FOLDER) / f"{key}.json"
    try:
        found = _FINDINGS.validate_json(_read(path))
    except (OSError, ValidationError, HostError):
        return ()
    return tuple(one.model_copy(update={"role": role}) for one in found)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES)
