"""`make bench-lease`: how soon the first in the queue has a device that was given back.

Processes of their own want the same device, as runs do, and hold it in turns. Results go to
`benchmarks/results/lease.json`; the table is printed for docs/performance.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import platform
import resource
import statistics
import tempfile
import threading
import time
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import rich
from rich.table import Table

from runner.trials.lease import DeviceLease

RESULTS = Path(__file__).parents[1] / "results" / "lease.json"
HOLD_SECONDS = 0.5
NEVER = threading.Event()
Turn = tuple[float, float]  # from when to when a process held the device


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.survival.lease", description=__doc__
    )
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--turns", type=int, default=20, help="of each process")
    args = parser.parse_args()
    load = os.getloadavg()[0]
    gaps, share = handed_over(args.processes, args.turns)
    found = {
        "machine": platform.machine(),
        "load": round(load, 1),
        "processes": args.processes,
        "handovers": len(gaps),
        "median_ms": round(1000 * statistics.median(gaps), 1),
        "longest_ms": round(1000 * max(gaps), 1),
        "core_percent_of_each": round(100 * share, 2),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=2))
    table = Table("hand-overs", "median, ms", "longest, ms", "% of a core, each")
    names = ("handovers", "median_ms", "longest_ms", "core_percent_of_each")
    table.add_row(*(str(found[name]) for name in names))
    rich.print(table)


def handed_over(processes: int, turns: int) -> tuple[list[float], float]:
    """Let processes hold one device in turns.

    Returns:
        The seconds from each giving back to the next holding, and the share of a core that each
        process took meanwhile.
    """
    context = multiprocessing.get_context("spawn")
    held: SimpleQueue[list[Turn] | float] = context.SimpleQueue()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        workers = [
            context.Process(target=_hold, args=(Path(folder), turns, held))
            for _ in range(processes)
        ]
        for worker in workers:
            worker.start()
        found = [held.get() for _ in range(2 * processes)]
        for worker in workers:
            worker.join()
    seconds = time.monotonic() - began
    spans = sorted(turn for part in found if isinstance(part, list) for turn in part)
    used = sum(part for part in found if isinstance(part, float))
    gaps = [begin - ended for (_, ended), (begin, _) in itertools.pairwise(spans)]
    # While processes still start, and once only one is left, nobody waits for what is given back.
    return gaps[processes:-processes], used / processes / seconds


def _hold(folder: Path, turns: int, held: SimpleQueue[list[Turn] | float]) -> None:
    """Hold the device so often, and say when, and how much of the processor that took."""
    lease, spans = DeviceLease("engine", "cpu", folder), []
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(turns):
        with lease.held(NEVER):
            began = time.monotonic()
            time.sleep(HOLD_SECONDS)
            spans.append((began, time.monotonic()))
    after = resource.getrusage(resource.RUSAGE_SELF)
    held.put(spans)
    held.put(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


if __name__ == "__main__":
    main()
