"""What a run is asked to be: `RunSpec`, `Budget`, and the models of the TOML tables.

`RunSpec` is frozen and complete: after it is made, nothing reads the environment, the command line
or a default again. It is what `spec.json` holds, without the key.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from runner.errors import HostError, UserError, unknown_name
from runner.layout import ROOT
from runner.records import SCHEMA_VERSION

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
PositiveInt = Annotated[int, Field(gt=0)]

GRACE_SECONDS = 120.0  # for STATUS.md, after a budget is spent
RUN_ID = re.compile(r"[a-z0-9][a-z0-9_.-]{0,47}")


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Budget(Frozen):
    """What a run may spend; the first to be spent ends it. None is no bound of that kind."""

    hours: Positive | None = None
    train_hours: Positive | None = None
    trials: PositiveInt | None = None
    usd: Positive | None = None
    tokens: PositiveInt | None = None

    def as_dict(self) -> dict[str, float | None]:
        return dict(self.model_dump())


class ModelPrice(Frozen):
    """US dollars per million tokens, for a model that the price list does not know."""

    input: float
    output: float
    cached_read: float | None = None
    cache_write_5m: float | None = None
    cache_write_1h: float | None = None


class RunSpec(Frozen):
    """One contestant, one seed, one task, one budget."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    kind: Literal["agent", "baseline"]
    contestant: str
    seed: int
    task: str
    data: str | None = None
    model: str | None = None
    context_tokens: PositiveInt | None = None
    budget: Budget
    trial_seconds: Positive
    grace_seconds: Positive = GRACE_SECONDS
    gpu: str | None = None
    rehearsed: bool = False
    record: bool = False
    base_url: str | None = None
    allow_unpriced: bool = False
    versions: dict[str, Any] = {}
    api_key: SecretStr | None = Field(default=None, exclude=True)


class Limit(Frozen):
    """What one kind of container may use of the engine's machine."""

    memory_mb: PositiveInt | None = None
    memory_share: Positive | None = None
    cpu_share: Positive = 1.0
    cpu_weight: PositiveInt = 1024
    pids: PositiveInt
    tmp_mb: PositiveInt
    output_mb: PositiveInt = 16
    shm_mb: PositiveInt = 64

    def memory_bytes(self, machine_bytes: int) -> int:
        """The bound in bytes: absolute if given, else the share; never over 90 % of the machine."""
        asked = (self.memory_mb or 0) << 20 or int(machine_bytes * (self.memory_share or 0.5))
        return min(asked, int(machine_bytes * 0.9))


class Knob(Frozen):
    """One dimension of the search space, in the units of the constant in train.py."""

    type: Literal["int", "float", "categorical"]
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: list[Any] | None = None
    default: Any


class Task(Frozen):
    """A task as its `trainer/tasks/<name>.toml` gives it to the host. Times are in seconds."""

    name: str
    description: str = ""
    train_seconds: Positive
    limit_seconds: Positive
    network: bool = False
    needs_input: bool = False
    space: str
    knobs: dict[str, Any] = {}


def read_table(path: Path) -> dict[str, Any]:
    """A TOML file of ours as a dict.

    Raises:
        HostError: the file is not there or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise HostError(
            f"reading {path}: {error}", hint="restore it with `git checkout`"
        ) from error


@cache
def limits() -> dict[str, Limit]:
    """Limits by role, from `runner/limits.toml`."""
    table = read_table(Path(__file__).with_name("limits.toml"))
    return {role: Limit.model_validate(fields) for role, fields in table.items()}


@cache
def prices() -> dict[str, ModelPrice]:
    """The user's own prices by model, from `runner/prices.toml`."""
    table = read_table(Path(__file__).with_name("prices.toml"))
    return {model: ModelPrice.model_validate(fields) for model, fields in table.items()}


def budget(**asked: float | str | None) -> Budget:
    """The budget, checked.

    Raises:
        UserError: a value is zero, negative or no number, or nothing at all bounds the run.
    """
    try:
        made = Budget.model_validate(asked)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise UserError(
            f"setting the budget: {name.upper()} is {asked.get(name)!r}",
            hint="a budget is a number above 0; leave the variable out for no such bound "
            "(HOURS=none for no wall bound)",
        ) from error
    if all(value is None for value in made.as_dict().values()):
        raise UserError(
            "setting the budget: nothing bounds this run",
            hint="set at least one of HOURS, TRAIN_HOURS, TRIALS, USD, TOKENS",
        )
    return made


def run_id(contestant: str, seed: int) -> str:
    """The id of a run, which is also part of container names.

    Raises:
        UserError: the seed is negative.
    """
    if seed < 0:
        raise UserError(f"naming the run: SEED is {seed}", hint="a seed is 0 or above")
    return f"{contestant}-s{seed}"


def check_run_id(name: str) -> str:
    """The name, if it can be a run id at all.

    Raises:
        UserError: it cannot (so no path outside `runs/` is ever made of it).
    """
    if not RUN_ID.fullmatch(name):
        raise UserError(
            f"looking for run {name!r}: that is no run id", hint="one looks like gpt-s1"
        )
    return name


TASKS_FOLDER = ROOT / "trainer" / "tasks"


def task_names() -> list[str]:
    return sorted(path.stem for path in TASKS_FOLDER.glob("*.toml"))


def load_task(name: str) -> Task:
    """The task of that name.

    Raises:
        UserError: there is none; the hint lists those that there are.
    """
    if name not in task_names():
        raise unknown_name("task", name, task_names())
    table = read_table(TASKS_FOLDER / f"{name}.toml")
    task = {k: v for k, v in table["task"].items() if k in Task.model_fields}
    return Task.model_validate({**task, "name": name, "knobs": table.get("knobs", {})})


def load_space(task: Task) -> dict[str, Knob]:
    """The knobs that baselines search on this task; defaults are the task's own train.py's."""
    table = read_table(ROOT / "trainer" / "search_space.toml")[task.space]
    space = {name: Knob.model_validate(fields) for name, fields in table.items()}
    return {
        name: knob.model_copy(update={"default": task.knobs.get(name, knob.default)})
        for name, knob in space.items()
    }
