"""The ask/tell loop: which message of the runner leads to which request, and when the loop is over.

Invariant: a suggestion without a result is requested again, with the same request id and knobs,
after a restart and whenever the runner says `start` again. A result that comes twice is told once.
Results are told in the order in which they come, and each is followed by the next suggestion, so
the study's journal has all that a suggestion depended on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

from messages import (
    Message,
    Problem,
    Start,
    Started,
    Stop,
    TrialEstimated,
    TrialFinished,
    TrialRefused,
    TrialRequested,
)
from methods.fallbacks import GaveUpError
from model_config import GAVE_UP
from models.terms import OutOfBudgetError, UselessModelError
from pid1 import say, send
from search import Suggestion, UnknownTrialError
from space import EVERY_SETTING_TRIED, describe

REFUSALS_IN_A_ROW = 10  # the runner takes none of our knobs: more asking would never end
REQUEST = "ask-"


class Over(Exception):  # noqa: N818 # an end is no error
    """The search is over; the text is the reason that `stopped` carries."""


class Search(Protocol):
    """A study, of settings (search.py) or of whole texts (texts.py)."""

    def ask(self) -> Suggestion | None: ...
    def report(self, number: int, step: int, value: float) -> bool: ...
    def tell(
        self, number: int, status: str, value: float | None, summary: Mapping[str, Any]
    ) -> bool: ...
    def outstanding(self) -> list[Suggestion]: ...
    def best(self) -> tuple[float, int] | None: ...


class Loop:
    """Keeps `parallel` requests open until the runner or the sampler has had enough.

    Args:
        search: the study.
        parallel: how many trials may be outstanding at a time.
    """

    def __init__(self, search: Search, parallel: int) -> None:
        self._search = search
        self._parallel = parallel
        self._refusals = 0
        self._last = False
        self._declined: set[int] = set()  # by a runner that takes no more trials
        self._why_no_more = ""

    def begin(self, details: dict[str, str | int]) -> None:
        """Say `started`, repeat the outstanding requests, and make those that are missing.

        Raises:
            Over: there is nothing to request.
        """
        send(Started(details))
        for suggestion in self._search.outstanding():
            _request(suggestion)
            say(f"asked for setting {suggestion.number} again: {_described(suggestion)}")
        self._request_up_to_parallel()

    def handle(self, message: Message) -> None:
        """Act on one message of the runner.

        Raises:
            Over: nothing is left to do, or nothing more may be done.
        """
        if isinstance(message, Stop):
            raise Over(message.reason)
        if isinstance(message, Start):
            self.begin({"again": 1})
        elif isinstance(message, TrialEstimated):
            self._handle_estimated(message)
        elif isinstance(message, TrialFinished):
            self._handle_finished(message)
        elif isinstance(message, TrialRefused):
            self._handle_refused(message)

    def _handle_estimated(self, message: TrialEstimated) -> None:
        """Send an estimate back by which the pruner gives its trial up."""
        number = _number(message.request)
        try:
            given_up = self._search.report(number, message.step, message.value)
        except UnknownTrialError:
            send(Problem(during="reporting", message=f"nobody asked for {message.request!r}"))
            return
        if given_up:
            send(message)
            say(f"setting {number}: given up at {message.step} %, {message.value:.6g}")

    def _handle_finished(self, message: TrialFinished) -> None:
        self._refusals = 0
        self._last = self._last or message.last
        number = _number(message.request)
        if self._tell(message, message.status, message.value, message.summary):
            outcome = (
                f"{message.value:.6g}"
                if message.value is not None
                else f"{message.status} {message.reason}".strip()
            )
            say(f"trial {message.trial} (setting {number}): {outcome} ({self._best()})")
        self._request_up_to_parallel()

    def _handle_refused(self, message: TrialRefused) -> None:
        if message.final:  # others may be under way, and their results are for the study
            self._last = True
            self._declined.add(_number(message.request))
            self._why_no_more = f"no more trials: {message.reason}"
            self._request_up_to_parallel()
            return
        self._refusals += 1
        if self._refusals >= REFUSALS_IN_A_ROW:
            raise Over(f"{self._refusals} requests in a row were refused: {message.reason}")
        number = _number(message.request)
        send(Problem(during=f"asking for setting {number}", message=f"refused: {message.reason}"))
        say(f"setting {number} was refused: {message.reason}")
        self._tell(message, "refused", None, {})
        self._request_up_to_parallel()

    def _tell(
        self,
        answer: TrialFinished | TrialRefused,
        status: str,
        value: float | None,
        summary: Mapping[str, Any],
    ) -> bool:
        """Whether the study learned something new. An unknown request is reported, and no end."""
        try:
            return self._search.tell(_number(answer.request), status, value, summary)
        except UnknownTrialError:
            send(Problem(during="telling", message=f"nobody asked for {answer.request!r}"))
            return False

    def _request_up_to_parallel(self) -> None:
        left = [one for one in self._search.outstanding() if one.number not in self._declined]
        outstanding = len(left)
        while outstanding < self._parallel and not self._last:
            suggestion = self._ask()
            if suggestion is None:
                break
            _request(suggestion)
            say(f"asked for setting {suggestion.number}: {_described(suggestion)}")
            outstanding += 1
        if outstanding == 0:
            done = self._why_no_more or "the last trial is done"
            raise Over(done if self._last else EVERY_SETTING_TRIED)

    def _ask(self) -> Suggestion | None:
        """The next suggestion. What is under way is waited for where it ends."""
        try:
            return self._search.ask()
        except OutOfBudgetError as error:
            self._why_no_more = f"the model's budget is spent: {error}"
        except (GaveUpError, UselessModelError) as error:
            send(Problem(during="asking the model", message=str(error)))
            self._why_no_more = f"{GAVE_UP}{error}"
        say(self._why_no_more)
        self._last = True
        return None

    def _best(self) -> str:
        best = self._search.best()
        return f"best {best[0]:.6g}, setting {best[1]}" if best else "none has worked yet"


def _request(suggestion: Suggestion) -> None:
    request, text = f"{REQUEST}{suggestion.number}", suggestion.text
    send(
        TrialRequested(
            request=request,
            sha256="" if text is None else hashlib.sha256(text.read_bytes()).hexdigest(),
            path="" if text is None else str(text),
            hypothesis=suggestion.words,
            knobs=suggestion.knobs,
            proposal=suggestion.proposal,
        )
    )


def _described(suggestion: Suggestion) -> str:
    source, why = suggestion.proposal.get("by"), suggestion.proposal.get("why")
    words = suggestion.words or describe(suggestion.knobs)
    if not source:
        return words
    return f"{words} (by {source}: {why})" if why else f"{words} (by {source})"


def _number(request: str) -> int:
    digits = request.removeprefix(REQUEST)
    return int(digits) if digits.isdecimal() and digits.isascii() else -1
