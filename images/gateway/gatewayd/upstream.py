"""Speaks to the provider: one attempt at a time, and the one policy that retries them.

Invariant: the request that goes out is built here from nothing (address from the settings, path
from the allow-list, headers from the dialect), so no byte of the sandbox's framing can reach the
provider, and no redirect carries the key to another host.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import aiohttp
import tenacity

from .dialects.base import Dialect
from .meter import data_of
from .refusal import Reason, Refusal
from .settings import Limits, Settings

CONNECT_SECONDS = 15.0
MAX_ERROR_BYTES = 1024 * 1024
MAX_ATTEMPTS = 12
LONGEST_WAIT_SECONDS = 20.0
RETRIED = frozenset({408, 425, 429})
# A 429 that waiting does not cure: the account has no money left.
SPENT = (b"insufficient_quota", b"billing_hard_limit_reached", b"credit balance is too low")
PASSING_FAILURES = re.compile(
    "overload|rate_limit|server_error|api_error|timeout|unavailable", re.I
)
FAILURE_WORDS = (b"error", b"failed")  # one of them is in every event that says so
PASSED_HEADERS = ("retry-after", "request-id", "x-request-id", "x-should-retry")
PASSED_PREFIXES = ("anthropic-ratelimit-", "x-ratelimit-")


@dataclass(frozen=True)
class Answer:
    """A provider's answer, up to and including the first bytes of its body.

    Attributes:
        first: the first bytes; for anything but a 2xx the whole body, the key removed.
        rest: the stream of what follows, or None when `first` is all.
        began: when the request was sent, in unix seconds.
        first_byte_seconds: from then until `first` was there.
    """

    status: int
    content_type: str
    headers: Mapping[str, str]
    first: bytes
    rest: aiohttp.ClientResponse | None
    content_length: int | None
    began: float
    first_byte_seconds: float


@dataclass
class Trouble(Exception):  # noqa: N818 # the field's word; most of them are retried away
    """An attempt that brought nothing to pass on.

    Attributes:
        reason: what was seen, in a few words.
        status: the provider's status, 0 when there was no answer.
        wait_seconds: what the provider asked for with retry-after.
        charged: the provider may have billed the attempt.
    """

    reason: str
    status: int = 0
    wait_seconds: float | None = None
    charged: bool = False

    def __str__(self) -> str:
        return self.reason


class Upstream:
    """The provider of one run."""

    def __init__(self, settings: Settings, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._key = settings.api_key.get_secret_value()
        self._base = _base_address(settings.base_url)

    async def attempt(
        self, dialect: Dialect, path: str, body: bytes, client: Mapping[str, str], streamed: bool
    ) -> Answer:
        """Sends a request once.

        Raises:
            Trouble: nothing came back that the client can use.
            Refusal: the provider's account is empty; trying again is no use.
        """
        headers = dialect.request_headers(client, self._key)
        headers |= {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        headers["Accept"] = "text/event-stream" if streamed else "application/json"
        began = time.time()
        try:
            response = await self._session.post(
                self._address(path), data=body, headers=headers, allow_redirects=False
            )
        except aiohttp.ClientConnectorError as error:
            raise Trouble(f"no connection: {self._clean(str(error.os_error))}") from None
        except TimeoutError:
            raise Trouble("no answer in time", charged=True) from None
        except (aiohttp.ClientError, OSError) as error:
            raise Trouble(f"no answer: {type(error).__name__}") from None
        try:
            return await self._answered(dialect, response, began, streamed)
        except BaseException:
            response.close()
            raise

    async def _answered(
        self, dialect: Dialect, response: aiohttp.ClientResponse, began: float, streamed: bool
    ) -> Answer:
        if not 200 <= response.status < 300:
            return await self._refused(response, began)
        try:
            first = await response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise Trouble(f"cut at once: {type(error).__name__}", charged=True) from None
        except TimeoutError:
            raise Trouble("silent after its headers", charged=True) from None
        if not first:
            raise Trouble("an empty answer", charged=True)
        failure = _failure(dialect, first) if streamed else ""
        if PASSING_FAILURES.search(failure):
            raise Trouble(f"the stream began with {failure}", response.status)
        return self._made(response, first, response, began)

    async def _refused(self, response: aiohttp.ClientResponse, began: float) -> Answer:
        status = response.status
        body = await self._error_body(response)
        response.close()
        if status < 400:
            raise Trouble(f"status {status}, which is no answer", status)
        if any(mark in body for mark in SPENT):
            raise Refusal(Reason.QUOTA, "the provider's account has no money left")
        if status in RETRIED or status >= 500:
            raise Trouble(
                f"status {status}",
                status,
                wait_seconds=_retry_after(response.headers),
            )
        return self._made(response, body, None, began)

    async def _error_body(self, response: aiohttp.ClientResponse) -> bytes:
        try:
            body = await response.content.read(MAX_ERROR_BYTES)
        except (aiohttp.ClientError, OSError, TimeoutError):
            body = b""
        return body.replace(self._key.encode(), b"[key removed]")

    def _made(
        self,
        response: aiohttp.ClientResponse,
        first: bytes,
        rest: aiohttp.ClientResponse | None,
        began: float,
    ) -> Answer:
        return Answer(
            status=response.status,
            content_type=self._clean(response.headers.get("Content-Type", "application/json")),
            headers={name: self._clean(text) for name, text in _passed(response.headers).items()},
            first=first,
            rest=rest,
            content_length=response.content_length if rest is not None else len(first),
            began=began,
            first_byte_seconds=time.time() - began,
        )

    def _address(self, path: str) -> str:
        if self._base.endswith("/v1") and path.startswith("/v1/"):
            return self._base + path.removeprefix("/v1")
        return self._base + path

    def _clean(self, text: str) -> str:
        return text.replace(self._key, "[key removed]")


@asynccontextmanager
async def open_session(settings: Settings) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with the provider; environment variables and cookies play no part."""
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=CONNECT_SECONDS, sock_read=settings.limits.silence_seconds
    )
    connector: aiohttp.BaseConnector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=60)
    if settings.base_url.startswith("unix://"):
        connector = aiohttp.UnixConnector(settings.base_url.removeprefix("unix://"), limit=0)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=True,
    ) as session:
        yield session


