"""The messages between the runner and PID 1 of every container. protocol.py makes lines of them.

Standard library only: this file is copied into every image.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

VERSION = 5  # 2 `Heartbeat`; 3 `TrialEstimated`, caps; 4 `proposal`; 5 `private_ok`, `disk`
MAX_TRAIN_PY_BYTES, MAX_HYPOTHESIS_CHARS = 1024 * 1024, 2000
CATEGORIES = ("hyperparameter", "architecture", "optimizer", "schedule", "data", "other")
CHECK = 0  # the number of a trial that is only a check
MAX_PHRASES, MAX_PHRASE_CHARS = 12, 300  # of `wrong` and of `restored` in `TurnFinished`


@dataclass(frozen=True)
class Message:
    """Base of all messages. `event` is the name on the wire."""

    event: ClassVar[str] = ""


# --- container → runner -------------------------------------------------------------------------


@dataclass(frozen=True)
class Ready(Message):
    """PID 1 is up and waits for `Start` (again after every restart of the container)."""

    event: ClassVar[str] = "ready"
    program: str
    version: int = VERSION


@dataclass(frozen=True)
class Started(Message):
    """`Start` was taken; the container does its work now (a gateway: its socket answers)."""

    event: ClassVar[str] = "started"
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TurnFinished(Message):
    """A CLI invocation ended. `transcript` is the path of its raw stdout inside the container."""

    event: ClassVar[str] = "turn.finished"
    turn: int
    exit_code: int
    seconds: float
    transcript: str
    stderr_tail: str = ""
    wrong: list[str] = field(default_factory=list)  # what the agent had broken of its sandbox
    restored: list[str] = field(default_factory=list)  # what of that is well again


@dataclass(frozen=True)
class TrialRequested(Message):
    """The contestant asks for one training.

    It sends `sha256` and `path` of a file of at most `MAX_TRAIN_PY_BYTES`, or `knobs`. An
    optimiser's `proposal` is as in docs/optimisers.md. A `check`, answered as 0, is no trial.
    """

    event: ClassVar[str] = "trial.requested"
    request: str
    sha256: str = ""
    path: str = ""
    commit: str = ""
    hypothesis: str = ""
    category: str = "other"
    knobs: dict[str, Any] = field(default_factory=dict)
    proposal: dict[str, Any] = field(default_factory=dict)
    check: bool = False


@dataclass(frozen=True)
class TrialExited(Message):
    """The trainer's PID 1 saw `train.py` end.

    `cause` is exited, timeout, output, disk, signal, or stopped (PID 1 was told to from outside).
    `seconds` is how long its process lived, from `began_at` in `Started.details` (since 1970) on.
    `measured` is what the kernel counted meanwhile (`Measured` in runner/records/schema.py).
    """

    event: ClassVar[str] = "trial.exited"
    exit_code: int
    cause: str
    seconds: float
    peak_memory_bytes: int = 0
    oom_kills: int = 0
    measured: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreRequested(Message):
    """A trial asked for a score, final or estimate, at `at` (s since 1970; steady_clock.py)."""

    event: ClassVar[str] = "score.requested"
    session: str
    purpose: str
    at: float
    monotonic: float = 0.0


@dataclass(frozen=True)
class ScoreEstimated(Message):
    """An intermediate score, in the metric's unit. `fraction` is the trial's own claim."""

    event: ClassVar[str] = "score.estimated"
    session: str
    fraction: float
    value: float
    at: float


@dataclass(frozen=True)
class ScoreFinished(Message):
    """The judge is done with the final score of a session.

    `status` is scored, rejected (by the audit, or for a fault of the trial's) or failed; `reason`
    says why, in the judge's own words. `values` is split → score, also of what the audit rejected,
    and `audit` the name of each audit → its numbers. `ended_at` is in seconds since 1970. `tokens`
    counts the targets scored, in mode reference all sent; its `audit` has those a trial is sent.
    """

    event: ClassVar[str] = "score.finished"
    session: str
    status: str
    reason: str
    ended_at: float
    tokens: int = 0
    values: dict[str, Any] = field(default_factory=dict)
    audit: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Usage(Message):
    """The gateway settled one model request; `record` is a line of `usage.jsonl`."""

    event: ClassVar[str] = "usage"
    record: dict[str, Any]


@dataclass(frozen=True)
class Denied(Message):
    """The gateway refused a request by policy, cap or missing token; nothing went upstream."""

    event: ClassVar[str] = "request.denied"
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Outage(Message):
    """The gateway saw no provider from `began` to `ended` (unix seconds): a slice of an outage."""

    event: ClassVar[str] = "outage"
    began: float
    ended: float
    reason: str
    whole_seconds: float | None = None  # of the outage, at its end; 0 while it goes on


@dataclass(frozen=True)
class CapReached(Message):
    """No further model request fits the run's cap: `budget` is usd or tokens."""

    event: ClassVar[str] = "cap.reached"
    budget: str
    detail: str = ""


@dataclass(frozen=True)
class DiskExceeded(Message):
    """A container's volumes passed their bound; what `found` holds is in disk_use.py."""

    event: ClassVar[str] = "disk.exceeded"
    found: dict[str, Any]


@dataclass(frozen=True)
class Problem(Message):
    """Something for the journal that did not end the container."""

    event: ClassVar[str] = "problem"
    during: str
    message: str


@dataclass(frozen=True)
class Stopped(Message):
    """PID 1 is done and exits next."""

    event: ClassVar[str] = "stopped"
    reason: str


# --- runner → container -------------------------------------------------------------------------


@dataclass(frozen=True)
class Start(Message):
    """The first message to every container; start_config.py says what `config` holds."""

    event: ClassVar[str] = "start"
    config: dict[str, Any]


@dataclass(frozen=True)
class TurnStart(Message):
    """Run one CLI invocation: `argv` with `env` added, standard input empty, in /workspace."""

    event: ClassVar[str] = "turn.start"
    turn: int
    argv: list[str]
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TurnInterrupt(Message):
    """End the running turn: SIGTERM to its process group, SIGKILL after a few seconds."""

    event: ClassVar[str] = "turn.interrupt"
    reason: str


@dataclass(frozen=True)
class TrialAccepted(Message):
    """The request became this trial, 0 for a check. A new container is told its `hypothesis`."""

    event: ClassVar[str] = "trial.accepted"
    request: str
    trial: int
    hypothesis: str = ""


@dataclass(frozen=True)
class TrialRefused(Message):
    """No trial was made; `final` means that no later request of this run will be taken either."""

    event: ClassVar[str] = "trial.refused"
    request: str
    reason: str
    hint: str = ""
    final: bool = False


@dataclass(frozen=True)
class TrialLog(Message):
    """One line of the trial's output, without its newline."""

    event: ClassVar[str] = "trial.log"
    request: str
    line: str


@dataclass(frozen=True)
class TrialEstimated(Message):
    """A trial's estimate at `step` % of its training; who sends it back has the trial pruned."""

    event: ClassVar[str] = "trial.estimated"
    request: str
    step: int
    value: float


@dataclass(frozen=True)
class TrialFinished(Message):
    """What the ledger says of a trial; `value`, of `metric`, is None unless it is ok or pruned."""

    event: ClassVar[str] = "trial.finished"
    request: str
    trial: int
    status: str
    value: float | None
    train_seconds: float
    summary: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    budget_note: str = ""
    last: bool = False
    metric: str = ""
    hypothesis: str = ""


@dataclass(frozen=True)
class Stop(Message):
    """The run is over: finish within `grace_seconds`, then exit."""

    event: ClassVar[str] = "stop"
    reason: str
    grace_seconds: float


@dataclass(frozen=True)
class Heartbeat(Message):
    """The runner is there; runner_watch.py says what happens without. `usd_cap` lowers a cap."""

    event: ClassVar[str] = "heartbeat"
    usd_cap: float | None = None


@dataclass(frozen=True)
class ScoreOpen(Message):
    """Let a trial be scored: whoever presents `token` on the judge's socket is `session`.

    `mode` is trial, check (random ids, no score), reference (all rows; their losses are kept),
    referee, or fresh (`hidden` calls, each after a `score.begin` of its own). `splits` are val or
    test. `hidden` counts the hidden rows; 0: the judge's own. `cores` ("0-3") score; "": all.
    """

    event: ClassVar[str] = "score.open"
    session: str
    token: str
    mode: str
    seed: int
    splits: list[str] = field(default_factory=lambda: ["val"])
    hidden: int = 0
    cores: str = ""


@dataclass(frozen=True)
class ScoreBegin(Message):
    """The answer to a session's first final `ScoreRequested`: no row of that is sent before."""

    event: ClassVar[str] = "score.begin"
    session: str


@dataclass(frozen=True)
class ScoreClose(Message):
    """The session's trial has ended; the judge answers with `ScoreFinished` unless it was sent."""

    event: ClassVar[str] = "score.close"
    session: str


@dataclass(frozen=True)
class ReferenceKeep(Message):
    """Write a session's losses and `facts` to /heldout; `Problem` or else `Stopped` answers."""

    event: ClassVar[str] = "reference.keep"
    session: str
    key: str
    facts: dict[str, Any]


MESSAGES: dict[str, type[Message]] = {cls.event: cls for cls in Message.__subclasses__()}
