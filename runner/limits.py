"""What the containers of each role may use of the engine's machine: `runner/limits.toml`, read."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from runner.spec import Frozen, Positive, PositiveInt, read_table


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

    def memory_bytes(self, machine_bytes: int) -> int:
        """The limit in bytes: absolute if given, else the share; at most 90 % of the machine."""
        wanted = (self.memory_mb or 0) << 20 or int(machine_bytes * (self.memory_share or 0.5))
        return min(wanted, int(machine_bytes * 0.9))


@cache
def limits() -> dict[str, Limit]:
    """Limits by role, from `runner/limits.toml`."""
    table = read_table(Path(__file__).with_name("limits.toml"))
    return {role: Limit.model_validate(fields) for role, fields in table.items()}
