"""What the run loop asks of a contestant, whatever its kind.

A new kind of contestant is a new driver: the loop, the budgets and the trials are the same for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from runner.wire.messages import Message


@dataclass(frozen=True)
class GaveUp:
    """Why a contestant does not get on: who or what is to blame, and the journal's word for it.

    It is the agent, the provider, the sandbox, or the disk that its volumes take.
    """

    reason: str
    by: str = "agent"
    why: str = "gave_up"

    def explained(self, last_status: int) -> GaveUp:
        """The provider's fault where its last answer to an agent was this HTTP status of an error.

        An optimiser names its reason itself; an error may be what it asked for, to learn what the
        model takes.
        """
        if self.by != "agent" or last_status < HTTPStatus.BAD_REQUEST:
            return self
        reason = f"the provider's last answer was HTTP {last_status}; {self.reason}"
        return GaveUp(reason, by="provider")


@dataclass(frozen=True)
class Closing:
    """Why a run ends, and what the contestant can make of its grace period.

    Attributes:
        reason: in words for the contestant.
        told: the contestant learnt of the end from its last trial.
        can_think: its model still answers.
    """

    reason: str
    told: bool
    can_think: bool


class Driver(Protocol):
    """Drives one contestant. Only the run loop calls it, from one thread."""

    def begin(self) -> None:
        """The contestant has started: let it work."""

    def handle_message(self, message: Message) -> None:
        """The contestant sent a message that is no trial request."""

    def handle_trial_accepted(self) -> None:
        """A request of the contestant became a trial."""

    def handle_provider_answer(self, status: int) -> None:
        """The provider answered the contestant with this HTTP status, or with 0 for none at all."""

    def handle_refusal(self, reason: str) -> None:
        """The gateway refused a request of the contestant; `reason` is that of `request.denied`."""

    def tick(self, trials_in_flight: int) -> None:
        """Do what time alone brings. Called after every event, and at least twice a second."""

    def gave_up(self) -> GaveUp | None:
        """Why the contestant does not get on, which suspends the run; None while it does."""

    def exhausted(self) -> bool:
        """Whether the contestant has tried all that there is to try, which ends the run."""
        return False

    def container_died(self) -> None:
        """The contestant's container has ended by itself, and will be started again."""

    def container_restarted(self) -> None:
        """The contestant's container has been started again: let it work."""

    def interrupt(self, reason: str) -> None:
        """The run is suspended: end what the contestant does, in such a way that it can go on."""

    def interrupted(self, *, answers_come: bool) -> bool:
        """Whether the contestant does nothing any more that would be lost.

        Args:
            answers_come: its gateway may still give it answers to what it asked before.
        """

    def close(self, ending: Closing) -> None:
        """Begin the end."""

    def closed(self) -> bool:
        """Whether the contestant has done everything that it may still do."""
