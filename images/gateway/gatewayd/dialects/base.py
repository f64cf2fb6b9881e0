"""What each provider API must define, and what is read from its requests and responses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..refusal import Refusal, Reply
from .attachments import Attachments
from .tokens import BadReportError, Tokens


@dataclass(frozen=True)
class Route:
    """An allowed method and path.

    Attributes:
        path: path and query as they go upstream.
        model: the model if the path names it, or "".
        streamed: whether the path alone asks for a stream.
        counts: whether the request only counts tokens; such a request is free.
    """

    path: str
    model: str = ""
    streamed: bool = False
    counts: bool = False


@dataclass(frozen=True)
class ModelRequest:
    """A request that the policy allows, with what is needed to price its worst case.

    Attributes:
        route: where it goes.
        model: the model that it asks for.
        body: the parsed request.
        streamed: whether the answer is to be a stream of events.
        output_tokens: the most that it asks to generate; None when it does not say.
        output_floor: the smallest `output_tokens` that still makes sense for it.
        attachments: its pictures and documents.
        cache_writes: the longest-lived cache that it may write to: "", "5m" or "1h".
        changes: fields that the gateway must set for its metering.
    """

    route: Route
    model: str
    body: dict[str, Any]
    streamed: bool
    output_tokens: int | None
    output_floor: int = 1024
    attachments: Attachments = field(default_factory=Attachments)
    cache_writes: str = ""
    changes: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class UsageReading:
    """A usage report as the gateway understands it.

    Attributes:
        tokens: what is charged; where a report can be read in two ways, the larger figures.
        inconsistencies: what in it does not add up, in a few words each.
    """

    tokens: Tokens
    inconsistencies: tuple[str, ...] = ()


@dataclass
class UsageReport:
    """What a provider has reported about an answer so far.

    Attributes:
        usage: the figures; of each, the largest that was reported.
        reading: what they mean.
        seen: whether there were any.
        final: whether the provider has said that no figure follows.
        finished: whether the model has ended its answer; figures may still follow.
        invalid: whether a figure made no sense, so that none can be trusted.
        failure: the provider's word for why the answer failed, or "".
    """

    usage: dict[str, Any] = field(default_factory=dict)
    reading: UsageReading = UsageReading(Tokens())
    seen: bool = False
    final: bool = False
    finished: bool = False
    invalid: bool = False
    failure: str = ""

    @property
    def tokens(self) -> Tokens:
        """The tokens to charge."""
        return self.reading.tokens

    def add(self, usage: dict[str, Any], read: Callable[[dict[str, Any]], UsageReading]) -> None:
        """Adds a report of usage; within one answer the figures only grow.

        Args:
            usage: the figures as the provider names them.
            read: understands such figures.

        Raises:
            BadReportError: a figure makes no sense.
        """
        self.usage = _largest(self.usage, usage)
        self.reading = read(self.usage)
        self.seen = True

    def complete(self, whole: bool) -> bool:
        """Whether the figures are final.

        Args:
            whole: whether the answer arrived to its end.
        """
        ended = self.final or (whole and self.finished)
        return self.seen and not self.invalid and not self.failure and ended


def _largest(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The larger of each figure in two reports of the same answer.

    Raises:
        BadReportError: a figure is below 0.
    """
    merged = dict(before)
    for name, value in after.items():
        known = merged.get(name)
        if isinstance(value, dict):
            merged[name] = _largest(known if isinstance(known, dict) else {}, value)
        elif isinstance(value, int) and value < 0:
            raise BadReportError(f"{name} is {value}")
        elif isinstance(value, int) and isinstance(known, int):
            merged[name] = max(known, value)
        elif value is not None:
            merged[name] = value
    return merged


class Dialect(ABC):
    """One provider API: its allow-list, its usage reports, and its form of a refusal.

    Attributes:
        body_bytes: the longest body that the provider accepts.
        default_output_tokens: the most that a model generates when a request does not say.
    """

    body_bytes: int
    default_output_tokens: int

    @abstractmethod
    def route(self, method: str, target: str) -> Route | None:
        """The allowed route of a raw request target, or None."""

    @abstractmethod
    def credential(self, headers: Mapping[str, str]) -> str:
        """The credential that the client presents, or ""."""

    @abstractmethod
    def request_headers(self, client_headers: Mapping[str, str], api_key: str) -> dict[str, str]:
        """The headers for the provider: the key, and the client's own as far as allowed."""

    @abstractmethod
    def parse(self, route: Route, body: dict[str, Any]) -> ModelRequest:
        """Checks a body against the policy, and reads what its price depends on.

        Raises:
            Refusal: the policy forbids something in the body, or the body is malformed.
        """

    @abstractmethod
    def with_output_limit(self, body: dict[str, Any], output_tokens: int) -> dict[str, Any]:
        """A copy of the body that generates at most `output_tokens`."""

    @abstractmethod
    def count_request(self, request: ModelRequest) -> tuple[str, dict[str, Any]]:
        """Path and body of the provider's free token count for a request; path "" for none."""

    @abstractmethod
    def counted_tokens(self, answer: dict[str, Any]) -> int:
        """The prompt's tokens in the answer to `count_request`; 0 when it does not say.

        Raises:
            BadReportError: the figure makes no sense.
        """

    @abstractmethod
    def read_event(self, report: UsageReport, event: dict[str, Any]) -> None:
        """Adds the usage in one event of a stream, or in a whole answer, to the report.

        Raises:
            BadReportError: a figure makes no sense.
        """

    @abstractmethod
    def failure(self, event: dict[str, Any]) -> str:
        """The provider's word for a failure in an event (or in a whole answer), or ""."""

    @abstractmethod
    def reply(self, refusal: Refusal) -> Reply:
        """The refusal in this provider's form, with a status that its CLI survives."""

    def streamed_reply(self, refusal: Refusal) -> Reply:
        """The refusal of a request that asked for a stream."""
        return self.reply(refusal)


def bearer(headers: Mapping[str, str]) -> str:
    """The credential of an `Authorization: Bearer` header, or ""."""
    scheme, _, credential = headers.get("Authorization", "").partition(" ")
    return credential if scheme.lower() == "bearer" else ""


def plain_headers(client_headers: Mapping[str, str], *names: str) -> dict[str, str]:
    """Those of the named client headers that are there and are plain text.

    A header that cannot be sent would look like a failure of the provider; a sandbox could use that
    to fake an outage.
    """
    sent = {name: client_headers[name] for name in names if name in client_headers}
    return {name: text for name, text in sent.items() if text.isascii() and text.isprintable()}
