"""The names of devices, and which of them are the same cores.

A device is a GPU (`gpu-1`), all cores of the engine's machine (`cpu`), or some of them
(`cores-0-3`, the first and the last). In the queue the engine's id stands before the name, with a
slash. Two names overlap if a core is in both: runs with other divisions of one machine, and runs
with none, never train on the same core at the same time.
"""

from __future__ import annotations

import re

from runner.errors import UserError

GPU, ALL_CORES, CORES = "gpu-", "cpu", "cores-"
CORE_SET = re.compile(CORES + r"(\d{1,6})-(\d{1,6})", re.ASCII)


def gpu_name(gpu: str) -> str:
    """The name of the GPU that the engine knows by this number."""
    return f"{GPU}{gpu}"


def core_sets(cores: int, sets: int) -> tuple[str, ...]:
    """The names of so many equal sets of cores, side by side; what is left over stays idle.

    Args:
        cores: how many cores the engine's machine has.
        sets: how many sets; 1 stands for all cores.

    Raises:
        UserError: there are fewer cores than sets.
    """
    if sets == 1:
        return (ALL_CORES,)
    size = cores // sets
    if size < 1:
        raise UserError(
            f"dividing the cores: CPU_SETS is {sets}, and the engine's machine has {cores} cores",
            hint=f"set CPU_SETS to {cores} or less",
        )
    return tuple(f"{CORES}{n * size}-{(n + 1) * size - 1}" for n in range(sets))


def cores_left(cores: int, sets: int) -> int:
    """How many cores are in none of the equal sets."""
    return cores % sets


def gpu_of(device: str) -> str | None:
    """The engine's number of a GPU, or None for a device that is none."""
    return device.removeprefix(GPU) if device.startswith(GPU) else None


def cpuset_of(device: str) -> str | None:
    """The cores of a set as the engine writes them ("0-3"); None for any other device."""
    cores = _cores(device)
    return None if cores is None else f"{cores[0]}-{cores[1]}"


def overlap(one: str, other: str) -> bool:
    """Whether two names of the queue are the same device, or share a core."""
    if one == other:
        return True
    (engine, device), (its_engine, its_device) = _parts(one), _parts(other)
    if engine != its_engine:
        return False
    mine, theirs = _cores(device), _cores(its_device)
    if mine is None or theirs is None:
        pair = (device, its_device)
        return ALL_CORES in pair and (mine or theirs) is not None
    return mine[0] <= theirs[1] and theirs[0] <= mine[1]


def _parts(name: str) -> tuple[str, str]:
    engine, _, device = name.rpartition("/")
    return engine, device


def _cores(device: str) -> tuple[int, int] | None:
    """The first and the last core of a set; None for any other device."""
    found = CORE_SET.fullmatch(device)
    return None if found is None else (int(found[1]), int(found[2]))
