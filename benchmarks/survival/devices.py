"""`make bench-devices`: how busy devices are, and how fairly runs share them.

Processes of their own hold the lease as runs do. First three runs have twenty trials each, on two
devices; then three runs share one device, and the contestant of one thinks before each trial. Times
are a tenth of those of real trials and less, so a hand-over costs ten times its share. Results go
to `benchmarks/results/devices.json`; the table is printed for docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import rich
from rich.table import Table

from runner.trials.lease import DeviceLease, Holder

RESULTS = Path(__file__).parents[1] / "results" / "devices.json"
NEVER = threading.Event()


@dataclass(frozen=True)
class Plan:
    """What a run does.

    Attributes:
        run: its id.
        devices: the devices, any of which will do.
        trials: how many.
        train_seconds: how long each holds its device.
        think_seconds: how long its contestant thinks before each.
    """

    run: str
    devices: tuple[str, ...]
    trials: int
    train_seconds: float
    think_seconds: float = 0.0


@dataclass(frozen=True)
class Turn:
    """One trial: when it asked for a device, had it, and gave it back."""

    run: str
    device: str
    asked: float
    began: float
    ended: float


@dataclass(frozen=True)
class Shared:
    """What was found.

    Attributes:
        busy_share: of the devices' time in which all runs had trials left, in percent.
        longest_wait_trials: the most trials of others that began while one waited.
        trials: how many were counted.
    """

    busy_share: float
    longest_wait_trials: int
    trials: int


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.survival.devices", description=__doc__
    )
    parser.add_argument("--trials", type=int, default=20, help="of each run")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a trial")
    args = parser.parse_args()
    load = os.getloadavg()[0]
    two = tuple(Plan(f"run-{n}", ("x", "y"), args.trials, args.seconds) for n in range(3))
    thinking = tuple(
        Plan(f"run-{n}", ("x",), args.trials, args.seconds, 0.6 * args.seconds * (n == 0))
        for n in range(3)
    )
    cases = {"3 runs, 2 devices": two, "3 runs, 1 device, one of them thinks": thinking}
    found = {name: measured(plans) for name, plans in cases.items()}
    kept = {
        "machine": platform.machine(), "load": round(load, 1), "trial_seconds": args.seconds,
        **{name: asdict(shared) for name, shared in found.items()},
    }  # fmt: skip
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(kept, indent=2))
    table = Table("", "trials", "devices busy, %", "most trials of others in one wait")
    for name, shared in found.items():
        row = (shared.trials, shared.busy_share, shared.longest_wait_trials)
        table.add_row(name, *map(str, row))
    rich.print(table)


def measured(plans: Iterable[Plan]) -> Shared:
    """Let these runs share their devices, and look at what they did."""
    plans = tuple(plans)
    context = multiprocessing.get_context("spawn")
    done: SimpleQueue[list[Turn]] = context.SimpleQueue()
    barrier = context.Barrier(len(plans))
    with tempfile.TemporaryDirectory() as folder:
        workers = [
            context.Process(target=_run, args=(Path(folder), plan, barrier, done)) for plan in plans
        ]
        for worker in workers:
            worker.start()
        turns = [turn for _ in plans for turn in done.get()]
        for worker in workers:
            worker.join()
    return seen(turns, {device for plan in plans for device in plan.devices})


def seen(turns: list[Turn], devices: set[str]) -> Shared:
    """How busy the devices were until the first run had no more trials, and how long was waited."""
    until = min(max(t.ended for t in turns if t.run == run) for run in {t.run for t in turns})
    since = min(turn.began for turn in turns)
    held = sum(max(0.0, min(turn.ended, until) - turn.began) for turn in turns)
    waited = [
        sum(turn.asked < it.began < turn.began for it in turns if it.run != turn.run)
        for turn in turns
    ]
    share = held / (len(devices) * (until - since))
    return Shared(round(100 * share, 1), max(waited), len(turns))


def _run(
    folder: Path, plan: Plan, barrier: threading.Barrier, done: SimpleQueue[list[Turn]]
) -> None:
    """A run: think, ask for a device, hold it, and again."""
    lease, turns = DeviceLease("engine", plan.devices, folder), []
    barrier.wait()
    for trial in range(1, plan.trials + 1):
        time.sleep(plan.think_seconds)
        asked = time.monotonic()
        with lease.held(NEVER, Holder(plan.run, trial)) as held:
            began = time.monotonic()
            time.sleep(plan.train_seconds)
            turns.append(Turn(plan.run, held.device, asked, began, time.monotonic()))
    done.put(turns)


if __name__ == "__main__":
    main()
