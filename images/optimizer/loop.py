"""The ask/tell loop: which message of the runner leads to which question, and when it is over.

Invariant: a question that got no answer is asked again, with the same request id and knobs, after a
restart and whenever the runner says `start` again; an answer that came twice is told once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channel import say, send
from protocol import (
    Message,
    Problem,
    Start,
    Started,
    Stop,
    TrialFinished,
    TrialRefused,
    TrialRequested,
)
from search import Ask, Search, UnknownTrialError
from space import describe

REFUSALS_IN_A_ROW = 10  # the runner takes none of our knobs: more asking would never end
REQUEST = "ask-"


class Over(Exception):  # noqa: N818 # an end is no error
    """The search is over; the text is the reason that `stopped` carries."""


class Loop:
    """Keeps `parallel` questions open until the runner or the sampler has had enough.

    Args:
        search: the study.
        parallel: how many trials may be outstanding at a time.
    """

    def __init__(self, search: Search, parallel: int) -> None:
        self._search = search
        self._parallel = parallel
        self._refusals = 0
        self._last = False

    def begin(self, details: dict[str, str | int]) -> None:
        """Say `started`, repeat what is outstanding, and ask what is missing."""
        send(Started(details))
        for ask in self._search.outstanding():
            _send_request(ask)
            say(f"asked for setting {ask.number} again: {describe(ask.knobs)}")
        self._ask_up_to_parallel()

    def take(self, message: Message) -> None:
        """Act on one message of the runner.

        Raises:
            Over: nothing is left to do, or nothing more may be done.
        """
        if isinstance(message, Stop):
            raise Over(message.reason)
        if isinstance(message, Start):
            self.begin({"again": 1})
        elif isinstance(message, TrialFinished):
            self._tell(message)
        elif isinstance(message, TrialRefused):
            self._refused(message)

    def _tell(self, message: TrialFinished) -> None:
        self._refusals = 0
        self._last = self._last or message.last
        number = _number(message.request)
        if self._told(message, message.status, message.val_bpb, message.summary):
            outcome = (
                f"{message.val_bpb:.6g}"
                if message.val_bpb is not None
                else f"{message.status} {message.reason}".strip()
            )
            say(f"trial {message.trial} (setting {number}): {outcome} ({self._best()})")
        self._ask_up_to_parallel()

    def _refused(self, message: TrialRefused) -> None:
        if message.final:
            raise Over(f"no more trials: {message.reason}")
        self._refusals += 1
        if self._refusals >= REFUSALS_IN_A_ROW:
            raise Over(f"{self._refusals} requests in a row were refused: {message.reason}")
        number = _number(message.request)
        send(Problem(during=f"asking for setting {number}", message=f"refused: {message.reason}"))
        say(f"setting {number} was refused: {message.reason}")
        self._told(message, "refused", None, {})
        self._ask_up_to_parallel()

    def _told(
        self,
        answer: TrialFinished | TrialRefused,
        status: str,
        val_bpb: float | None,
        summary: Mapping[str, Any],
    ) -> bool:
        """Whether the study learned something new; an answer to nothing is a problem, no end."""
        try:
            return self._search.tell(_number(answer.request), status, val_bpb, summary)
        except UnknownTrialError:
            send(Problem(during="telling", message=f"nobody asked for {answer.request!r}"))
            return False

    def _ask_up_to_parallel(self) -> None:
        outstanding = len(self._search.outstanding())
        while outstanding < self._parallel and not self._last:
            ask = self._search.ask()
            if ask is None:
                break
            _send_request(ask)
            say(f"asked for setting {ask.number}: {describe(ask.knobs)}")
            outstanding += 1
        if outstanding == 0:
            raise Over("the last trial is done" if self._last else "every setting has been tried")

    def _best(self) -> str:
        best = self._search.best()
        return f"best {best[0]:.6g}, setting {best[1]}" if best else "none has worked yet"


def _send_request(ask: Ask) -> None:
    send(TrialRequested(request=f"{REQUEST}{ask.number}", knobs=ask.knobs))


def _number(request: str) -> int:
    digits = request.removeprefix(REQUEST)
    return int(digits) if digits.isdecimal() and digits.isascii() else -1
