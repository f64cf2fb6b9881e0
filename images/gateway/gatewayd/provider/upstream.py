"""Sends requests to the provider, one attempt at a time.

Invariant: the request to the provider is built here from its parts (address from the settings, path
from the allow-list, headers from the dialect), so no byte of the sandbox's framing can reach the
provider. Redirects are not followed, so none carries the key to another host. A connection is made
to an address that `way_out.py` has checked.
"""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import steady_clock
from aiohttp.abc import AbstractResolver

from ..dialects.base import Dialect
from ..dialects.sse import FAILURE_MARKS
from ..refusal import Reason, Refusal
from ..settings import Settings
from .errors import is_account_empty, wait_seconds
from .meter import StreamMeter
from .way_out import CheckedResolver, ForbiddenAddressError

CONNECT_SECONDS = 15.0
ACCOUNT_EMPTY_MESSAGE = (
    "the provider's account has no money left; add credit, then `bakeoff resume`"
)
MAX_ERROR_BYTES = 1024 * 1024
LARGE_BODY_BYTES = 256 * 1024
RETRIED_STATUSES = frozenset({408, 425, 429})
# Content codings that aiohttp decodes; a body in another coding is relayed as it is.
DECODED_CODINGS = frozenset({"gzip", "deflate", "br", "zstd"})
TRANSIENT_FAILURES = re.compile(
    "overload|rate_limit|server_error|api_error|timeout|unavailable", re.I
)
EVENT_END = re.compile(rb"\r?\n\r?\n")
RELAYED_HEADERS = ("retry-after", "request-id", "x-request-id", "x-should-retry")
RELAYED_PREFIXES = ("anthropic-ratelimit-", "x-ratelimit-")


@dataclass(frozen=True)
class UpstreamResponse:
    """A provider's response, up to and including the first bytes of its body.

    Attributes:
        status: the HTTP status.
        content_type: of the body.
        headers: those that are relayed to the client.
        first: the first bytes; for any status but 2xx the whole body, without the key.
        rest: the stream of the bytes after them; None when `first` is the whole body.
        content_length: of the body as it is relayed, in bytes; None where it is unknown.
        began: when the request was sent, in unix seconds.
    """

    status: int
    content_type: str
    headers: Mapping[str, str]
    first: bytes
    rest: aiohttp.ClientResponse | None
    content_length: int | None
    began: float


