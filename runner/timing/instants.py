"""How long it took from one moment to another that different programs saw.

Three clocks tell, and each can be wrong by itself: the time of day, when it is set or leaps after a
sleep; the monotonic clock, between containers that do not share a kernel; and the runner's own,
which begins to count only when a message is read, and so is late after a pause of the runner. The
middle one of the three is within the error of a right one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Instant:
    """A moment, in seconds on three clocks.

    Attributes:
        at: since 1970, on the clock of the program that saw it (runner/wire/steady_clock.py).
        monotonic: on the monotonic clock of its kernel; 0 if it did not say.
        heard: on the runner's monotonic clock, when it read of it.
    """

    at: float
    monotonic: float
    heard: float


def seconds_between(first: Instant, second: Instant) -> float:
    """Seconds from one to the other, negative if the second was before the first."""
    by_day = second.at - first.at
    if not first.monotonic or not second.monotonic:
        return by_day
    by_kernel = second.monotonic - first.monotonic
    return sorted((by_day, by_kernel, second.heard - first.heard))[1]
