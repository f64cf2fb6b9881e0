"""The policy by which a failed attempt at the provider is repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import tenacity

from ..settings import Limits
from .upstream import UpstreamError, UpstreamResponse

MAX_ATTEMPTS = 12
MAX_WAIT_SECONDS = 20.0


class _StopWhen(tenacity.stop.stop_base):
    """Stops the attempts once a condition holds."""

    def __init__(self, condition: Callable[[], bool]) -> None:
        self._condition = condition

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:  # noqa: ARG002 # tenacity's
        return self._condition()


async def with_retries(
    attempt: Callable[[], Awaitable[UpstreamResponse]],
    give_up: Callable[[], bool],
    limits: Limits,
    on_failure: Callable[[UpstreamError], None],
) -> UpstreamResponse:
    """Tries until there is a response that can be relayed.

    The first attempt is made outside of the policy, because tenacity costs more time than all other
    work of the gateway before the first byte. When it fails, the policy counts it as its first.

    Args:
        attempt: sends the request once.
        give_up: whether the client has disconnected.
        limits: how long to go on, including waits that a provider asks for, and the first wait.
        on_failure: called with every failed attempt.

    Raises:
        UpstreamError: that of the last attempt, when the time or the attempts are used up.
    """
    try:
        return await attempt()
    except UpstreamError as error:
        first_error = [error]

    def wait_seconds(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, UpstreamError) and error.wait_seconds is not None:
            return error.wait_seconds
        return backoff(state)

    def report_failure(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, UpstreamError):
            on_failure(error)

    backoff = tenacity.wait_random_exponential(limits.backoff_seconds, MAX_WAIT_SECONDS)
    policy = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(UpstreamError),
        wait=wait_seconds,
        stop=tenacity.stop_any(
            _StopWhen(give_up),
            tenacity.stop_after_attempt(MAX_ATTEMPTS),
            tenacity.stop_before_delay(limits.retry_seconds),
        ),
        after=report_failure,
        sleep=asyncio.sleep,
        reraise=True,
    )

    async def next_attempt() -> UpstreamResponse:
        if first_error:
            raise first_error.pop()
        return await attempt()

    return await policy(next_attempt)