class UpstreamError(Exception):
    """An attempt without a response that can be relayed; most of them are retried.

    Attributes:
        reason: what was observed, in a few words.
        status: the provider's HTTP status, 0 when there was no response.
        wait_seconds: the wait that the provider asked for; None where it asked for none.
        charged: whether the provider may have billed the attempt.
    """

    def __init__(
        self,
        reason: str,
        status: int = 0,
        wait_seconds: float | None = None,
        charged: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.wait_seconds = wait_seconds
        self.charged = charged


class Upstream:
    """The provider of one run."""

    def __init__(self, settings: Settings, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._key = settings.api_key
        self._base = _base_address(settings.base_url)

    async def attempt(
        self,
        dialect: Dialect,
        path: str,
        body: bytes,
        client_headers: Mapping[str, str],
        streamed: bool,
    ) -> UpstreamResponse:
        """Sends a request once.

        Args:
            dialect: the request's dialect.
            path: path and query, from the allow-list.
            body: the body to send.
            client_headers: the headers that came with the request.
            streamed: whether the response is to be a stream of events.

        Raises:
            UpstreamError: there is no response that the client can use.
            Refusal: the provider's account is empty (QUOTA), or its name leads to an address that
                may not be called (ADDRESS); so another attempt is useless. The second is no
                outage, which would give time back: the provider did not fail, it was not called.
        """
        headers = dialect.request_headers(client_headers, self._key)
        headers |= {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        headers["Accept"] = "text/event-stream" if streamed else "application/json"
        began = steady_clock.now()
        try:
            response = await self._session.post(
                self._address(path), data=_sendable(body), headers=headers, allow_redirects=False
            )
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, ForbiddenAddressError):
                detail = f"the provider is not called: {error.os_error}"
                raise Refusal(Reason.ADDRESS, detail) from None
            raise UpstreamError(f"no connection: {self._clean(str(error.os_error))}") from None
        except TimeoutError:
            raise UpstreamError("no answer in time", charged=True) from None
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamError(f"no answer: {type(error).__name__}") from None
        try:
            return await self._check_response(dialect, response, began, streamed)
        except BaseException:
            response.close()
            raise

    async def _check_response(
        self, dialect: Dialect, response: aiohttp.ClientResponse, began: float, streamed: bool
    ) -> UpstreamResponse:
        if not 200 <= response.status < 300:
            return await self._check_error(response, began)
        try:
            first = await response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamError(
                f"cut before its first byte: {type(error).__name__}", charged=True
            ) from None
        except TimeoutError:
            raise UpstreamError("no body in time after the headers", charged=True) from None
        if not first:
            raise UpstreamError("an empty body", charged=True)
        failure = _first_failure(dialect, first) if streamed else ""
        if is_account_empty(response.status, failure.encode()):
            raise Refusal(Reason.QUOTA, ACCOUNT_EMPTY_MESSAGE)
        if TRANSIENT_FAILURES.search(failure):
            raise UpstreamError(f"the stream began with {failure}", response.status)
        return self._relayable(response, first, response, began)

    async def _check_error(
        self, response: aiohttp.ClientResponse, began: float
    ) -> UpstreamResponse:
        status = response.status
        body = await self._error_body(response)
        response.close()
        if status < 400:
            raise UpstreamError(f"unexpected status {status}", status)
        if is_account_empty(status, body):
            raise Refusal(Reason.QUOTA, ACCOUNT_EMPTY_MESSAGE)
        if status in RETRIED_STATUSES or status >= 500:
            raise UpstreamError(
                f"status {status}",
                status,
                wait_seconds=wait_seconds(response.headers, body),
            )
        return self._relayable(response, body, None, began)

    async def _error_body(self, response: aiohttp.ClientResponse) -> bytes:
        try:
            body = await response.content.read(MAX_ERROR_BYTES)
        except (aiohttp.ClientError, OSError, TimeoutError):
            body = b""
        return body.replace(self._key.encode(), b"[key removed]")

    def _relayable(
        self,
        response: aiohttp.ClientResponse,
        first: bytes,
        rest: aiohttp.ClientResponse | None,
        began: float,
    ) -> UpstreamResponse:
        return UpstreamResponse(
            status=response.status,
            content_type=self._clean(response.headers.get("Content-Type", "application/json")),
            headers=_relayed_headers(response.headers, self._clean),
            first=first,
            rest=rest,
            content_length=_length(response) if rest is not None else len(first),
            began=began,
        )

    def _address(self, path: str) -> str:
        if self._base.endswith("/v1") and path.startswith("/v1/"):
            return self._base + path.removeprefix("/v1")
        return self._base + path

    def _clean(self, text: str) -> str:
        return text.replace(self._key, "[key removed]")


@asynccontextmanager
async def open_session(
    settings: Settings, lookup: AbstractResolver | None = None
) -> AsyncIterator[aiohttp.ClientSession]:
    """Opens an HTTP session with the provider that uses no environment variables or cookies.

    Args:
        settings: the run's.
        lookup: asks the name server; by default as the container's own programs do.
    """
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=CONNECT_SECONDS, sock_read=settings.limits.silence_seconds
    )
    connector: aiohttp.BaseConnector
    if settings.base_url.startswith("unix://"):
        connector = aiohttp.UnixConnector(settings.base_url.removeprefix("unix://"), limit=0)
    else:
        resolver = CheckedResolver(settings, lookup)
        connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=60, resolver=resolver)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=True,
    ) as session:
        yield session


def _sendable(body: bytes) -> bytes | io.BytesIO:
    """A small body in one piece, which is faster; a large one in pieces, to block nobody else."""
    return body if len(body) < LARGE_BODY_BYTES else io.BytesIO(body)


def _base_address(base_url: str) -> str:
    return "http://model" if base_url.startswith("unix://") else base_url.rstrip("/")


def _first_failure(dialect: Dialect, first: bytes) -> str:
    """The provider's word for its failure if the first event of a stream is a failure, or ""."""
    if not any(mark in first for mark in FAILURE_MARKS):
        return ""
    meter = StreamMeter(dialect)
    meter.feed(EVENT_END.split(first.lstrip(), maxsplit=1)[0] + b"\n")
    return meter.report.failure


def _content_coding(headers: Mapping[str, str]) -> str:
    return headers.get("content-encoding", "").strip().lower()


def _length(response: aiohttp.ClientResponse) -> int | None:
    """The length of the body as it is relayed, in bytes, where it is known."""
    return None if _content_coding(response.headers) in DECODED_CODINGS else response.content_length


def _relayed_headers(headers: Mapping[str, str], clean: Callable[[str], str]) -> dict[str, str]:
    """The provider's headers that the client gets, each value passed through `clean`."""
    lowered = {name.lower(): text for name, text in headers.items()}
    names = {*RELAYED_HEADERS}
    if _content_coding(headers) not in DECODED_CODINGS:
        names.add("content-encoding")
    return {
        name: clean(text)
        for name, text in lowered.items()
        if name in names or name.startswith(RELAYED_PREFIXES)
    }
