"""The records of a run: what a line of each file under `runs/<run id>/` holds.

Every line is one JSON object with a `schema_version`. Writers append and fsync; readers are
lenient, because a crash may cut a file at any byte. Records of an earlier version are upgraded
when they are read (upgrade.py).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from runner.metrics import Metric
from runner.records.proposal import Proposal
from runner.records.upgrade import SCHEMA_VERSION, upgraded

USAGE_SCHEMA_VERSION = 1  # of the gateway, which writes the usage records

SPACE = "space"  # ends a run: nothing is left of it that has not been tried
TrialStatus = Literal["ok", "crash", "oom", "timeout", "pruned", "killed", "rejected"]
TrialSource = Literal["agent", "sampler", "referee"]


def now() -> str:
    """This moment in UTC, ISO 8601 with milliseconds and a Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    schema_version: int = SCHEMA_VERSION

    @model_validator(mode="before")
    @classmethod
    def _upgrade(cls, body: Any) -> Any:
        return upgraded(body, cls.model_fields)


class Event(Record):
    """A line of `events.jsonl`, the journal."""

    at: str
    event: str
    fields: dict[str, Any] = {}


class PromptRecord(Record):
    """A line of `prompts.jsonl`.

    Args:
        at: when it was sent.
        name: first, fresh, nudge or closing for the prompt of a turn; else the name of a file that
            the agent finds in its repository.
        text: as the agent gets it.
    """

    at: str
    name: str
    text: str


class Verdict(BaseModel):
    """What was found about a trial beside its score.

    Args:
        name: the kind of finding, such as look-ahead or seed changed.
        by: probe (measured) or read (from the syntax tree of train.py).
        rejects: whether it takes the trial its score; else it is only said.
        text: one sentence for a person.
        numbers: what was measured, with the units in the names.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    name: str
    by: Literal["probe", "read"]
    rejects: bool = False
    text: str = ""
    numbers: dict[str, float] = {}


class Measured(BaseModel):
    """What the kernel counted for a trial, from the start of train.py to the end of its container.

    A value is None where this machine's kernel does not count it.

    Args:
        cpu_seconds: processor time of all processes of the trial.
        cpu_seconds_training: the same, up to the first request for the final score.
        lost_seconds: processor time that the trial needed while it trained, and other load had;
            runner/timing/counts.py has the formula.
        throttled_seconds: time in which the engine's CPU limit held processes back.
        waited_seconds: time in which threads could have run and no processor was free.
        pressure_seconds: time in which some thread was short of processor (PSI); of the whole
            machine where the kernel does not count it for a container.
        others_seconds: processor time of everything else on the machine.
        stolen_seconds: processor time that the machine's own host gave to other machines.
        gpu_seconds: busy time of the GPU.
        read_bytes: read from disks.
        written_bytes: written to disks.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    cpu_seconds: float | None = None
    cpu_seconds_training: float | None = None
    lost_seconds: float | None = None
    throttled_seconds: float | None = None
    waited_seconds: float | None = None
    pressure_seconds: float | None = None
    others_seconds: float | None = None
    stolen_seconds: float | None = None
    gpu_seconds: float | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None


class TrialRecord(Record):
    """A line of `trials.jsonl`: what the runner measured. Times are ISO 8601 or seconds.

    `value` is in the unit of the run's metric, and None unless it was measured. `judged` says who
    measured it: the judge, or, in earlier runs, the trial itself. `train_seconds` is what is
    charged for training, `training_seconds` what the host saw from the start of train.py to its
    first request for the final score, and `declared_seconds` what train.py printed. A trial is
    `disturbed` if other work took processor time that it needed. `judge_seed` is the seed of the
    audit, and `values` are all scores of the judge: split → score, and of a referee's trial also
    `judged`, the score of the rows that every trial is scored on. If a disturbed trial ran again
    (`retry_disturbed` of the spec), this is the record of the second attempt, and `first_attempt`
    that of the first, which counts for nothing. `device` is what it trained on
    (runner/devices/names.py), "" where that was not recorded.
    """

    trial: int
    source: TrialSource
    request: str
    status: TrialStatus
    reason: str = ""
    value: float | None = None
    parent: int | None = None
    sha256: str = ""
    commit: str = ""
    hypothesis: str = ""
    category: str = ""
    knobs: dict[str, Any] = {}
    knobs_changed: dict[str, tuple[Any, Any]] = {}
    other_changes: bool = False
    queued_at: str = ""
    started_at: str = ""
    ended_at: str = ""
    lease_wait_seconds: float = 0.0
    device: str = ""
    train_seconds: float = 0.0
    training_seconds: float = 0.0
    wall_seconds: float = 0.0
    exit_code: int | None = None
    peak_memory_bytes: int = 0
    summary: dict[str, float | str] = {}
    estimates: list[dict[str, float]] = []
    rehearsed: bool = False
    judged: bool = False
    judge_seed: int | None = None
    values: dict[str, float] = {}
    scoring_seconds: float = 0.0
    declared_seconds: float | None = None
    disturbed: bool = False
    measured: Measured = Measured()
    audit: dict[str, Any] = {}
    verdicts: list[Verdict] = []
    first_attempt: TrialRecord | None = None
    proposal: Proposal | None = None  # of a baseline that uses a model


