"""The `config` of every `start` message: one frozen dataclass for each image.

`as_config` builds it, `read_config` reads it. Standard library only; no `repr` shows a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal


@dataclass(frozen=True)
class Above:
    """A number is greater than `bound`."""

    bound: float

    def fault(self, value: float) -> str:
        """What is wrong with a value; empty if nothing is."""
        return "" if value > self.bound else f"must be above {self.bound:g}"


@dataclass(frozen=True)
class AtLeast:
    """A number is `bound` or greater."""

    bound: float

    def fault(self, value: float) -> str:
        """What is wrong with a value; empty if nothing is."""
        return "" if value >= self.bound else f"must be at least {self.bound:g}"


Seconds = Annotated[float, Above(0)]
NonNegativeSeconds = Annotated[float, AtLeast(0)]
UsdPerMillionTokens = Annotated[float, AtLeast(0)]
Count = Annotated[int, AtLeast(1)]
Seed = Annotated[int, AtLeast(0)]
Provider = Literal["anthropic", "openai", "google"]
Direction = Literal["minimize", "maximize"]
KnobValue = bool | int | float | str


@dataclass(frozen=True)
class AgentConfig:
    """What agentd is told.

    Attributes:
        run_id: the run's id, for the log.
        branch: the git branch that the agent works on.
        deadline_seconds: agentd ends itself and everything in its container then.
        metric: the name of what the task measures, for the help of `trial`.
        direction: whether the task is to minimise or to maximise it.
        orphan_seconds: the turn is interrupted when the runner is silent for so long; None: never.
        disk: a `DiskBound` (disk_use.py) as a table; None: the volumes are not watched.
    """

    run_id: str
    branch: str
    deadline_seconds: Seconds
    metric: str
    direction: Direction
    orphan_seconds: Seconds | None = None
    disk: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Condition:
    """When a knob is active: its parent is, and has one of these values.

    Attributes:
        knob: the parent, another knob of the space that is an int or categorical.
        values: values of it.
    """

    knob: str
    values: tuple[KnobValue, ...]


@dataclass(frozen=True)
class KnobRange:
    """One ALL_CAPS constant of train.py, and the values that a sampler may give it.

    Attributes:
        type: what kind of value it takes.
        default: the value in trial 0.
        low, high: the smallest and the largest value, for numbers only.
        log: search the logarithm of the value; `low` is above 0 then.
        step: the distance of neighbouring values; None for every int, or every float.
        choices: the values of a categorical knob.
        when: the knob keeps its default unless this holds; None: it is always active.
    """

    type: Literal["int", "float", "categorical"]
    default: KnobValue
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None
    choices: tuple[KnobValue, ...] | None = None
    when: Condition | None = None


@dataclass(frozen=True)
class OwnSampler:
    """A user's own sampler, as the text of a Python file.

    Attributes:
        file: the name of the file, without folders.
        factory: the name in it that makes the sampler.
        text: the whole file.
    """

    file: str
    factory: str
    text: str


SslMode = Literal["disable", "prefer", "require", "verify-full"]


@dataclass(frozen=True)
class SharedStudy:
    """A study in a PostgreSQL database, which the optimizer reaches through the relay's socket.

    Attributes:
        study: its name. All runs that name it share it.
        run_id: whose trials this run's are, for people.
        compared: what the values of its trials depend on; runs that differ in it share no study.
        user, password: of the database; "" for no password.
        database: the database's name.
    """

    study: str
    run_id: str
    compared: str
    user: str
    password: str = field(repr=False)
    database: str


@dataclass(frozen=True)
class RelayConfig:
    """What the relay is told: the one address that it connects to.

    Attributes:
        host, port: the database's address.
        sslmode: how TLS is spoken to it, in libpq's words.
        deadline_seconds: it ends itself then.
    """

    host: str
    port: Count
    sslmode: SslMode
    deadline_seconds: Seconds


@dataclass(frozen=True)
class OptimizerConfig:
    """What the optimizer is told.

    Attributes:
        sampler: a name in images/optimizer/samplers/, or of a method of images/optimizer/methods/.
        seed: the run's seed.
        space: the search space, as knob name → range.
        deadline_seconds: the optimizer ends itself then.
        direction: whether to minimise or to maximise the values of trials.
        parallel: how many trials it requests at a time.
        own: the user's own sampler, where `sampler` is the name of one.
        pruner: the pruner's name in images/optimizer/pruners.py.
        shared: the study in a database; None for one in a journal of the run's own.
        language_model: a `ModelConfig` (model_config.py) as a table; None without a model.
        disk: as in `AgentConfig`, for the volume of the study.
    """

    sampler: str
    seed: Seed
    space: Mapping[str, KnobRange]
    deadline_seconds: Seconds
    direction: Direction
    parallel: Count = 1
    own: OwnSampler | None = None
    pruner: str = "none"
    shared: SharedStudy | None = None
    language_model: Mapping[str, Any] | None = field(default=None, repr=False)  # has the token
    disk: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class PriceOverride:
    """The price of a model that genai-prices does not know, in US dollars per million tokens.

    Attributes:
        input, output: tokens that no cache served; generated ones, reasoning included.
        cached_read: input tokens from the cache; None: as `input`.
        cache_write_5m, cache_write_1h: those written to a cache; None: a multiple of `input`.
    """

    input: UsdPerMillionTokens
    output: UsdPerMillionTokens
    cached_read: UsdPerMillionTokens | None = None
    cache_write_5m: UsdPerMillionTokens | None = None
    cache_write_1h: UsdPerMillionTokens | None = None


@dataclass(frozen=True)
class Caps:
    """What a run may spend on its model; None is no cap.

    Attributes:
        usd: US dollars.
        tokens: tokens of prompts and answers together.
    """

    usd: Annotated[float, AtLeast(0)] | None = None
    tokens: Annotated[int, AtLeast(0)] | None = None


@dataclass(frozen=True)
class Limits:
    """Bounds on what the sandbox may ask of the gateway, and the gateway of a provider.

    Attributes:
        concurrency: requests under way at a time.
        requests_per_minute: requests begun in a minute.
        body_bytes: size of a request's body; None: the limit of the provider.
        queue_seconds: how long a request waits for its turn before it is refused.
        retry_seconds: how long a request is retried while the provider does not answer.
        backoff_seconds: the shortest wait before a retry; later waits are longer.
        silence_seconds: how long the provider may send nothing within an answer.
        count_seconds: how long the provider may take to count the tokens of a prompt.
    """

    concurrency: Count = 32
    requests_per_minute: Count = 600
    body_bytes: Count | None = None
    queue_seconds: NonNegativeSeconds = 30
    retry_seconds: NonNegativeSeconds = 150
    backoff_seconds: Seconds = 0.25
    silence_seconds: Seconds = 600
    count_seconds: Seconds = 20


@dataclass(frozen=True)
class GatewayConfig:
    """What the gateway is told. images/gateway/gatewayd/settings.py checks it further.

    Attributes:
        provider: whose API the gateway speaks.
        base_url: where that API is: `https://…`, `http://…` or `unix:///…` (the scripted model).
        api_key: the provider's key. The gateway has the only copy in the run's containers.
        token: what the agent's CLI presents in place of a key.
        models: the names of the models that may be asked.
        deadline_seconds: the gateway ends itself then.
        prices: prices of models that genai-prices does not know, as model → price.
        caps: what the run may spend on its model.
        allow_unpriced: serve a model without a price; its requests count as 0 dollars.
        rehearsed: a scripted model stands behind the gateway. Usage records say so.
        record: keep the bodies of requests and answers in /state/records.
        limits: bounds on requests.
        orphan_seconds: no request is admitted when the runner is silent for so long; None: all are.
        private_ok: `base_url` is the user's word, and may lead to a private address (addresses.py).
    """

    provider: Provider
    base_url: str
    api_key: str = field(repr=False)
    token: str = field(repr=False)
    models: tuple[str, ...]
    deadline_seconds: Seconds
    prices: Mapping[str, PriceOverride] = field(default_factory=dict)
    caps: Caps = Caps()
    allow_unpriced: bool = False
    rehearsed: bool = False
    record: bool = False
    limits: Limits = Limits()
    orphan_seconds: Seconds | None = None
    private_ok: bool = False


@dataclass(frozen=True)
class RehearsalConfig:
    """What the scripted model of a rehearsal is told.

    Attributes:
        provider: whose API it serves.
        seed: chooses the experiments that the plan does not name.
        api_key: the key that the gateway must present.
        deadline_seconds: it ends itself then.
        tools: how the agent's CLI is used: the `[[tools]]` of images/agent/<cli>/cli.toml.
        trial_plan: the first experiments and hardships (scripted_model/plan.py); empty: its own.
    """

    provider: Provider
    seed: int
    api_key: str = field(repr=False)
    deadline_seconds: Seconds
    tools: tuple[Mapping[str, Any], ...]
    trial_plan: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrialConfig:
    """What PID 1 of a trial's container is told.

    Attributes:
        train_py_gz: the text of train.py, as `pack_text` makes it.
        train_seconds: the training budget, which train.py keeps itself.
        limit_seconds: train.py is ended when it runs for longer than this.
        output_bytes: train.py is ended when it prints more than this.
        threads: how many threads its libraries use on a CPU.
        deadline_seconds: the whole container ends then.
        judge_token: what train.py presents to the judge.
        seed: another training seed than the task's, set by the referee.
        max_steps: train.py is asked to end after so many steps; None for no such bound.
        hand_out: train.py's model is saved to /handout/model.pt before it is scored.
        estimate_at: the shares of its training at which it is estimated; none: its own.
    """

    train_py_gz: str = field(repr=False)
    train_seconds: Seconds
    limit_seconds: Seconds
    output_bytes: Count
    threads: Count
    deadline_seconds: Seconds
    judge_token: str = field(default="", repr=False)
    seed: Seed | None = None
    max_steps: Count | None = None
    hand_out: bool = False
    estimate_at: tuple[float, ...] = ()


@dataclass(frozen=True)
class JudgeConfig:
    """What the judge (docs/judge.md) is told.

    Attributes:
        deadline_seconds: the judge ends itself then.
        judged_tokens: how many targets the final score of a trial covers.
        estimate_tokens: how many targets an intermediate estimate covers.
        threads: how many threads its arithmetic uses.
        reference: the key of the reference to compare with, a file name's part; "" for none.
    """

    deadline_seconds: Seconds
    judged_tokens: Count
    estimate_tokens: Count
    threads: Count
    reference: str = ""
