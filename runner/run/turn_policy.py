"""When an agent's next turn comes, in which session, and how long turns may take.

A CLI ends when its model stops talking, and the run goes on with a nudge. The next turn comes at
once after a good one and later after a bad one. It does not come at all after so many turns in a
row that failed, that did nothing, or that asked for no trial. A session that makes no progress is
given up before that. The counts alone decide: the words of a failing turn are not read, because no
list of error messages is ever complete.
"""

from __future__ import annotations

from dataclasses import dataclass

from runner.agents import TurnOutcome

MAX_FAILURES = 6
MAX_IDLE_TURNS = 8
MAX_OUTAGES = 120  # turns in a row, with the longest pause between them: four hours and more
# An agent may spend a turn on reading and one on thinking. Each later turn is told that only trials
# count, and what is wrong in its sandbox. The bound is that of turns that do nothing at all.
MAX_TURNS_WITHOUT_TRIAL = 8
STUCK_TURNS = 3  # that failed, or did nothing, until their session is given up
# A request that makes its provider fail looks like an outage. A session is kept through common
# outages, which last minutes: this is twenty minutes and more.
STUCK_OUTAGES = 10
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 120.0
IDLE_PAUSE_SECONDS = 5.0
# A turn that shows neither a trial nor an answer of its model for so long has hung: the longest
# answer there is (128,000 tokens, 50 a second) takes 43 minutes, a CLI's longest command ten.
HUNG_SECONDS = 3600.0
LOST_SECONDS = 120.0
PACKING_SHARE, PACKING_SECONDS = 0.15, 20.0  # of the grace period, and at most
STOPPING_SHARE, STOPPING_SECONDS = 0.05, 2.0


@dataclass(frozen=True)
class TurnTimeouts:
    """How long an agent may take: for a turn that hangs, and for the end of its run.

    The grace period begins when a budget is spent. Its parts:

        turns | end of the turn, packing | end of the containers
              +-- packing_seconds before its end
                                         +-- stopping_seconds before its end

    Attributes:
        grace_seconds: for everything after the run's end: the closing turn, packing, and the end
            of the containers.
        hung_seconds: for a turn that shows no sign of life; it is interrupted, and the next
            one resumes its session.
        lost_seconds: for an interrupted turn to end; after that, the message of its end is taken
            to be lost.
    """

    grace_seconds: float
    hung_seconds: float = HUNG_SECONDS
    lost_seconds: float = LOST_SECONDS

    @property
    def packing_seconds(self) -> float:
        """The end of the grace period, in which no turn runs any more."""
        return min(PACKING_SHARE * self.grace_seconds, PACKING_SECONDS)

    @property
    def stopping_seconds(self) -> float:
        """The end of the grace period, in which the agent is not waited for any more."""
        return min(STOPPING_SHARE * self.grace_seconds, STOPPING_SECONDS)


@dataclass
class TurnPolicy:
    """Counts turns in a row, by how they went.

    Attributes:
        resume: there is a session to go on with.
        worked: there was one at some time.
        failures: turns in a row that failed.
        idle: turns in a row that did nothing.
        outages: turns in a row that failed while the provider was out of reach.
        without_trial: turns in a row that asked for no trial.
        error: what the last turn said of its failure.
    """

    resume: bool = False
    worked: bool = False
    failures: int = 0
    idle: int = 0
    outages: int = 0
    without_trial: int = 0
    error: str = ""
    _good: bool = True
    _refusals: int = 0
    _refused_before: bool = False

    def begin(self) -> bool:
        """A turn begins; returns whether it goes on with the session of the one before.

        What the gateway refused stays in a session's history, and some CLIs send it again and
        again. A failed turn with two refusals ends the session, and so does the second of two
        failed turns in a row with one refusal each.
        """
        refused = not self._good and self._refusals > 0
        if refused and (self._refusals > 1 or self._refused_before):
            self.resume = refused = False
        self._refused_before, self._refusals = refused, 0
        return self.resume

    def refused(self) -> None:
        """The gateway refused a request of the turn; this may be known only after its end."""
        self._refusals += 1

    def take(
        self, outcome: TurnOutcome, trials_asked: int, *, provider_down: bool = False
    ) -> float:
        """Learn how a turn went; returns the seconds to wait before the next one.

        Args:
            outcome: what its transcript says.
            trials_asked: how many trials it asked for.
            provider_down: the gateway's last request met an outage. A turn that failed then is
                tried again for hours, another one for minutes.
        """
        worked = outcome.tool_calls > 0 or trials_asked > 0
        self.resume = (self.resume or worked) and not outcome.session_lost
        self.worked = self.worked or worked
        self.error, self._good = outcome.error, outcome.good
        if trials_asked > 0:
            self.without_trial = 0
        if provider_down and not outcome.good:
            return self._wait_for_the_provider()
        if trials_asked == 0:
            self.without_trial += 1
        if outcome.good:
            self.failures = self.idle = self.outages = 0
            return 0.0
        if outcome.kind == "idle":
            self.idle = 0 if trials_asked > 0 else self.idle + 1
        else:
            self.failures = 1 if trials_asked > 0 else self.failures + 1
        return self._pause(outcome)

    def _wait_for_the_provider(self) -> float:
        self.outages += 1
        self.resume = self.resume and self.outages != STUCK_OUTAGES
        return LONGEST_PAUSE_SECONDS

    def _pause(self, outcome: TurnOutcome) -> float:
        count = self.idle if outcome.kind == "idle" else self.failures
        self.resume = self.resume and count != STUCK_TURNS
        if outcome.kind == "idle":
            return IDLE_PAUSE_SECONDS
        return float(min(FIRST_PAUSE_SECONDS * 2 ** (count - 1), LONGEST_PAUSE_SECONDS))

    def gave_up(self) -> str | None:
        """Why there should be no further turn, or None."""
        if self.failures >= MAX_FAILURES:
            return f"{self.failures} turns in a row failed; the last one: {self.error[:300]}"
        if self.outages >= MAX_OUTAGES:
            return f"the provider was out of reach for {self.outages} turns: {self.error[:300]}"
        if self.idle >= MAX_IDLE_TURNS:
            return f"{self.idle} turns in a row did nothing"
        if self.without_trial >= MAX_TURNS_WITHOUT_TRIAL:
            return f"no trial in {self.without_trial} turns"
        return None
