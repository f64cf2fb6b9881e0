"""When an agent's next turn comes: at once after a good one, later after a bad one, or never.

A CLI ends when its model stops talking; the run goes on with a nudge. What ends a run early is
bounded: so many failed turns in a row, or so many turns in a row that did nothing at all.
"""

from __future__ import annotations

from dataclasses import dataclass

from runner.agents import TurnOutcome

MAX_FAILURES = 6
MAX_IDLE_TURNS = 8
MAX_OUTAGES = 120  # turns in a row, with the longest pause between them: four hours and more
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 120.0
IDLE_PAUSE_SECONDS = 5.0


@dataclass
class TurnPolicy:
    """Counts how turns went. `resume` says whether there is a session to go on with."""

    resume: bool = False
    failures: int = 0
    idle: int = 0
    outages: int = 0
    error: str = ""

    def take(
        self, outcome: TurnOutcome, trials_asked: int, *, provider_down: bool = False
    ) -> float:
        """Learn how a turn went; the seconds to wait before the next one.

        Args:
            outcome: what its transcript says.
            trials_asked: how many trials it asked for.
            provider_down: the gateway's last request met an outage; a turn that failed then is
                tried again for hours, not for minutes.
        """
        worked = outcome.tool_calls > 0 or trials_asked > 0
        self.resume = (self.resume or worked) and not outcome.session_lost
        self.error = outcome.error
        if outcome.good:
            self.failures = self.idle = self.outages = 0
            return 0.0
        if provider_down:
            self.outages += 1
            return LONGEST_PAUSE_SECONDS
        if not outcome.error or outcome.error.startswith("ended without a single tool call"):
            self.idle += 1
            return IDLE_PAUSE_SECONDS
        self.failures = 1 if trials_asked > 0 else self.failures + 1
        return float(min(FIRST_PAUSE_SECONDS * 2 ** (self.failures - 1), LONGEST_PAUSE_SECONDS))

    def gave_up(self) -> str | None:
        """Why there should be no further turn, or None."""
        if self.failures >= MAX_FAILURES:
            return f"{self.failures} turns in a row failed; the last one: {self.error[:300]}"
        if self.outages >= MAX_OUTAGES:
            return f"the provider was out of reach for {self.outages} turns: {self.error[:300]}"
        if self.idle >= MAX_IDLE_TURNS:
            return f"{self.idle} turns in a row did nothing"
        return None
