"""`make bench-cores`: what it gains and costs to divide the cores among several trials.

In turns, one trial of the pristine train.py has all cores, and as many as there are sets train at
a time, each on a set of its own. All hold this machine's cores meanwhile, so no run trains beside
them. Results go to `benchmarks/results/cores.json`; a table is printed for docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.trainer import rows, trial
from benchmarks.trainer.rows import Row
from benchmarks.trainer.trial import Bench
from runner.devices.names import core_sets, cpuset_of
from runner.engine.client import Engine
from runner.records.layout import ROOT
from runner.trials.lease import DeviceLease, Holder
from trainer import constants

RESULTS = Path(__file__).parents[1] / "results" / "cores.json"
TASK = "pystdlib"


def main() -> None:
    """Trains, prints, writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trainer.cores", description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0, help="training time of a trial")
    parser.add_argument("--sets", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    engine = Engine.connect()
    try:
        task, volume = trial.prepared(engine, TASK)
        source = (ROOT / "trainer" / "train.py").read_text(encoding="utf-8")
        text = rows.harnessed(constants.rewrite(source, task.knobs))
        machine = engine.info()
        lease = DeviceLease.of_trials(machine)
        whole: list[list[Row]] = []
        parts: list[list[Row]] = []
        with (
            lease.held(threading.Event(), Holder("bench-cores")),
            trial.opened(engine, task, volume, args.seconds, machine.cpus) as bench,
        ):
            load = os.getloadavg()[0]
            for turn in range(1, args.repeat + 1):
                whole.append([trial.run(bench, "all cores", turn, text)])
                parts.append(divided(bench, machine.cpus, args.sets, turn, text))
    finally:
        engine.close()
    names = (f"1 × {machine.cpus} cores", f"{args.sets} × {machine.cpus // args.sets} cores")
    found = dict(zip(names, (whole, parts), strict=True))
    kept = {name: [[asdict(row) for row in rows] for rows in them] for name, them in found.items()}
    head = {"machine": platform.machine(), "load": round(load, 1), "seconds": args.seconds}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({**head, **kept}, indent=2))
    print(table(found))


def divided(bench: Bench, cores: int, sets: int, turn: int, text: str) -> list[Row]:
    """As many trials at a time as there are sets of cores, each on its own."""
    with ThreadPoolExecutor(sets) as pool:
        running = [
            pool.submit(trial.run, replace(bench, cpus=cores // sets, cpuset=cpuset_of(name)),
                        name, turn, text)
            for name in core_sets(cores, sets)
        ]  # fmt: skip
        return [one.result() for one in running]


def table(found: dict[str, list[list[Row]]]) -> str:
    """For each division, the medians over its turns, as Markdown."""
    head = (
        "| trials × cores | tokens/s, together | tokens/s of one | val_bpb (min–max) "
        "| seconds a trial, start and scoring included |\n|---|---|---|---|---|"
    )
    return "\n".join([head, *(_line(name, turns) for name, turns in found.items())])


def _line(name: str, turns: list[list[Row]]) -> str:
    rows = [row for turn in turns for row in turn]
    together = statistics.median(sum(row.tokens_per_second for row in turn) for turn in turns)
    each = statistics.median(row.tokens_per_second for row in rows)
    bpb = [row.val_bpb for row in rows]
    wall = statistics.median(row.whole for row in rows)
    return (
        f"| {name} | {together:,.0f} | {each:,.0f} "
        f"| {statistics.median(bpb):.3f} ({min(bpb):.3f}–{max(bpb):.3f}) | {wall:.1f} |"
    )


if __name__ == "__main__":
    main()
