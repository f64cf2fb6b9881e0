"""How the script takes a step: it waits for the output, and notices when none comes."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import suppress

from .conversation import Observation, Output, Poll, Step

Work = Generator[Step, Observation, None]

_STILL_RUNNING = re.compile(r"Process running with session ID (\d+)")
_TIME_IS_UP = re.compile(r"time is up|budget is spent|run is over", re.IGNORECASE)


class TurnCut(Exception):  # noqa: N818 - an event of the script, no error
    """A prompt came in place of a tool's output: the turn ended in between."""


class TimeIsUp(Exception):  # noqa: N818 - an event of the script, no error
    """The runner or `trial` said that the run is over: write STATUS.md and stop."""


def repeat_until_seen(step: Step) -> Generator[Step, Observation, str]:
    """The output of a step that may be taken twice; it is, when its turn was cut.

    Raises:
        TimeIsUp: the run is over.
    """
    while True:
        with suppress(TurnCut):
            return (yield from take(step))


def take(step: Step) -> Generator[Step, Observation, str]:
    """The output of a step; a command is polled as long as the CLI says that it still runs.

    Raises:
        TurnCut: the turn ended before the output was seen.
        TimeIsUp: the same, because the run is over.
    """
    text = output((yield step))
    while running := _STILL_RUNNING.search(text):
        text = _STILL_RUNNING.sub("", text) + output((yield Poll(int(running.group(1)))))
    return text


def output(seen: Observation) -> str:
    """The text of an output.

    Raises:
        TurnCut: a prompt came instead.
        TimeIsUp: a prompt came that says that the run is over.
    """
    if isinstance(seen, Output):
        return seen.text
    raise TimeIsUp if _TIME_IS_UP.search(seen.text) else TurnCut
