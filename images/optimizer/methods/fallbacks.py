"""Counts how often a model gave nothing usable, and ends a search that is no longer its model's."""

from __future__ import annotations

from collections import deque

from methods.terms import FALLBACK, MODEL, WARM, Proposal

LAST_COUNTED, FEWEST_COUNTED = 20, 10


class GaveUpError(Exception):
    """The model gives too little that can be used; the text says what, and why."""


class Fallbacks:
    """Counts the proposals that were meant for the model. A new process counts anew."""

    def __init__(self) -> None:
        self._last: deque[str] = deque(maxlen=LAST_COUNTED)

    def add(self, proposal: Proposal) -> None:
        """Count a proposal for which the model was asked, or should have been."""
        if proposal.by in (MODEL, WARM, FALLBACK) or proposal.requests:
            self._last.append(proposal.why if proposal.by == FALLBACK else "")

    def check(self) -> None:
        """Hold the share of fallbacks against its bound.

        Raises:
            GaveUpError: more than half of the last 20 proposals are fallbacks, of 10 at least.
        """
        failed = [why for why in self._last if why]
        if len(self._last) >= FEWEST_COUNTED and 2 * len(failed) > len(self._last):
            raise GaveUpError(
                f"{len(failed)} of the last {len(self._last)} proposals of the model "
                f"could not be used, the last one because {failed[-1]}"
            )
