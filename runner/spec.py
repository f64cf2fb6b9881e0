"""What a run is asked to be: `RunSpec` and `Budget`; and how a TOML table is read.

`RunSpec` is frozen and complete: once it is made, no step of the run takes an option from the
command line, the environment or a default again. `spec.json` holds it, without the key.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from runner.errors import HostError, UserError
from runner.metrics import Metric
from runner.records.layout import RunDir
from runner.records.upgrade import SCHEMA_VERSION, upgraded
from runner.wire.config_reader import ConfigError, read_config
from runner.wire.start_config import PriceOverride

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
PositiveInt = Annotated[int, Field(gt=0)]

GRACE_SECONDS = 120.0  # for STATUS.md, after a budget is spent
ORPHAN_MINUTES = 10.0  # without a word of its runner, after which an agent stops
RUN_ID = re.compile(r"[a-z0-9][a-z0-9_.-]{0,47}")

Texts = Literal["best", "kept"]  # of a run: which of them the referee runs again
Verify = Literal[Texts, "none"]
VERIFY_SEEDS = 3  # held-out training seeds of each verified text


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Budget(Frozen):
    """What a run may spend; the first bound that is reached ends it. None sets no such bound."""

    hours: Positive | None = None
    train_hours: Positive | None = None
    trials: PositiveInt | None = None
    usd: Positive | None = None
    tokens: PositiveInt | None = None

    def as_dict(self) -> dict[str, float | None]:
        return dict(self.model_dump())


class RunSpec(Frozen):
    """One contestant, one seed, one task, one budget."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    kind: Literal["agent", "baseline"]
    contestant: str
    seed: int
    task: str
    metric: Metric
    data: str | None = None
    model: str | None = None
    context_tokens: PositiveInt | None = None
    budget: Budget
    trial_seconds: Positive
    grace_seconds: Positive = GRACE_SECONDS
    orphan_minutes: Positive = ORPHAN_MINUTES
    gpu: str | None = None
    rehearsed: bool = False
    rehearsal_plan: tuple[str, ...] = ()
    record: bool = False
    retry_disturbed: bool = False
    storage: str | None = None
    study: str | None = None
    base_url: str | None = None
    allow_unpriced: bool = False
    verify: Verify = "best"
    verify_seeds: PositiveInt = VERIFY_SEEDS
    versions: dict[str, Any] = {}
    api_key: SecretStr | None = Field(default=None, exclude=True)
    storage_password: SecretStr | None = Field(default=None, exclude=True)

    @property
    def orphan_seconds(self) -> float:
        return 60 * self.orphan_minutes

    @model_validator(mode="before")
    @classmethod
    def _upgrade(cls, body: Any) -> Any:
        return upgraded(body, cls.model_fields)


def read_spec(runs: Path, run_id: str) -> RunSpec:
    """The spec of an existing run.

    Raises:
        UserError: there is no such run, or its spec cannot be read.
    """
    path = RunDir(runs / run_id).spec
    try:
        return RunSpec.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise UserError(
            f"looking for run {run_id}: there is no {path}", hint="`make ps` lists the runs"
        ) from None
    except OSError as error:
        raise UserError(
            f"reading {path}: {error.strerror}", hint="is the file readable for you?"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(
            f"reading {path}: {field}: {first['msg']}",
            hint="restore the file; without it, `make clean-runs` removes what the run left",
        ) from error


def read_table(path: Path) -> dict[str, Any]:
    """A TOML file of this checkout as a dict.

    Raises:
        HostError: the file is missing or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise HostError(
            f"reading {path}: {error}", hint="restore it with `git checkout`"
        ) from error


@cache
def prices() -> dict[str, PriceOverride]:
    """The user's own prices by model, from `runner/prices.toml`.

    Raises:
        UserError: a price in it makes no sense.
    """
    table = read_table(Path(__file__).with_name("prices.toml"))
    return {model: read_price(model, fields) for model, fields in table.items()}


def read_price(model: str, fields: Mapping[str, Any]) -> PriceOverride:
    """The price of a model as a table of `runner/prices.toml` gives it.

    Raises:
        UserError: a field is unknown, missing or no price.
    """
    try:
        return read_config(PriceOverride, fields)
    except ConfigError as error:
        raise UserError(
            f"reading the price of {model} in runner/prices.toml: {error}",
            hint="the top of that file shows an example",
        ) from error


def budget(**asked: float | str | None) -> Budget:
    """The budget, checked: hours, train_hours, trials, usd, tokens.

    Raises:
        UserError: a value is not a number above 0, or nothing bounds the run.
    """
    try:
        bounds = Budget.model_validate(asked)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise UserError(
            f"setting the budget: {name.upper()} is {asked.get(name)!r}",
            hint="a budget is a number above 0; leave the variable out to set no such bound "
            "(HOURS=none sets none on the clock)",
        ) from error
    if all(value is None for value in bounds.as_dict().values()):
        raise UserError(
            "setting the budget: nothing bounds this run",
            hint="set at least one of HOURS, TRAIN_HOURS, TRIALS, USD, TOKENS",
        )
    return bounds


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
        UserError: it cannot. So no path outside `runs/` is ever made of a run's name.
    """
    if not RUN_ID.fullmatch(name):
        raise UserError(
            f"looking for run {name!r}: that is not a run id", hint="a run id looks like gpt-s1"
        )
    return name
