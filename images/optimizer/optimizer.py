"""PID 1 of a baseline's container: runs one sampler against the runner's trials.

Three ways to end, whichever comes first: the loop is over, SIGTERM, or the deadline that holds even
when the host is lost. The main thread reads and takes signals; a worker thread asks and tells, so a
long fit of a Gaussian process delays no end. An end in mid-ask is safe: see search.py.
"""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import threading
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from channel import messages, say, send
from protocol import START_SECONDS, Message, Problem, Ready, Start, Stop, Stopped
from space import Knob, SpaceError, parse_space

STATE = Path("/state")
PR_SET_DUMPABLE = 4
EXIT_DONE, EXIT_BROKEN, EXIT_BAD_CONFIG, EXIT_SIGTERM = 0, 1, 2, 128 + signal.SIGTERM
SHORTEST_SECONDS = 0.01  # an interval timer of zero never rings

_leaving = threading.Lock()


@dataclass(frozen=True)
class Config:
    """What `start` asks for; seconds are counted from its arrival."""

    sampler: str
    seed: int
    space: tuple[Knob, ...]
    parallel: int
    deadline_seconds: float


def main() -> None:
    """Say `ready`, wait for `start`, and work until there is an end."""
    _become_pid_1()
    send(Ready(program="optimizer"))
    arriving = messages()
    _leave_in(START_SECONDS, "no start came")
    config = _take_start(arriving)
    _leave_in(config.deadline_seconds, "deadline")
    inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_work, args=(config, inbox), daemon=True).start()
    for message in arriving:
        inbox.put(message)
        if isinstance(message, Stop):
            left_seconds = signal.getitimer(signal.ITIMER_REAL)[0]
            _leave_in(min(message.grace_seconds / 2, left_seconds), message.reason)


def _become_pid_1() -> None:
    """Closed to other processes' eyes, orphans reaped by the kernel, signals answered."""
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _on_sigterm)


def _take_start(arriving: Iterator[Message]) -> Config:
    for message in arriving:
        if isinstance(message, Stop):
            _leave(message.reason, EXIT_DONE)
        if isinstance(message, Start):
            try:
                return _read_config(message.config)
            except (KeyError, TypeError, ValueError) as error:
                _break("reading start.config", error, EXIT_BAD_CONFIG)
    raise AssertionError("messages() has no end")


def _read_config(config: Mapping[str, Any]) -> Config:
    read = Config(
        sampler=str(config["sampler"]),
        seed=int(config["seed"]),
        space=parse_space(config["space"]),
        parallel=int(config.get("parallel", 1)),
        deadline_seconds=float(config["deadline_seconds"]),
    )
    if read.parallel < 1 or read.seed < 0:
        raise SpaceError("parallel must be at least 1, and seed at least 0")
    return read


def _work(config: Config, inbox: queue.SimpleQueue[Message]) -> None:
    """Ask and tell until the loop is over. The slow imports are here, after `ready`."""
    import optuna
    from loop import Loop, Over
    from search import Search

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # QMC; pinned anyway
    try:
        search = Search(STATE, config.sampler, config.seed, config.space)
        loop = Loop(search, config.parallel)
        loop.begin({"sampler": config.sampler, "seed": config.seed, "knobs": len(config.space)})
        while True:
            loop.take(inbox.get())
    except Over as over:
        _leave(str(over), EXIT_DONE)
    except Exception as error:  # noqa: BLE001 # the last word of a process: what is not said is lost
        _break(f"searching with {config.sampler}", error, EXIT_BROKEN)


def _leave_in(seconds: float, reason: str) -> None:
    """Set the one timer: whatever the worker does then, the process ends."""

    def on_alarm(_number: int, _frame: FrameType | None) -> NoReturn:
        _leave(reason, EXIT_DONE)

    signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, SHORTEST_SECONDS))


def _on_sigterm(_number: int, _frame: FrameType | None) -> NoReturn:
    _leave("SIGTERM", EXIT_SIGTERM)


def _break(during: str, error: Exception, exit_code: int) -> NoReturn:
    text = f"{type(error).__name__}: {error}"[:2000]
    send(Problem(during=during, message=text))
    _leave(f"{during}: {text}", exit_code)


def _leave(reason: str, exit_code: int) -> NoReturn:
    """The one way out: the first to come here says `stopped`, and all threads end.

    The wait is bounded because a signal may find this very thread in here already.
    """
    _leaving.acquire(timeout=1)
    say(f"stopped: {reason}")
    send(Stopped(reason=reason))
    os._exit(exit_code)


if __name__ == "__main__":
    main()