class KeptOrder(Record):
    """`order.json` in a trial's folder: what was asked for, kept before it is accepted.

    The text is beside it, in `train.py`; `sha256` is of that text. The names are those of
    `TrialOrder`. A run that is resumed runs a trial again from these two files.
    """

    trial: int
    source: TrialSource
    request: str
    parent: int | None
    sha256: str
    commit: str = ""
    hypothesis: str = ""
    category: str = ""
    knobs: dict[str, Any] = {}
    knobs_changed: dict[str, tuple[Any, Any]] = {}
    other_changes: bool = False
    queued_at: str = ""
    proposal: Proposal | None = None


class UsageRecord(Record):
    """A line of `usage.jsonl`: one model request as the gateway settled it.

    Its version is the gateway's own, which has not changed.
    """

    schema_version: int = USAGE_SCHEMA_VERSION
    at: str
    request: str
    provider: str
    model: str
    path: str = ""
    status: int = 0
    latency_seconds: float = 0.0
    first_byte_seconds: float | None = None
    input_tokens: int = 0
    cached_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float = 0.0
    charged_by: str = "usage"
    failure: str = ""
    rehearsed: bool = False

    @model_validator(mode="before")
    @classmethod
    def _upgrade(cls, body: Any) -> Any:
        return body

    @property
    def tokens(self) -> int:
        """All tokens of the request, cached ones included: what a token budget counts."""
        return (
            self.input_tokens
            + self.cached_read_tokens
            + self.cache_write_5m_tokens
            + self.cache_write_1h_tokens
            + self.output_tokens
        )


class Best(Record):
    """A best value and where it comes from: `trial` of the ledger or `row` of experiments.csv."""

    value: float
    trial: int | None = None
    row: int | None = None
    note: str = ""


class Spent(Record):
    """What a run used of each budget, and the time that was given back to it.

    `device_seconds` is the time in which its trials and checks held a device, from the making of a
    container to the judge's last word; a wait for the device is no part of it.
    """

    wall_seconds: float = 0.0
    elapsed_seconds: float = 0.0
    lease_wait_seconds: float = 0.0
    outage_seconds: float = 0.0
    train_seconds: float = 0.0
    device_seconds: float = 0.0
    trials: int = 0
    usd: float = 0.0
    tokens: int = 0
    requests: int = 0
    turns: int = 0


class ClockReading(Record):
    """`clock.json`: what a run had spent at its runner's last sign of life.

    Args:
        spent: by the run's clock.
        attempts: each trial under way, and what its attempt had cost of the wall time until then.
        trial: in earlier runs, the one trial under way; 0 when there was none.
        attempt_seconds: what that had cost.
    """

    spent: Spent
    attempts: dict[int, float] = {}
    trial: int = 0
    attempt_seconds: float = 0.0

    def cost_of(self, again: Collection[int]) -> float:
        """What is given back of the wall time, in seconds, if these trials have to run again.

        All attempts last until the reading, so the longest of them covers the others; and as long
        as one trained that has ended well, the others stopped nobody.
        """
        costs = self.attempts or {self.trial: self.attempt_seconds}
        broken = max((cost for trial, cost in costs.items() if trial in again), default=0.0)
        counts = max((cost for trial, cost in costs.items() if trial not in again), default=0.0)
        return max(0.0, broken - counts)


class ModelUse(Record):
    """What an agent spent on its model: US dollars, tokens, requests, and turns of its CLI."""

    usd: float = 0.0
    tokens: int = 0
    requests: int = 0
    turns: int = 0


class RunResult(Record):
    """`result.json`: how a run ended. `ended_by` names the budget, or the cause of an early end.

    Both it and `cause` are `SPACE` where every setting of the search space has been tried.
    `unsafe` says that the run went on although its lock was not shown to hold.
    Of an agent's run, `since_last_trial` is what was spent after the last trial was asked for, and
    `in_turns_without_trial` what was spent in all turns (but the closing one) that asked for none.
    Of a baseline that uses a model, `proposals` counts its trials by who proposed them, `fallbacks`
    those for which the model gave nothing usable, and `model_failures` the requests that failed,
    without those that were refused as they stood (HTTP 400 and 422).
    """

    run_id: str
    contestant: str
    kind: Literal["agent", "baseline"]
    seed: int
    task: str
    metric: Metric
    rehearsed: bool
    unsafe: bool = False
    ended_by: str
    cause: str
    detail: str = ""
    began_at: str
    ended_at: str
    budget: dict[str, float | None]
    spent: Spent
    since_last_trial: ModelUse | None = None
    in_turns_without_trial: ModelUse | None = None
    trials_by_status: dict[str, int] = {}
    proposals: dict[str, int] | None = None
    fallbacks: int | None = None
    model_failures: int | None = None
    best_measured: Best | None = None
    best_claimed: Best | None = None
    best_verified: Best | None = None
    problems: list[str] = []

    @property
    def uses_model(self) -> bool:
        """Whether the contestant asked a model."""
        return self.kind == "agent" or self.proposals is not None
