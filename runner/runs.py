"""The runs that there are: their specs, who holds them, and how one is asked to stop."""

from __future__ import annotations

import contextlib
import itertools
import math
import signal
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from runner.errors import UserError
from runner.journal import Journal
from runner.layout import RunDir, shared_folder
from runner.records import Event, Spent, TrialRecord, UsageRecord, read_lines
from runner.spec import RunSpec

STOP_FILE = "stop"
INSIST_SECONDS = 2.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def read_spec(runs: Path, run_id: str) -> RunSpec:
    """The spec of an existing run.

    Raises:
        UserError: there is no such run, or its spec cannot be read.
    """
    path = RunDir(runs / run_id).spec
    try:
        return RunSpec.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"looking for run {run_id}: there is no {path}", hint="`make ps` lists the runs"
        ) from None
    except (OSError, ValidationError) as error:
        raise UserError(f"reading {path}: {error}") from error


def last_spent(run_dir: RunDir) -> Spent:
    """What earlier lives of a run had spent.

    Trials and money are counted from the ledger and the usage, time from the journal.
    """
    trials = list(read_lines(run_dir.trials, TrialRecord))
    usage = list(read_lines(run_dir.usage, UsageRecord))
    return _time_spent(Journal(run_dir).events()).model_copy(
        update={
            "trials": len(trials),
            "train_seconds": math.fsum(trial.train_seconds for trial in trials),
            "usd": math.fsum(request.cost_usd for request in usage),
            "tokens": sum(request.tokens for request in usage),
            "requests": len(usage),
        }
    )


def _time_spent(events: list[Event]) -> Spent:
    """The last reading of the clock, and what passed from there to that life's last event."""
    readings = [i for i, event in enumerate(events) if event.event == "clock.read"]
    if not readings:
        return Spent()
    reading = events[readings[-1]]
    life = itertools.takewhile(lambda e: e.event != "run.resumed", events[readings[-1] :])
    since = (_moment(list(life)[-1]) - _moment(reading)).total_seconds()
    spent = Spent.model_validate(reading.fields)
    return spent.model_copy(
        update={
            "wall_seconds": spent.wall_seconds + since,
            "elapsed_seconds": spent.elapsed_seconds + since,
        }
    )


def _moment(event: Event) -> datetime:
    return datetime.fromisoformat(event.at)


@contextlib.contextmanager
def held(run_dir: RunDir) -> Iterator[None]:
    """Hold the run: one runner at a time.

    Its id is held too, for the whole machine: a run of that name in another folder would have
    containers and volumes of the same names.

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
def stop_signals(
    run_dir: RunDir, insist_seconds: float = INSIST_SECONDS
) -> Iterator[Callable[[], str | None]]:
    """Gives a function that says who wants the run to end: Ctrl-C, SIGTERM, or `bakeoff stop`.

    A second signal ends the run at once, unless it comes within `insist_seconds` of the first: a
    closed terminal, and SIGTERM to `make` and its child, send the same wish twice. A signal that
    was ignored before, as `nohup` has it, stays ignored.
    """
    asked: list[str] = []
    asked_at = math.inf

    def on_signal(number: int, _: object) -> None:
        nonlocal asked_at
        if not asked:
            asked.append(f"{signal.Signals(number).name} to the runner")
            asked_at = time.monotonic()
        elif time.monotonic() - asked_at >= insist_seconds:
            raise KeyboardInterrupt

    heeded = [s for s in STOP_SIGNALS if signal.getsignal(s) is not signal.SIG_IGN]
    before = {s: signal.signal(s, on_signal) for s in heeded}
    try:
        yield lambda: (
            asked[0] if asked
            else "`bakeoff stop`" if (run_dir.path / STOP_FILE).exists() else None
        )  # fmt: skip
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
    (run_dir.path / STOP_FILE).touch()
    return True


def alive(run_dir: RunDir) -> bool:
    """A runner has this run now."""
    return _is_held(run_dir.lock)


def held_anywhere(run_id: str) -> bool:
    """A runner has a run of this name now, in whatever folder of this machine."""
    return _is_held(_machine_lock(run_id))


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
