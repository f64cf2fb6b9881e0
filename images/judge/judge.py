"""PID 1 of the judge's container; with arguments, a judge without an engine.

    python judge.py                                  PID 1: messages on stdin and stdout
    python judge.py run --data FOLDER -- COMMAND     scores one train.py, and prints the result
    python judge.py serve --data FOLDER --socket P   takes the messages of a session on stdin

The attacks that it stops: a trial that reads the targets (they never leave this process and its
children), one that answers for another (each has a token of its own), one that keeps the judge
busy or fills its memory (everything that a trial sends is bounded).
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

import pid1
from config_reader import read_config
from messages import Problem, Ready, ReferenceKeep, Start, Started, Stop, Stopped
from pid1 import say, send
from service import Judge, KeepError, facts_of, reference_file
from sessions import Settings
from start_config import JudgeConfig

HELD_OUT = Path("/heldout")
TEST = Path("/test")
SOCKET = Path("/run/judge/judge.sock")
EXIT_DONE, EXIT_BAD_CONFIG, EXIT_SIGTERM = 0, 2, 128 + signal.SIGTERM


def main() -> None:
    """Say `ready`, wait for `start`, and serve until there is an end."""
    pid1.close_to_others()
    pid1.on_sigterm(lambda: _end("SIGTERM", EXIT_SIGTERM))
    send(Ready("judge"))
    arriving = pid1.messages()
    pid1.end_in(pid1.WAIT_FOR_START_SECONDS, lambda: _end("no start came", EXIT_DONE))
    judge: Judge | None = None
    for message in arriving:
        if isinstance(message, Start) and judge is None:
            judge = _started(message)
        elif isinstance(message, Stop):
            _end(message.reason, EXIT_DONE)
        elif judge is not None and isinstance(message, ReferenceKeep):
            try:
                judge.keep(message, HELD_OUT)
            except KeepError as error:
                send(Problem("keeping the reference", str(error)))
            else:
                _end("the reference is kept", EXIT_DONE)
        elif judge is not None:
            judge.take(message)


def _started(start: Start) -> Judge:
    """The judge that a `start` asks for."""
    try:
        config = read_config(JudgeConfig, start.config)
        missing = [file for file in ("task.json", "val.bin") if not (HELD_OUT / file).is_file()]
        if missing:
            raise ValueError(f"{HELD_OUT} has no {missing[0]}")
        judge = Judge(SOCKET, _settings(config), send)
    except (ValueError, OSError) as error:
        send(Problem("reading the start message", str(error)))
        sys.exit(EXIT_BAD_CONFIG)
    pid1.end_in(config.deadline_seconds, lambda: _end("deadline", EXIT_DONE))
    pid1.exit_if_stuck(config.deadline_seconds)
    facts = facts_of(HELD_OUT, config.reference) if config.reference else None
    send(Started({"reference": facts}))
    say(f"serving {SOCKET}, {'with' if facts else 'without'} a reference")
    return judge


def _settings(config: JudgeConfig) -> Settings:
    folders = {"val": str(HELD_OUT)} | (
        {"test": str(TEST)} if (TEST / "test.bin").is_file() else {}
    )
    return Settings(
        folders=folders,
        references={
            split: str(reference_file(HELD_OUT, split, config.reference))
            for split in folders
            if config.reference
        },
        judged_tokens=config.judged_tokens,
        estimate_tokens=config.estimate_tokens,
        threads=config.threads,
    )


def _end(reason: str, exit_code: int) -> NoReturn:
    """Says `stopped` and ends. The kernel ends the children with PID 1."""
    say(f"stopped: {reason}")
    send(Stopped(reason))
    os._exit(exit_code)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        import without_engine

        sys.exit(without_engine.main(sys.argv[1:]))
    main()
