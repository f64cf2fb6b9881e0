"""Existing runs: their specs, which runner holds them, and how one is asked to stop."""

from __future__ import annotations

import contextlib
import math
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from runner.errors import UserError
from runner.records.layout import RunDir, shared_folder

INSIST_SECONDS = 2.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def held(run_dir: RunDir) -> Iterator[None]:
    """Hold the run: one runner at a time.

    Its id is held on the whole machine too, because a run of that name in another folder would
    have containers and volumes of the same names.

    Raises:
        UserError: another runner has it.
    """
    run_id = run_dir.path.name
    everywhere = FileLock(_machine_lock(run_id), mode=0o666)
    with contextlib.ExitStack() as locks:
        try:
            locks.enter_context(FileLock(run_dir.lock, timeout=0))
            locks.enter_context(everywhere.acquire(timeout=0))
        except Timeout:
            raise UserError(
                f"taking run {run_id}: a runner has it already",
                hint=f"`make stop RUN={run_id}` ends it gracefully",
            ) from None
        yield


@contextlib.contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """SIGTERM interrupts what is done here, as Ctrl-C does, so that it is cleaned up after."""

    def interrupt(_number: int) -> None:
        raise KeyboardInterrupt

    with on_stop_signals(interrupt):
        yield


@contextlib.contextmanager
def stop_signals(
    run_dir: RunDir, now: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[], str | None]]:
    """Gives a function that says who wants an end: Ctrl-C, SIGTERM, or `bakeoff stop`.

    For what the referee does with a run; what a run itself does is in `runner/recovery/wishes.py`.
    A second signal ends everything at once, unless it comes within `INSIST_SECONDS` of the first: a
    SIGTERM to `make` and its child signals twice.
    """
    asked: list[str] = []
    asked_at = math.inf

    def ask(number: int) -> None:
        nonlocal asked_at
        if not asked:
            asked.append(f"{signal.Signals(number).name} to the runner")
            asked_at = now()
        elif now() - asked_at >= INSIST_SECONDS:
            raise KeyboardInterrupt

    with on_stop_signals(ask):
        yield lambda: (
            asked[0] if asked
            else "`bakeoff stop`" if run_dir.stop.exists() else None
        )  # fmt: skip


def request_stop(runs: Path, run_id: str) -> bool:
    """Ask the run's runner to end it; False when no runner has it.

    Raises:
        UserError: there is no such run.
    """
    run_dir = RunDir(runs / run_id)
    if not run_dir.path.exists():
        raise UserError(f"stopping {run_id}: there is no such run", hint="`make ps` lists the runs")
    if not alive(run_dir):
        return False
    run_dir.stop.touch()
    return True


def unfinished(run_dir: RunDir) -> bool:
    """The run has no result yet, and no runner has it."""
    return run_dir.spec.exists() and not run_dir.result.exists() and not alive(run_dir)


def alive(run_dir: RunDir) -> bool:
    """A runner has this run now."""
    return _is_held(run_dir.lock)


def held_anywhere(run_id: str) -> bool:
    """A runner has a run of this name now, in whatever folder of this machine."""
    return _is_held(_machine_lock(run_id))


@contextlib.contextmanager
def on_stop_signals(do: Callable[[int], None]) -> Iterator[None]:
    """Does this, given the signal's number, when SIGINT or SIGTERM comes.

    A closed terminal (SIGHUP) changes nothing. A signal that was ignored before, as under `nohup`,
    stays ignored. Afterwards all is as before.
    """
    handled = [s for s in STOP_SIGNALS if signal.getsignal(s) is not signal.SIG_IGN]
    before = {s: signal.signal(s, lambda number, _: do(number)) for s in handled}
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _machine_lock(run_id: str) -> Path:
    return shared_folder("bakeoff-runs") / f"{run_id}.lock"


def _is_held(lock: Path) -> bool:
    if not lock.exists():
        return False
    try:
        with FileLock(lock, mode=0o666, timeout=0):
            return False
    except Timeout:
        return True
