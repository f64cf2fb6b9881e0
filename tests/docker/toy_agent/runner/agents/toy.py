"""A toy CLI: what a new agent needs on the host. The test copies it to `runner/agents/toy.py`."""

from __future__ import annotations

from collections.abc import Iterable

from runner.agents.base import Reading, Turn, TurnOrder, TurnOutcome, events


class Toy:
    """A CLI of one file, see images/agent/toy/toy.py beside this folder."""

    instructions_file = "TOY.md"

    def turn(self, order: TurnOrder) -> Turn:
        """The command line and environment of a turn."""
        resume = ["--resume"] if order.resume else []
        argv = ["toy", "--model", order.model, *resume, order.prompt]
        return Turn(argv, {"TOY_TOKEN": order.token})

    def judge(self, lines: Iterable[str], exit_code: int, stderr_tail: str = "") -> TurnOutcome:
        """Counts commands; a turn has ended when it says so."""
        read = Reading()
        for event in events(lines):
            match event.get("kind"):
                case "ran":
                    read.tool_calls += 1
                case "done":
                    read.finished = True
        return read.outcome(exit_code, stderr_tail, ("no session",))


CLI = Toy()
