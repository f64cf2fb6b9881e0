"""The clock of a container: seconds since 1970 that never jump.

The clock of a machine is set while trials run, and after a sleep it has leapt. So a moment is the
time of day at which this program began, and what a monotonic clock counted since then. Both parts
travel: programs that began before and after a jump disagree about the time of day, and only they
and the runner's own clock together tell which is right (runner/timing/instants.py).

Standard library only: this file is copied into every image.
"""

from __future__ import annotations

import time

_BASE = time.time() - time.monotonic()


def now() -> float:
    """Seconds since 1970. Differences within one program are those of a monotonic clock."""
    return _BASE + time.monotonic()


def monotonic(moment: float) -> float:
    """What the monotonic clock of this machine said at a moment of `now`, in seconds."""
    return moment - _BASE
