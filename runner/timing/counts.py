"""What PID 1 of a trial counted at several moments, and what it tells of other load.

All functions are pure. The counters are in images/trainer/counters.py.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DISTURBED_SHARE = 0.1  # of the processor time that a trial had and was kept from
DISTURBED_WALL_SHARE = 0.05  # of the trial's time: less than this is no disturbance at all
COUNTS = 6  # numbers in a row of `samples`


@dataclass(frozen=True)
class Count:
    """What the kernel had counted at one moment; the fields are those of `counters.Sample`."""

    at: float
    cpu_seconds: float
    waited_seconds: float | None
    others_seconds: float | None
    stolen_seconds: float | None
    busy_threads: int


# --- other load -----------------------------------------------------------------------------------


def is_disturbed(first: Count, last: Count, seconds: float, quiet_share: float) -> bool:
    """Whether other load kept a trial from a tenth of its processor time, or more.

    Less than a twentieth of the trial's seconds is no disturbance: a trial that sleeps needs hardly
    any processor.

    Args:
        first: the counts at the start of the training.
        last: the counts at its end.
        seconds: how long it took.
        quiet_share: what the pristine train.py lost when it was measured, which is taken off.
    """
    lost = lost_seconds(first, last)
    share = lost_share(first, last)
    if lost is None or share is None:
        return False
    return share - quiet_share >= DISTURBED_SHARE and (lost >= DISTURBED_WALL_SHARE * seconds)


def lost_seconds(first: Count, last: Count) -> float | None:
    """Processor seconds that a trial needed and other load had; None if it was not counted.

    A thread that waits has no processor because either other programs have it or the trial's own
    threads do. So what was lost is the time that the trial's threads waited, or the processor time
    of all others, whichever is less: eight threads on two free processors wait for long, and lose
    nothing; one thread beside a busy processor does not wait. Time that the machine's host stole
    shows in no waiting: of that, the trial's share of all work is added.
    """
    waited = _difference(first.waited_seconds, last.waited_seconds)
    others = _difference(first.others_seconds, last.others_seconds)
    if waited is None or others is None:
        return None
    cpu = last.cpu_seconds - first.cpu_seconds
    stolen = _difference(first.stolen_seconds, last.stolen_seconds) or 0.0
    own_share = cpu / (cpu + others) if cpu + others > 0 else 0.0
    return min(waited, others) + own_share * stolen


def lost_share(first: Count, last: Count) -> float | None:
    """The lost share of the processor time that a trial would have had; None if not counted."""
    lost = lost_seconds(first, last)
    if lost is None:
        return None
    wanted = last.cpu_seconds - first.cpu_seconds + lost
    return lost / wanted if wanted > 0 else 0.0


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else max(0.0, after - before)


# --- samples --------------------------------------------------------------------------------------


def read_counts(measured: Mapping[str, Any]) -> list[Count]:
    """The samples of `TrialExited.measured` in the order of time; rows that are none are left out.

    PID 1 writes them, and train.py cannot. Even so, nothing in them can raise.
    """
    rows = measured.get("samples")
    found = [_count(row) for row in rows] if isinstance(rows, list) else []
    return sorted((count for count in found if count is not None), key=lambda count: count.at)


def _count(row: Any) -> Count | None:
    if not isinstance(row, list) or len(row) != COUNTS:
        return None
    numbers = [_number(value) for value in row]
    at, cpu, busy = numbers[0], numbers[1], numbers[5]
    if at is None or cpu is None or busy is None:
        return None
    return Count(at, cpu, numbers[2], numbers[3], numbers[4], int(busy))


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def count_at(counts: Sequence[Count], moment: float) -> Count:
    """What had been counted at a moment, between two samples on the straight line between them."""
    if moment <= counts[0].at:
        return counts[0]
    for before, after in itertools.pairwise(counts):
        if moment <= after.at:
            part = (moment - before.at) / (after.at - before.at)
            return Count(
                moment,
                before.cpu_seconds + part * (after.cpu_seconds - before.cpu_seconds),
                _between(before.waited_seconds, after.waited_seconds, part),
                _between(before.others_seconds, after.others_seconds, part),
                _between(before.stolen_seconds, after.stolen_seconds, part),
                after.busy_threads,
            )
    return counts[-1]


def _between(before: float | None, after: float | None, part: float) -> float | None:
    return None if before is None or after is None else before + part * (after - before)
