"""What a run is asked to be: `RunSpec` and `Budget`; and how a TOML table is read.

`RunSpec` is frozen and complete: once it is made, no step of the run takes an option from the
command line, the environment or a default again. `spec.json` holds it, without the key.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from runner.errors import HostError, UserError
from runner.metrics import Metric
from runner.records.layout import RunDir
from runner.records.upgrade import SCHEMA_VERSION, upgraded
from runner.wire.model_config import Provider

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveInt = Annotated[int, Field(gt=0)]
Value = StrictBool | StrictInt | StrictFloat | StrictStr  # of a knob

GRACE_SECONDS = 120.0  # for STATUS.md, after a budget is spent
ORPHAN_MINUTES = 10.0  # without a word of its runner, after which an agent stops
MAX_RUN_ID_CHARS = 48
RUN_ID = re.compile(rf"[a-z0-9][a-z0-9_.-]{{0,{MAX_RUN_ID_CHARS - 1}}}")

Pruner = Literal["none", "median", "percentile", "hyperband", "wilcoxon"]
Texts = Literal["best", "kept"]  # of a run: which of them the referee runs again
Verify = Literal[Texts, "none"]
PRUNERS: tuple[Pruner, ...] = get_args(Pruner)
RATIO, FIRST = 0.3, 5  # of a baseline that uses a model: runner/wire/model_config.py
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
    total_usd: Positive | None = None  # of the model and of the devices together
    compute_usd_per_hour: NotNegative | None = None  # the price of a device; no bound by itself

    def as_dict(self) -> dict[str, float | None]:
        """The bounds."""
        return self.model_dump(exclude={"compute_usd_per_hour"})

    def compute_usd(self, device_seconds: float) -> float:
        """What devices cost for so many seconds, in US dollars; 0 where no price was given."""
        return (self.compute_usd_per_hour or 0.0) * device_seconds / 3600


class Condition(Frozen):
    """`when` of a knob: it is active only while its parent is, and has one of these values."""

    model_config = ConfigDict(
        validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    knob: str
    values: tuple[Value, ...] = Field(alias="is")


class Knob(Frozen):
    """One dimension of a search space, in the units of the constant in train.py."""

    type: Literal["int", "float", "categorical"]
    low: StrictFloat | None = None
    high: StrictFloat | None = None
    log: StrictBool = False
    step: StrictFloat | None = None
    choices: list[Value] | None = None
    default: Value
    when: Condition | None = None


class HashedText(Frozen):
    """A text as the run began with it, and its hash."""

    sha256: str
    text: str

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if hashlib.sha256(self.text.encode()).hexdigest() != self.sha256:
            raise ValueError("sha256 is not that of the text")
        return self


class OwnSampler(HashedText):
    """A user's own sampler: its whole text, which a resumed run has whatever became of the file.

    `file` is the name of the file without folders, `factory` the name in it that makes the sampler.
    """

    file: str
    factory: str


class PromptText(HashedText):
    """A template of setup_prompts/optimisers/."""


class Proposer(Frozen):
    """How a model takes part in a baseline; runner/wire/model_config.py says what the fields mean.

    A resumed run has the same prompts, whatever became of their files.
    """

    method: str
    provider: Provider
    model: str
    inner: str = ""
    ratio: Annotated[float, Field(ge=0, le=1)] = RATIO
    first: PositiveInt = FIRST
    as_published: str = ""
    prompts: dict[str, PromptText] = {}


class RunSpec(Frozen):
    """One contestant, one seed, one task, one budget.

    `gpu` is the first GPU of trials, None for the CPU, and `gpus` are all of them if there are
    several. `cpu_sets` is into how many equal parts the cores are divided. `workers` is how many
    trials of an optimiser run at a time, and with `ask_ahead` it names one more meanwhile.
    `runtime` makes the containers of contestant, trials and judge; None is the engine's own.
    """

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
    gpus: tuple[str, ...] = ()
    cpu_sets: PositiveInt = 1
    runtime: str | None = None
    workers: PositiveInt = 1
    ask_ahead: bool = False
    space: dict[str, Knob] | None = None  # of a baseline; None: the task's own
    rehearsed: bool = False
    rehearsal_plan: tuple[str, ...] = ()
    record: bool = False
    retry_disturbed: bool = False
    storage: str | None = None
    study: str | None = None
    base_url: str | None = None
    allow_unpriced: bool = False
    unsafe: bool = False  # it goes on although its lock is not shown to hold
    verify: Verify = "best"
    verify_seeds: PositiveInt = VERIFY_SEEDS
    own_sampler: OwnSampler | None = None
    pruner: Pruner = "none"
    proposer: Proposer | None = None  # of a baseline that uses a model
    versions: dict[str, Any] = {}
    api_key: SecretStr | None = Field(default=None, exclude=True)
    storage_password: SecretStr | None = Field(default=None, exclude=True)

    @property
    def orphan_seconds(self) -> float:
        return 60 * self.orphan_minutes

    @property
    def all_gpus(self) -> tuple[str, ...]:
        """The GPUs of trials, any of which will do; none where they train on the CPU."""
        return self.gpus or (() if self.gpu is None else (self.gpu,))

    @property
    def devices(self) -> int:
        """How many devices the run's trials may train on."""
        return len(self.all_gpus) or self.cpu_sets

    @property
    def trials_at_a_time(self) -> int:
        """How many of its trials run at a time: an agent has a turn on each of its devices."""
        return self.devices if self.kind == "agent" else self.workers

    @property
    def prunes(self) -> bool:
        """Whether its optimizer may give up trials by what is estimated of them."""
        return self.pruner != "none"

    @property
    def sampler(self) -> str:
        """The sampler or method of a baseline, whose name as a contestant has its pruner too."""
        if self.proposer is not None:
            return self.proposer.method
        return self.contestant.removesuffix(f"-{self.pruner}")

    @property
    def uses_model(self) -> bool:
        """Whether the contestant asks a model, through a gateway of the run's own."""
        return self.kind == "agent" or self.proposer is not None

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


