"""What the containers of each role may use of the engine's machine: `runner/limits.toml`, read."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from runner.spec import Frozen, Positive, PositiveInt, read_table
from runner.wire.disk_use import DiskBound

# The purpose of each volume that a contestant fills → its role, whose table has the bound.
WATCHED = {"workspace": "agent", "home": "agent", "study": "optimizer"}
SPARE_BYTES = 1 << 30  # for a transcript, a packed repository, and what is written until the watch


class Limit(Frozen):
    """What the containers of one role may use of the engine's machine."""

    memory_mb: PositiveInt | None = None
    memory_share: Positive | None = None
    cpu_share: Positive = 1.0
    cpu_weight: PositiveInt = 1024
    pids: PositiveInt
    tmp_mb: PositiveInt
    trial_mb: PositiveInt | None = None
    output_mb: PositiveInt = 16
    shm_mb: PositiveInt = 64
    disk_mb: PositiveInt | None = None
    disk_files: PositiveInt | None = None

    @property
    def disk(self) -> DiskBound | None:
        """What the role's volumes may take together; None where nothing is watched."""
        if self.disk_mb is None or self.disk_files is None:
            return None
        return DiskBound(self.disk_mb << 20, self.disk_files)

    def memory_bytes(self, machine_bytes: int) -> int:
        """The limit in bytes: absolute if given, else the share; at most 90 % of the machine."""
        wanted = (self.memory_mb or 0) << 20 or int(machine_bytes * (self.memory_share or 0.5))
        return min(wanted, int(machine_bytes * 0.9))


@cache
def limits() -> dict[str, Limit]:
    """Limits by role, from `runner/limits.toml`."""
    table = read_table(Path(__file__).with_name("limits.toml"))
    return {role: Limit.model_validate(fields) for role, fields in table.items()}


def disk_table(role: str) -> dict[str, Any] | None:
    """The bound on a role's volumes as its `config` carries it."""
    bound = limits()[role].disk
    return None if bound is None else asdict(bound)


def volume_bytes(purpose: str) -> int | None:
    """The quota of a run's volume, for an engine that has quotas; None for those without.

    It is wider than the bound that PID 1 watches, so that a turn is ended before a write fails.
    """
    role = WATCHED.get(purpose)
    bound = None if role is None else limits()[role].disk
    return None if bound is None else bound.max_bytes + SPARE_BYTES
