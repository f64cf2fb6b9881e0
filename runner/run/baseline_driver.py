"""Drives a baseline: an optimiser works by itself until it is told to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from runner.run.driver import Closing
from runner.sandbox.peer import Peer
from runner.wire.messages import Message, Stop, Stopped

OPTIMIZER_GRACE_SECONDS = 10.0


class OptimizerDriver:
    """Lets an optimiser work until it is told to stop or has nothing left to ask.

    Args:
        peer: the optimiser's container.
        now: seconds on a clock that never goes back.
    """

    def __init__(self, peer: Peer, now: Callable[[], float] = time.monotonic) -> None:
        self._peer = peer
        self._now = now
        self._stopped = ""
        self._end_at = math.inf

    def begin(self) -> None:
        pass

    def handle_message(self, message: Message) -> None:
        if isinstance(message, Stopped):
            self._stopped = message.reason or "no reason given"

    def handle_trial_accepted(self) -> None:
        pass

    def handle_provider_answer(self, status: int) -> None:
        pass

    def handle_refusal(self, reason: str) -> None:
        pass

    def tick(self, trials_in_flight: int) -> None:
        pass

    def gave_up(self) -> str | None:
        return f"the sampler stopped: {self._stopped}" if self._stopped else None

    def close(self, ending: Closing) -> None:
        self._end_at = self._now() + OPTIMIZER_GRACE_SECONDS
        self._peer.send(Stop(ending.reason, OPTIMIZER_GRACE_SECONDS))

    def closed(self) -> bool:
        return bool(self._stopped) or self._now() >= self._end_at
