"""The outage tracker, on a clock of the test: what counts as an outage, and for how long."""

from __future__ import annotations

import asyncio
from typing import Any

from images.gateway.gatewayd.provider.outages import OutageTracker


class Clock:
    """A clock that stands still unless reported."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Reported(list[tuple[float, float, str]]):
    """The outages that were reported, each with its slices joined."""

    slices = 0
    goes_on = False

    def add(self, began: float, ended: float, reason: str, whole_seconds: float) -> None:
        if self.goes_on:
            before, told_until, _ = self.pop()
            assert told_until == began
            began = before
        self.slices += 1
        self.goes_on = whole_seconds == 0
        assert self.goes_on or whole_seconds == ended - began
        self.append((began, ended, reason))

    @property
    def seconds(self) -> float:
        return sum(ended - began for began, ended, _ in self)


def tracker(**bounds: Any) -> tuple[OutageTracker, Reported, Clock]:
    """An outage tracker, what it reports, and its clock."""
    reported, clock = Reported(), Clock()
    return OutageTracker(reported.add, now=clock, **bounds), reported, clock


async def test_an_outage_lasts_from_the_first_failure_to_the_first_success() -> None:
    """Failed attempts of other requests in between belong to the same outage."""
    outages, reported, clock = tracker()
    clock.now = 1001
    outages.attempt_failed(1000, "status 529", "a")
    outages.retry_started()
    clock.now = 1010
    outages.attempt_failed(1009, "status 500", "b")
    outages.attempt_succeeded(1012)
    clock.now = 1013
    outages.retry_ended("a")
    assert reported == [(1000, 1012, "status 529")]


async def test_the_begin_of_an_outage_is_told_once() -> None:
    """Whoever watches sees it while it lasts, and not only when it is over."""
    begun: list[str] = []
    outages = OutageTracker(Reported().add, now=Clock(), report_begin=begun.append)
    for request in ("a", "b"):
        outages.attempt_failed(1000, "status 529", request)
    assert begun == ["status 529"]
    outages.attempt_succeeded(1012)
    outages.attempt_failed(1020, "no connection", "a")
    assert begun == ["status 529", "no connection"]


async def test_idle_time_after_a_failure_is_no_outage() -> None:
    """An agent that waits after a failed request gains no time by it."""
    outages, reported, clock = tracker(bridge_seconds=0.01)
    clock.now = 1001
    outages.attempt_failed(1000, "status 529", "a")
    outages.retry_started()
    clock.now = 1005
    outages.retry_ended("a")
    while not reported:
        await asyncio.sleep(0)
    clock.now = 2000
    outages.attempt_succeeded(1990)
    assert reported == [(1000, 1005, "status 529")]


async def test_successful_attempts_open_no_outage() -> None:
    """Answers, and errors that are the client's own, begin no interval."""
    outages, reported, _ = tracker()
    outages.attempt_succeeded(1000)
    outages.close()
    assert reported == []


async def test_no_outage_while_an_answer_streams() -> None:
    """The model works for another request, so a failure beside it is no outage."""
    outages, reported, clock = tracker()
    with outages.streaming():
        for clock.now in range(1000, 1500, 10):
            outages.attempt_failed(clock.now - 1, "status 429", "a")
    outages.close()
    assert reported == []


async def test_no_outage_in_the_minute_after_an_answer() -> None:
    """An outage begins one minute after the last answer and lasts until the next one."""
    outages, reported, clock = tracker()
    clock.now = 1000
    with outages.streaming():
        pass
    for clock.now in range(1010, 1400, 10):
        outages.attempt_failed(clock.now - 1, "status 529", f"{clock.now}")
    outages.attempt_succeeded(1390)
    assert reported == [(1060, 1390, "status 529")]


async def test_one_answer_per_minute_leaves_no_outage() -> None:
    """This holds however many requests are refused in between."""
    outages, reported, clock = tracker()
    for clock.now in range(1000, 3000, 5):
        if clock.now % 50 == 0:
            outages.attempt_succeeded(clock.now)
            with outages.streaming():
                pass
        else:
            outages.attempt_failed(clock.now - 1, "status 429", f"{clock.now % 7}")
    outages.close()
    assert reported == []


async def test_the_outage_time_from_one_request_is_bounded() -> None:
    """A request that always fails may be at fault itself; many requests together are not."""
    outages, reported, clock = tracker(one_request_seconds=600)
    for clock.now in range(1000, 9000, 20):
        outages.attempt_failed(clock.now - 1, "status 429", "the same")
    outages.close()
    assert reported.seconds <= 620
    several, reported, clock = tracker(one_request_seconds=600)
    for clock.now in range(1000, 9000, 20):
        several.attempt_failed(clock.now - 1, "status 429", f"turn {clock.now // 500}")
    several.close()
    assert reported.seconds > 7500


async def test_the_outage_time_without_a_connection_is_not_bounded() -> None:
    """No request is at fault when a connection cannot be made."""
    outages, reported, clock = tracker(one_request_seconds=600)
    for clock.now in range(1000, 9000, 20):
        outages.attempt_failed(clock.now - 1, "no connection")
    outages.close()
    assert reported.seconds > 7900


async def test_a_long_outage_is_reported_while_it_lasts() -> None:
    """In slices that follow each other, up to the failure of which the runner is told."""
    outages, reported, clock = tracker()
    for clock.now in range(1001, 1100, 7):
        outages.attempt_failed(clock.now - 1, "status 529", f"{clock.now}")
    assert (reported, reported.goes_on) == ([(1000, 1099, "status 529")], True)
    outages.attempt_succeeded(1102)
    assert (reported, reported.goes_on) == ([(1000, 1102, "status 529")], False)
    assert reported.slices == 6


async def test_a_slice_ends_when_it_is_reported() -> None:
    """A request that counts no more adds no slice; what it added before is in the next one."""
    outages, reported, clock = tracker(one_request_seconds=20)
    for clock.now in (1001, 1030):
        outages.attempt_failed(clock.now - 1, "status 529", "the same")
    assert reported == []
    clock.now = 1040
    outages.attempt_failed(1039, "status 529", "another")
    assert reported == [(1000, 1040, "status 529")]
