"""Drives a baseline: an optimiser works by itself until it is told to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from runner.run.drivers.disk_policy import DiskPolicy
from runner.run.drivers.driver import Closing, GaveUp
from runner.sandbox.peer import Peer
from runner.wire.messages import DiskExceeded, Message, Stop, Stopped, TrialEstimated
from runner.wire.model_config import GAVE_UP
from runner.wire.space import EVERY_SETTING_TRIED

OPTIMIZER_GRACE_SECONDS = 10.0
MAX_REASON_CHARS = 500
EXIT_SECONDS = 15.0  # from its word that it stops to its container's end


class OptimizerDriver:
    """Lets an optimiser work until it is told to stop.

    Args:
        peer: the optimiser's container.
        now: seconds on a clock that never goes back.
        prune: ends the trial of a request, by the estimate at a percent of its training.
        disk: is told when the study passes its bound.
    """

    def __init__(
        self,
        peer: Peer,
        now: Callable[[], float] = time.monotonic,
        prune: Callable[[str, int], object] = lambda _request, _step: None,
        disk: DiskPolicy | None = None,
    ) -> None:
        self._peer = peer
        self._prune = prune
        self._disk = disk
        self._now = now
        self._reason = ""
        self._stopped = False
        self._exhausted = False
        self._exits_until = math.inf
        self._end_at = math.inf

    def begin(self) -> None:
        pass

    def handle_message(self, message: Message) -> None:
        if isinstance(message, TrialEstimated):
            self._prune(message.request, message.step)
        if isinstance(message, DiskExceeded) and self._disk is not None:
            self._disk.exceeded(message)
        if not isinstance(message, Stopped):
            return
        if self._end_at < math.inf:
            self._stopped = True
        elif message.reason == EVERY_SETTING_TRIED:
            self._exhausted = True
        else:  # as a rule its exit comes next
            self._reason = message.reason or "no reason given"
            self._exits_until = self._now() + EXIT_SECONDS

    def handle_trial_accepted(self) -> None:
        pass

    def handle_provider_answer(self, status: int) -> None:
        pass

    def handle_refusal(self, reason: str) -> None:
        pass

    def tick(self, trials_in_flight: int) -> None:
        pass

    def gave_up(self) -> GaveUp | None:
        if self._disk is not None and (full := self._disk.gave_up()) is not None:
            return full
        if self._reason.startswith(GAVE_UP):  # its own word that its model is of no use
            return GaveUp(self._reason.removeprefix(GAVE_UP)[:MAX_REASON_CHARS], by="provider")
        if self._now() < self._exits_until:
            return None
        said = f"the sampler stopped, and its container still runs: {self._reason}"
        return GaveUp(said, by="sandbox")

    def exhausted(self) -> bool:
        return self._exhausted

    def container_died(self) -> None:
        self._exits_until = math.inf

    def container_restarted(self) -> None:
        if self._end_at < math.inf:  # nobody heard the stop before
            self._peer.send(Stop("the run is over", max(0.0, self._end_at - self._now())))

    def interrupt(self, reason: str) -> None:
        pass

    def interrupted(self, *, answers_come: bool) -> bool:
        return not answers_come  # its journal holds everything, and each answer as it comes

    def close(self, ending: Closing) -> None:
        self._end_at = self._now() + OPTIMIZER_GRACE_SECONDS
        self._peer.send(Stop(ending.reason, OPTIMIZER_GRACE_SECONDS))

    def closed(self) -> bool:
        return self._stopped or self._exhausted or self._now() >= self._end_at