class _StopWhen(tenacity.stop.stop_base):
    """Stops trying once a condition holds."""

    def __init__(self, condition: Callable[[], bool]) -> None:
        self._condition = condition

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:  # noqa: ARG002 # tenacity's
        return self._condition()


async def with_retries(
    attempt: Callable[[], Awaitable[Answer]],
    give_up: Callable[[], bool],
    limits: Limits,
    failed: Callable[[Trouble], None],
) -> Answer:
    """Tries until an answer can be passed on.

    The first attempt is made outside of the policy, whose machinery costs more than all the rest
    of the gateway's work before the first byte; when it fails, the policy counts it as its first.

    Args:
        attempt: sends the request once.
        give_up: whether nobody waits for the answer any more.
        limits: how long to go on, waits that a provider asks for included, and the first wait.
        failed: told of every failed attempt.

    Raises:
        Trouble: the last attempt's, when the time or the attempts are used up.
    """
    try:
        return await attempt()
    except Trouble as trouble:
        first = [trouble]

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, Trouble) and error.wait_seconds is not None:
            return error.wait_seconds
        return backoff(state)

    def tell(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, Trouble):
            failed(error)

    backoff = tenacity.wait_random_exponential(limits.backoff_seconds, LONGEST_WAIT_SECONDS)
    policy = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(Trouble),
        wait=wait,
        stop=tenacity.stop_any(
            _StopWhen(give_up),
            tenacity.stop_after_attempt(MAX_ATTEMPTS),
            tenacity.stop_before_delay(limits.retry_seconds),
        ),
        after=tell,
        sleep=asyncio.sleep,
        reraise=True,
    )

    async def again() -> Answer:
        if first:
            raise first.pop()
        return await attempt()

    return await policy(again)


def _base_address(base_url: str) -> str:
    return "http://model" if base_url.startswith("unix://") else base_url


def _failure(dialect: Dialect, first: bytes) -> str:
    if not any(word in first for word in FAILURE_WORDS):
        return ""
    for line in first.split(b"\n"):
        if line.startswith(b"data:"):
            event = data_of(line)
            return dialect.failure(event) if event else ""
    return ""


def _passed(headers: Mapping[str, str]) -> dict[str, str]:
    lowered = {name.lower(): text for name, text in headers.items()}
    return {
        name: text
        for name, text in lowered.items()
        if name in PASSED_HEADERS or name.startswith(PASSED_PREFIXES)
    }


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait as a provider asks: a number, or a date (RFC 9110, 10.2.3)."""
    asked = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", asked):
        return float(asked)
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