def budget(**asked: float | str | None) -> Budget:
    """The budget, checked: hours, train_hours, trials, usd, tokens, total_usd.

    Raises:
        UserError: a value is not a number above 0 (for the price of a device: below 0), nothing
            bounds the run, or `total_usd` comes without that price.
    """
    price_of_device(asked.get("compute_usd_per_hour"))
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
            hint="set at least one of HOURS, TRAIN_HOURS, TRIALS, USD, TOKENS, TOTAL_USD",
        )
    if bounds.total_usd is not None and bounds.compute_usd_per_hour is None:
        raise UserError(
            "setting the budget: TOTAL_USD counts what devices cost, and their price is not set",
            hint="set COMPUTE_USD_PER_HOUR, what an hour of one device costs in US dollars",
        )
    return bounds


def price_of_device(asked: float | str | None) -> float | None:
    """COMPUTE_USD_PER_HOUR, checked.

    Raises:
        UserError: it is no number, or below 0.
    """
    try:
        return Budget.model_validate({"compute_usd_per_hour": asked}).compute_usd_per_hour
    except ValidationError as error:
        raise UserError(
            f"setting the price of a device: COMPUTE_USD_PER_HOUR is {asked!r}",
            hint="give it the US dollars that an hour of one device costs, 0 or more",
        ) from error


def run_id(contestant: str, seed: int) -> str:
    """The id of a run, which is also part of container names.

    Raises:
        UserError: the seed is negative, or has too many digits for the name.
    """
    if seed < 0:
        raise UserError(f"naming the run: SEED is {seed}", hint="a seed is 0 or above")
    if len(name := f"{contestant}-s{seed}") > MAX_RUN_ID_CHARS:
        raise UserError(
            f"naming the run: {name} has {len(name)} characters, at most {MAX_RUN_ID_CHARS}",
            hint="give a SEED of fewer digits, such as SEED=1",
        )
    return name


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
