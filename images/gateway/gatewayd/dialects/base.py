"""What a dialect must say about itself, and the two things that it reads: a route and an ask."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..refusal import Refusal, Reply
from ..tokens import Tokens

# The dearest picture of the three providers, rounded up (OpenAI, "original" detail: 10,000
# patches; https://platform.openai.com/docs/guides/images-vision).
IMAGE_TOKENS = 16_384


@dataclass(frozen=True)
class Route:
    """An allowed method and path.

    Attributes:
        path: path and query as they go upstream.
        model: the model when the path names it, else "".
        streamed: whether the path alone asks for a stream.
        counts: the request only counts tokens; it generates nothing and is free.
    """

    path: str
    model: str = ""
    streamed: bool = False
    counts: bool = False


@dataclass(frozen=True)
class Ask:
    """A request that the policy let through, with what is needed to price its worst case.

    Attributes:
        body: the parsed request.
        output_tokens: the most that it may generate, as asked; None when it does not say.
        output_floor: the least `output_tokens` that still makes sense for it.
        images: inline pictures, each counted as `IMAGE_TOKENS`.
        cache_writes: longest cache that it may write to: "", "5m" or "1h".
        changes: fields that the gateway must add for its metering.
    """

    route: Route
    model: str
    body: dict[str, Any]
    streamed: bool
    output_tokens: int | None
    output_floor: int = 1024
    images: int = 0
    cache_writes: str = ""
    changes: Mapping[str, Any] | None = None


@dataclass
class Report:
    """The usage that a provider reported so far.

    Attributes:
        tokens: the figures.
        seen: there were any.
        final: no later figure can follow.
        spoiled: some made no sense, so that none can be believed.
    """

    tokens: Tokens = field(default_factory=Tokens)
    seen: bool = False
    final: bool = False
    spoiled: bool = False

    def complete(self, whole: bool, grows: bool) -> bool:
        """Whether the figures are the last word.

        Args:
            whole: the answer was not cut.
            grows: the dialect's `usage_grows`.
        """
        return self.seen and not self.spoiled and (self.final or (whole and grows))


class Dialect(ABC):
    """One provider API: its allow-list, its accounting, and its way to say no."""

    # The most a model may generate when a request does not say.
    default_output_tokens: int
    # Every event repeats the usage so far, and the last one of a whole stream counts.
    usage_grows: bool = False

    @abstractmethod
    def route(self, method: str, target: str) -> Route | None:
        """The allowed route of a raw request target, or None."""

    @abstractmethod
    def presented(self, headers: Mapping[str, str]) -> str:
        """The credential that the client presents, or ""."""

    @abstractmethod
    def request_headers(self, client: Mapping[str, str], api_key: str) -> dict[str, str]:
        """The headers that go upstream: the key, and what is allowed of the client's own."""

    @abstractmethod
    def read(self, route: Route, body: dict[str, Any]) -> Ask:
        """Checks the policy and reads what matters.

        Raises:
            Refusal: the policy forbids something in the body, or it is malformed.
        """

    @abstractmethod
    def limited(self, body: dict[str, Any], output_tokens: int) -> dict[str, Any]:
        """A copy of the body that generates at most `output_tokens`."""

    @abstractmethod
    def counting(self, ask: Ask) -> tuple[str, dict[str, Any]]:
        """Path and body of the provider's own free token count for this request."""

    @abstractmethod
    def counted(self, answer: dict[str, Any]) -> int:
        """The prompt tokens in the answer to `counting`; 0 when it does not say."""

    @abstractmethod
    def absorb(self, report: Report, event: dict[str, Any]) -> None:
        """Takes the usage out of one event of a stream, or out of a whole answer."""

    @abstractmethod
    def failure(self, event: dict[str, Any]) -> str:
        """Why the first event of a stream says that nothing will follow, or ""."""

    @abstractmethod
    def reply(self, refusal: Refusal) -> Reply:
        """The refusal as this provider would say it, and as its CLI survives it."""

    def streamed_reply(self, refusal: Refusal) -> Reply:
        """The refusal of a request that asked for a stream."""
        return self.reply(refusal)


def bearer(headers: Mapping[str, str]) -> str:
    """The credential of an `Authorization: Bearer` header, or ""."""
    scheme, _, credential = headers.get("Authorization", "").partition(" ")
    return credential if scheme.lower() == "bearer" else ""


def kept(client: Mapping[str, str], *names: str) -> dict[str, str]:
    """The named headers of the client that it sent, where they are plain text.

    What cannot be sent on would look like a failure of the provider, which is what a sandbox that
    wants an outage on the books would try.
    """
    sent = {name: client[name] for name in names if name in client}
    return {name: text for name, text in sent.items() if text.isascii() and text.isprintable()}
