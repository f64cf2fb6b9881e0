"""PID 1 of a baseline's container: runs one sampler against the runner's trials.

It ends when the loop is over, on SIGTERM, or at the deadline, which holds even when the host is
lost. The main thread reads messages and takes signals; a worker thread asks and tells, so that a
long fit of a Gaussian process delays no end. An end in the middle of an ask is safe: see search.py.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pid1
from config_reader import read_config
from disk_use import DiskBound, DiskUse, Exceeded, limit_files
from disk_watch import DiskWatch
from messages import DiskExceeded, Message, Problem, Ready, Start, Stop, Stopped
from model_config import GAVE_UP, ModelConfig
from pid1 import say, send
from space import Knob, parse_space
from start_config import OptimizerConfig

STATE = Path("/state")
EXIT_DONE, EXIT_BROKEN, EXIT_BAD_CONFIG, EXIT_SIGTERM = 0, 1, 2, 128 + signal.SIGTERM

_ending = threading.Lock()


@dataclass(frozen=True)
class Told:
    """What `start` says: the config, and the parts of it that have a form of their own."""

    config: OptimizerConfig
    guide: ModelConfig | None
    space: tuple[Knob, ...]
    disk: DiskBound | None


def main() -> None:
    """Say `ready`, wait for `start`, and work until there is an end."""
    pid1.close_to_others()
    pid1.let_kernel_reap()
    pid1.on_sigterm(lambda: _end("SIGTERM", EXIT_SIGTERM))
    send(Ready(program="optimizer"))
    arriving = pid1.messages()
    pid1.end_in(pid1.WAIT_FOR_START_SECONDS, lambda: _end("no start came", EXIT_DONE))
    told = _wait_for_start(arriving)
    pid1.end_in(told.config.deadline_seconds, lambda: _end("deadline", EXIT_DONE))
    if told.disk is not None:
        _watch_disk(told.disk)
    inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_work, args=(told, inbox), daemon=True).start()
    for message in arriving:
        inbox.put(message)
        if isinstance(message, Stop):
            _end_soon(message)


def _wait_for_start(arriving: Iterator[Message]) -> Told:
    """What the first `start` says. It exits on a `stop` before that."""
    for message in arriving:
        if isinstance(message, Stop):
            _end(message.reason, EXIT_DONE)
        if isinstance(message, Start):
            try:
                config = read_config(OptimizerConfig, message.config)
                model = config.language_model
                guide = None if model is None else read_config(ModelConfig, model)
                disk = None if config.disk is None else read_config(DiskBound, config.disk)
                return Told(config, guide, parse_space(config.space), disk)
            except ValueError as error:
                _break("reading start.config", error, EXIT_BAD_CONFIG)
    raise AssertionError("messages() has no end")


def _watch_disk(bound: DiskBound) -> None:
    """End when the study takes more than this.

    A sampler of the user's own runs in this very process, so this holds against its accidents and
    not against its will.
    """

    def passed(use: DiskUse) -> None:
        found = Exceeded(use.path, use.bytes, use.files, bound.max_bytes, bound.max_files)
        send(DiskExceeded(vars(found)))
        _end(f"the study takes {use.bytes >> 20} MB in {use.files} files", EXIT_BROKEN)

    limit_files(bound.max_bytes)
    DiskWatch([str(STATE)], bound, passed).arm()


def _end_soon(stop: Stop) -> None:
    """End within half of the grace period, should the worker not end the process before."""
    seconds = min(stop.grace_seconds / 2, pid1.seconds_left())
    pid1.end_in(seconds, lambda: _end(stop.reason, EXIT_DONE))


def _work(told: Told, inbox: queue.SimpleQueue[Message]) -> None:
    """Ask and tell until the loop is over. The slow imports are here, after `ready`."""
    import optuna
    from loop import Loop, Over
    from methods.fallbacks import GaveUpError
    from models.terms import OutOfBudgetError, UselessModelError
    from opening import open_search

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # QMC; pinned anyway
    try:
        opened = open_search(STATE, told.config, told.guide, told.space)
        loop = Loop(opened.search, told.config.parallel)
        loop.begin(opened.details)
        while True:
            loop.handle(inbox.get())
    except Over as over:
        _end(str(over), EXIT_DONE)
    except OutOfBudgetError as error:  # before the first trial
        _end(f"the model's budget is spent: {error}", EXIT_DONE)
    except (GaveUpError, UselessModelError) as error:  # likewise
        send(Problem(during="asking the model", message=str(error)))
        _end(f"{GAVE_UP}{error}", EXIT_DONE)
    except (Exception, SystemExit) as error:  # noqa: BLE001 # an unsaid end leaves no reason behind
        _break(f"searching with {told.config.sampler}", error, EXIT_BROKEN)


def _break(during: str, error: BaseException, exit_code: int) -> NoReturn:
    text = f"{type(error).__name__}: {error}"[:2000]
    send(Problem(during=during, message=text))
    _end(f"{during}: {text}", exit_code)


def _end(reason: str, exit_code: int) -> NoReturn:
    """The one way out: the first thread to come here says `stopped`, and all threads end.

    The wait is bounded because a signal may find this very thread in here already.
    """
    _ending.acquire(timeout=1)
    say(f"stopped: {reason}")
    send(Stopped(reason=reason))
    os._exit(exit_code)


if __name__ == "__main__":
    main()
