"""What the three providers' modules have in common: their replies and how a request can fail.

Invariant: no text here holds the token, because none quotes a request's headers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import httpx2

from models.terms import Prompt

# The gateway's own response headers (gatewayd/refusal.py).
REQUEST_HEADER = "x-bakeoff-request"
REFUSAL_HEADER = "x-bakeoff-refusal"
ANSWER_SECONDS = 600.0
CONNECT_SECONDS = 10.0
NOT_THERE = (httpx2.ConnectTimeout, httpx2.NetworkError, httpx2.RemoteProtocolError)
MAX_MESSAGE_CHARS = 300
BASE_URL = "http://gateway"  # the name stands for nothing: the socket is what is connected to


@dataclass(frozen=True)
class Reply:
    """What a provider answered.

    Attributes:
        text: all that the model said, without its thoughts.
        request: the gateway's name of the request.
        cut: the model reached `max_tokens` or the end of its context.
        declined: the provider's word for why the model did not answer; "" if it did.
    """

    text: str
    request: str
    cut: bool = False
    declined: str = ""


@dataclass(frozen=True)
class Fallback:
    """A part of a request that some models or servers refuse, and that it can do without.

    Attributes:
        name: the part's, for people.
        refused: what an error of status 400 or 422 says that refuses it.
    """

    name: str
    refused: re.Pattern[str]


class Api(Protocol):
    """One provider's API, through its SDK."""

    fallbacks: tuple[Fallback, ...]

    def send(self, prompt: Prompt, without: Collection[str]) -> Reply:
        """Send a prompt once.

        Args:
            prompt: the prompt.
            without: names of fallbacks: these parts are left out.

        Raises:
            StatusError: the gateway or the provider refused the request.
            AwayError: the gateway is not there.
            NoReplyError: there is none, or it cannot be read.
        """
        ...


class StatusError(Exception):
    """A response that is no answer.

    Attributes:
        status: of HTTP.
        message: what it says, in one line.
        refusal: the gateway's reason (cap, quota, busy, policy, …); "" if the provider refused.
        request: the gateway's name of the request; "" if it has no record.
    """

    def __init__(self, status: int, message: str, refusal: str, request: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.refusal = refusal
        self.request = request


class AwayError(Exception):
    """The gateway's socket is gone, or was closed before the first byte of a reply."""


class NoReplyError(Exception):
    """There is no reply that can be read; the text says why.

    Attributes:
        request: the gateway's name of the request; "" where no header came.
    """

    def __init__(self, why: str, request: str = "") -> None:
        super().__init__(why)
        self.request = request


class TornError(httpx2.TransportError):
    """A reply ended after its headers: it is paid for, so it must not be asked for again.

    Attributes:
        request_id: the gateway's name of the request.
    """

    def __init__(self, why: str, request_id: str) -> None:
        super().__init__(why)
        self.request_id = request_id


class _WholeReplies(httpx2.HTTPTransport):
    """Reads each body with its headers: from here on they are lost with what reading it raises."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = super().handle_request(request)
        try:
            response.read()
        except httpx2.RequestError as error:
            response.close()
            why = f"the reply was cut off ({type(error).__name__})"
            raise TornError(why, response.headers.get(REQUEST_HEADER, "")) from error
        return response


def open_http(socket: str) -> httpx2.Client:
    """An HTTP client that reaches nothing but the gateway's socket.

    Its connections end with their replies: a new one to a socket costs nothing, and none is left
    open that the gateway may close meanwhile.
    """
    return httpx2.Client(
        transport=_WholeReplies(uds=socket, limits=httpx2.Limits(max_keepalive_connections=0)),
        timeout=httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
        trust_env=False,
    )


def status_error(response: httpx2.Response) -> StatusError:
    """The error that a response is."""
    headers = response.headers
    return StatusError(
        response.status_code,
        one_line(_message(response.text) or f"status {response.status_code}"),
        headers.get(REFUSAL_HEADER, ""),
        headers.get(REQUEST_HEADER, ""),
    )


@contextmanager
def connecting() -> Iterator[None]:
    """Translates the errors of the transport."""
    try:
        yield
    except httpx2.TransportError as error:
        raise lost(error) from None


@contextmanager
def reading() -> Iterator[None]:
    """Translates what comes of a reply that has not the form of one."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise unreadable(error) from None


def lost(error: BaseException | None) -> AwayError | NoReplyError:
    """What an error of the transport means: only a request that had no reply at all is repeated.

    One that timed out may be paid for already.
    """
    if isinstance(error, TornError):
        return NoReplyError(str(error), error.request_id)
    if isinstance(error, NOT_THERE):
        return AwayError(type(error).__name__)
    if isinstance(error, httpx2.TimeoutException):
        return NoReplyError(f"there was no answer within {ANSWER_SECONDS:.0f} seconds")
    return NoReplyError(f"the request failed ({type(error).__name__})")


def unreadable(error: Exception) -> NoReplyError:
    """What is said of a reply that the SDK or this program does not understand."""
    return NoReplyError(f"the provider's reply cannot be read ({type(error).__name__})")


def one_line(text: str) -> str:
    """The beginning of a text, in one line."""
    line = " ".join(text[: 4 * MAX_MESSAGE_CHARS].split())
    return line if len(line) <= MAX_MESSAGE_CHARS else f"{line[: MAX_MESSAGE_CHARS - 1]}…"


def _message(body: str) -> str:
    """What an error says: providers and self-hosted servers each have a place for it."""
    try:
        content: Any = json.loads(body)
    except (ValueError, RecursionError):
        return body
    content = content[0] if isinstance(content, list) and content else content
    for name in ("error", "message", "detail"):
        inner = content.get(name) if isinstance(content, dict) else None
        if isinstance(inner, dict) and isinstance(inner.get("message"), str):
            return str(inner["message"])
        if inner:
            return inner if isinstance(inner, str) else json.dumps(inner)
    return body
