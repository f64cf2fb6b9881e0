"""The messages between the runner and PID 1 of every container: one JSON object a line, both ways.

Standard library only: this very file is copied into every image, and is the only source shared
between host and containers. A line that starts with ``{"event":`` is a message; every other line
is text for a person. Whatever a container says is a claim by an untrusted party: decoding bounds
sizes and checks types, and never raises anything but `ProtocolError`.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, ClassVar

VERSION = 1
MARK = '{"event":'
MAX_LINE_BYTES = 256 * 1024
MAX_TRAIN_PY_BYTES = 1024 * 1024
START_SECONDS = 600.0  # a container that got no `start` by then ends: its runner has died


class ProtocolError(ValueError):
    """A line that looks like a message but is none; the text says what is wrong with it."""


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


@dataclass(frozen=True)
class TrialRequested(Message):
    """The contestant asks for one training.

    An agent sends `sha256` and `path`: the runner fetches that file (at most `MAX_TRAIN_PY_BYTES`)
    and refuses it when the digest differs. An optimiser sends `knobs` (name → value) instead.
    """

    event: ClassVar[str] = "trial.requested"
    request: str
    sha256: str = ""
    path: str = ""
    commit: str = ""
    hypothesis: str = ""
    category: str = "other"
    knobs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrialExited(Message):
    """The trainer's PID 1 saw `train.py` end. `cause`: exited, timeout, output or signal."""

    event: ClassVar[str] = "trial.exited"
    exit_code: int
    cause: str
    seconds: float
    peak_memory_bytes: int = 0
    oom_kills: int = 0


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
    """The gateway saw no provider from `began` to `ended` (unix seconds)."""

    event: ClassVar[str] = "outage"
    began: float
    ended: float
    reason: str


@dataclass(frozen=True)
class CapReached(Message):
    """No further model request fits the run's cap: `budget` is usd, tokens or requests."""

    event: ClassVar[str] = "cap.reached"
    budget: str
    detail: str = ""


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
    """The first message to every container; `config` is documented by the image that reads it."""

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
    """The request became trial number `trial`; it may wait for the device."""

    event: ClassVar[str] = "trial.accepted"
    request: str
    trial: int


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
class TrialFinished(Message):
    """The ledger's word on a trial. `val_bpb` is None unless `status` is ok or pruned."""

    event: ClassVar[str] = "trial.finished"
    request: str
    trial: int
    status: str
    val_bpb: float | None
    train_seconds: float
    summary: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    budget_note: str = ""
    last: bool = False


@dataclass(frozen=True)
class Stop(Message):
    """The run is over: finish within `grace_seconds`, then exit."""

    event: ClassVar[str] = "stop"
    reason: str
    grace_seconds: float


MESSAGES: dict[str, type[Message]] = {
    cls.event: cls
    for cls in (
        Ready, Started, TurnFinished, TrialRequested, TrialExited, Usage, Denied, Outage,
        CapReached, Problem, Stopped, Start, TurnStart, TurnInterrupt, TrialAccepted,
        TrialRefused, TrialLog, TrialFinished, Stop,
    )
}  # fmt: skip

_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "float | None": (int, float, type(None)),
    "bool": (bool,),
    "dict[str, Any]": (dict,),
    "dict[str, str]": (dict,),
    "list[str]": (list,),
}


def encode(message: Message) -> bytes:
    """The message as one line, newline included.

    Raises:
        ProtocolError: the line would be longer than `MAX_LINE_BYTES`.
    """
    body = {"event": message.event, **dataclasses.asdict(message)}
    line = json.dumps(body, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise ProtocolError(f"{message.event}: {len(line)} bytes, at most {MAX_LINE_BYTES}")
    return line


def decode(line: bytes | str) -> Message | None:
    """The message in a line, or None when the line is text for a person.

    Fields that this version does not know are dropped, so that a newer peer is understood.

    Raises:
        ProtocolError: too long, no JSON, an unknown event, or a field missing or of a wrong type.
    """
    text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
    if not text.startswith(MARK):
        return None
    if len(text) > MAX_LINE_BYTES:
        raise ProtocolError(f"message of {len(text)} characters, at most {MAX_LINE_BYTES}")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"no JSON: {error}") from None
    cls = MESSAGES.get(str(body.pop("event")))
    if cls is None:
        raise ProtocolError(f"unknown event in {text[:80]!r}")
    fields = {f.name: f for f in dataclasses.fields(cls)}
    values = {name: value for name, value in body.items() if name in fields}
    for name, value in values.items():
        allowed = _JSON_TYPES[str(fields[name].type)]
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            raise ProtocolError(f"{cls.event}: {name} is {type(value).__name__}")
    try:
        return cls(**values)
    except TypeError as error:
        raise ProtocolError(f"{cls.event}: {error}") from None
