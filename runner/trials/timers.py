"""What ends a trial from the host: limits on training, scoring and both, and its optimizer."""

from __future__ import annotations

import threading
from collections.abc import Callable

from runner.trials.outcome import Overrun
from runner.trials.terms import Trainer


class Timers:
    """The timers of one trial. Any thread may call any method.

    Args:
        trainer: says how long each part may take.
        margin_seconds: how much later the limit on both ends a trial whose PID 1 has failed.
    """

    def __init__(self, trainer: Trainer, margin_seconds: float) -> None:
        self._trainer = trainer
        self._margin_seconds = margin_seconds
        self._lock = threading.Lock()
        self._on_overrun: Callable[[Overrun], None] = lambda _: None
        self._part: threading.Timer | None = None
        self._whole: threading.Timer | None = None
        self._scoring = False
        self._closed = False

    def begin(self, on_overrun: Callable[[Overrun], None]) -> None:
        """The container starts; `on_overrun` is told which limit was passed."""
        self._on_overrun = on_overrun
        self._whole = self._timer("all", self._trainer.whole_limit + self._margin_seconds)

    def training_began(self) -> None:
        """train.py's process starts."""
        with self._lock:
            if self._part is None and not self._scoring:
                self._part = self._timer("training", self._trainer.training_limit)

    def scoring_began(self) -> None:
        """It has asked for its final score: training is over."""
        with self._lock:
            self._scoring = True
            if self._part is not None:
                self._part.cancel()
            self._part = self._timer("scoring", self._trainer.limit_seconds)

    def scoring_ended(self) -> None:
        """The judge is done with it: what is left is the limit on everything."""
        with self._lock:
            if self._scoring and self._part is not None:
                self._part.cancel()

    def prune(self) -> None:
        """Its optimizer gives it up. One that has asked for its final score goes on."""
        with self._lock:
            if not self._scoring:
                self._timer("pruned", 0.0)

    def close(self) -> None:
        """The trial has ended."""
        with self._lock:
            self._closed = True
            for timer in (self._part, self._whole):
                if timer is not None:
                    timer.cancel()

    def _timer(self, which: Overrun, seconds: float) -> threading.Timer:
        timer = threading.Timer(seconds, self._on_overrun, (which,))
        timer.daemon = True
        if not self._closed:
            timer.start()
        return timer
