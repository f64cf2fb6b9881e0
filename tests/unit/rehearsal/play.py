"""Plays a CLI to the scripted model: keeps the history, hands back what each command printed.

The outputs are made up from the command alone, as the sandbox would print them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from images.rehearsal.scripted_model.conversation import (
    Answer,
    Conversation,
    Event,
    Output,
    Poll,
    Prompt,
    Said,
    Say,
    Shell,
    Step,
)
from images.rehearsal.scripted_model.script import work
from images.rehearsal.scripted_model.session import Session
from images.rehearsal.scripted_model.steps import Work
from images.rehearsal.scripted_model.tools import CliTools
from runner.agents.cli_files import cli_table

FIRST, NUDGE, CLOSING = "Read program.md and begin.", "Go on.", "The time is up. Write STATUS.md."
MAX_STEPS = 200


@dataclass
class Sandbox:
    """What commands print. There are `limit` trials; `scores` holds the val_bpb of each."""

    limit: int = 6
    trials: int = 0
    commits: int = 0
    broken: bool = False
    scores: list[float] = field(default_factory=lambda: [2.5, 2.4, 0.0, 2.9, 2.35, 2.45])

    def run(self, command: str) -> str:
        """The output of one command."""
        if command.startswith("trial "):
            return self.trial(command)
        if "raise ValueError" in command:
            self.broken = True
            return "changed: a projection before the knobs"
        if knob := re.search(r"name = '(\w+)'", command):
            return f"changed: {knob[1]} 0.04 -> 0.06"
        if command.startswith("git commit"):
            self.commits += 1
            return f"commit:{self.commits:07x}"
        if command.startswith("git reset"):
            self.broken = False
        return "head:abcdef0" if "head:" in command else "done"

    def trial(self, command: str) -> str:
        """A trial's output, or that of `trial wait`."""
        waited = re.match(r"trial wait (\d+)", command)
        if waited and int(waited[1]) > self.trials:
            return "trial refused: no such trial\ntrial exit code: 3"
        if not waited and self.trials >= self.limit:
            return "trial refused: the budget of trials is spent\ntrial exit code: 4"
        self.trials += not waited
        accepted = f"trial {self.trials} accepted\n"
        if self.broken:
            return f"{accepted}=== trial {self.trials}: crash\ntrial exit code: 1"
        score = self.scores[self.trials - 1]
        return f"{accepted}val_estimate: val_bpb=9.9\nval_bpb: {score:.6f}\ntrial exit code: 0"


@dataclass
class Cli:
    """One CLI session with its history, and all steps that it was told to take."""

    session: Session
    run: Callable[[str], str]
    events: list[Event] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def ask(self) -> Answer:
        """Send the history as a request."""
        tools = frozenset({"Bash"})
        answer = self.session.answer(Conversation(tuple(self.events), tools, "m", True, 100))
        self.steps.append(answer.step)
        return answer

    def turn(self, prompt: str, stop_before: str = "\0") -> str:
        """One turn; ends when the model stops, or unheard when it sends a command so begun."""
        self.events.append(Prompt(prompt))
        for _ in range(MAX_STEPS):
            answer = self.ask()
            self.events.append(Said())
            if isinstance(answer.step, Say):
                return answer.step.text
            command = answer.step.command if isinstance(answer.step, Shell) else ""
            if command.startswith(stop_before):
                return ""
            self.events.append(Output(answer.number, self.run(command)))
        raise AssertionError("the turn never ended")

    def commands(self) -> list[str]:
        return [step.command for step in self.steps if isinstance(step, Shell)]

    def polls(self) -> list[int]:
        return [step.session for step in self.steps if isinstance(step, Poll)]


def cli_tools(cli: str = "claude") -> CliTools:
    """The tools of a CLI, as its cli.toml has them."""
    return CliTools(cli_table(cli).tools)


def session_of(begin: Callable[[], Work], cli: str = "claude") -> Session:
    """A session of this script with this CLI."""
    return Session(begin, lambda _: None, cli_tools(cli))


def new_session(seed: int = 1, cli: str = "claude") -> Session:
    return session_of(lambda: work(seed), cli)


def new_cli(sandbox: Sandbox, seed: int = 1) -> Cli:
    return Cli(new_session(seed), sandbox.run)


def whole_run(cli: Cli, sandbox: Sandbox) -> int:
    """Turns until the budget is spent; their number."""
    turns = 1
    goodbye = cli.turn(FIRST)
    while "time is up" not in goodbye:
        goodbye = cli.turn(NUDGE)
        turns += 1
        assert turns < 20
    assert sandbox.trials == sandbox.limit
    return turns
