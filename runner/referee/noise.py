"""The noise of tasks, kept in `results/noise.json`: values of the pristine train.py over seeds.

A floor holds only for what it was measured on: the task, its data, the trainer's image, the
machine and the settings of a trial. One that differs in any of these is another floor.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from runner.records.files import explained, to_json, write_whole
from runner.records.runtime import RuntimeRecord
from runner.records.schema import Record
from runner.referee.statistics import Sample

NOISE_FILE = "noise.json"
MAX_BYTES = 8 << 20
LOCK_SECONDS = 30.0


class Conditions(BaseModel):
    """What a noise floor was measured under.

    Args:
        task: the task's name.
        data: the volume of its data, whose name has the data's digest.
        image: the trainer's image, by content.
        machine: the engine's machine.
        trial_seconds: the training seconds of a trial.
        gpu: the GPU of trials, None for the CPU.
        cpu_sets: into how many sets the cores were divided, of which a trial had one.
        runtime: what made the containers, with its options; "" for any on the machine's kernel.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    task: str
    data: str
    image: str
    machine: str
    trial_seconds: float
    gpu: str | None = None
    cpu_sets: int = 1
    runtime: str = ""

    @classmethod
    def of_run(
        cls,
        task: Any,
        versions: Mapping[str, Any],
        trial_seconds: float,
        gpu: Any,
        cpu_sets: Any = 1,
    ) -> Conditions | None:
        """The conditions of a run by its spec; None where the spec does not name them all."""
        images, runtime = versions.get("images"), RuntimeRecord.of_run(versions)
        fields = {
            "task": task,
            "data": versions.get("data"),
            "image": images.get("trainer") if isinstance(images, Mapping) else None,
            "machine": versions.get("machine"),
            "trial_seconds": trial_seconds,
            "gpu": gpu,
            "cpu_sets": cpu_sets,
            "runtime": "" if runtime is None else runtime.key,
        }
        try:
            return cls.model_validate(fields)
        except ValidationError:
            return None


class NoiseFloor(BaseModel):
    """The values of the pristine train.py, as training seed → value in the metric's unit.

    `disturbed` are the seeds whose training other load on the machine slowed, twice in a row.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    conditions: Conditions
    values: dict[int, float] = {}
    disturbed: tuple[int, ...] = ()

    @property
    def sample(self) -> Sample | None:
        """Number, mean and standard deviation of the values; None without a finite value."""
        finite = [value for value in self.values.values() if math.isfinite(value)]
        return Sample.of(finite) if finite else None

    @property
    def sd(self) -> float | None:
        """The standard deviation of a training, σ; None where it is not known or is 0."""
        return (self.sample.sd or None) if self.sample else None


class NoiseFile(Record):
    """`results/noise.json`: one floor for each set of conditions."""

    floors: tuple[NoiseFloor, ...] = ()

    def floor(self, conditions: Conditions) -> NoiseFloor | None:
        """The floor that was measured under exactly these conditions."""
        return next((floor for floor in self.floors if floor.conditions == conditions), None)


def read_noise(folder: Path) -> NoiseFile:
    """The floors that are known; none where the file is missing, too large or not readable."""
    path = folder / NOISE_FILE
    try:
        if path.stat().st_size > MAX_BYTES:
            return NoiseFile()
        return NoiseFile.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return NoiseFile()


def keep_value(
    folder: Path, conditions: Conditions, seed: int, value: float, *, disturbed: bool = False
) -> NoiseFloor:
    """Add one seed's value to its floor, and return the floor as it is now.

    Raises:
        HostError: the file cannot be written.
    """
    path = folder / NOISE_FILE
    with explained(path):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{NOISE_FILE}.lock", timeout=LOCK_SECONDS):
            known = read_noise(folder)
            before = known.floor(conditions) or NoiseFloor(conditions=conditions)
            slowed = {*before.disturbed} - {seed} | ({seed} if disturbed else set())
            floor = NoiseFloor(
                conditions=conditions,
                values={**before.values, seed: value},
                disturbed=tuple(sorted(slowed)),
            )
            others = _without(known.floors, conditions)
            write_whole(path, to_json(known.model_copy(update={"floors": (*others, floor)})))
    return floor


def _without(floors: Iterable[NoiseFloor], conditions: Conditions) -> list[NoiseFloor]:
    return [floor for floor in floors if floor.conditions != conditions]
