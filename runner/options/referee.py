"""What the referee is asked to run again."""

from __future__ import annotations

from typing import cast, get_args

from runner.errors import UserError
from runner.spec import Texts, Verify

MOST_TIMES = 100  # the run's training time, for a retest


def verify_texts(asked: str) -> Verify:
    """Which texts the referee runs again, as VERIFY says it.

    Raises:
        UserError: it is none of best, kept and none.
    """
    for known in get_args(Verify):
        if asked == known:
            return cast(Verify, known)
    raise UserError(
        f"choosing what the referee runs again: VERIFY is {asked!r}",
        hint=f"VERIFY is {', '.join(get_args(Verify))}",
    )


def texts_to_verify(asked: str) -> Texts:
    """Which texts `bakeoff verify` runs again.

    Raises:
        UserError: VERIFY names none, or nothing known.
    """
    which = verify_texts(asked)
    if which == "none":
        raise UserError(
            "choosing what the referee runs again: VERIFY is 'none', so there is nothing to do",
            hint="set VERIFY=best or VERIFY=kept",
        )
    return which


def retest_times(asked: str) -> list[float]:
    """How many times its training time a text is trained for by `bakeoff retest`.

    Raises:
        UserError: a part of TIMES is no number above 0, or there is none.
    """
    try:
        times = sorted({float(part) for part in asked.split(",") if part.strip()})
    except ValueError:
        times = []
    if not times or not all(0 < one <= MOST_TIMES for one in times):
        raise UserError(
            f"choosing how long the best text is trained again: TIMES is {asked!r}",
            hint=f"give numbers above 0 and up to {MOST_TIMES}, with commas, such as TIMES=2,4,8",
        )
    return times
