"""`make bench-survival`: every fault in turn on one agent's run and on one baseline's.

Results go to `benchmarks/results/survival.json`; the table is printed for docs/performance.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import random
import tempfile
from pathlib import Path

import rich
from rich.table import Table

from benchmarks.survival.faults import FAULTS
from benchmarks.survival.measure import Outcome, survive
from runner.engine.address import engine_address
from runner.engine.client import Engine

RESULTS = Path(__file__).parents[1] / "results" / "survival.json"


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.survival", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each fault is done")
    args = parser.parse_args()
    socket = engine_socket()
    outcomes = []
    engine = Engine.connect()
    try:
        for kind in FAULTS:
            seed = random.SystemRandom().randrange(10**6, 10**9)
            with tempfile.TemporaryDirectory() as folder:
                outcomes.append(
                    survive(kind, Path(folder), engine, socket, seed=seed, rounds=args.rounds)
                )
    finally:
        engine.close()
    RESULTS.parent.mkdir(exist_ok=True)
    found = [dataclasses.asdict(outcome) for outcome in outcomes]
    RESULTS.write_text(json.dumps({"machine": platform.machine(), "runs": found}, indent=2))
    rich.print(table(outcomes))


def engine_socket() -> str:
    """The path of the engine's socket.

    Raises:
        SystemExit: the engine is not on this machine.
    """
    where = str(engine_address()[1]["base_url"])
    path = where.removeprefix("http+").removeprefix("unix://")
    if not path.startswith("/"):
        raise SystemExit(f"the engine at {where} has no socket on this machine")
    return path


def table(outcomes: list[Outcome]) -> Table:
    """A row for each run."""
    shown = Table(
        "run", "faults", "trials", "lost", "counted twice", "left", "wall error, s",
        "training error, s", "dollars' error", "end to last process, s", "whole, s",
    )  # fmt: skip
    for one in outcomes:
        shown.add_row(
            one.kind, str(len(one.faults)), str(one.trials), str(one.lost),
            str(one.counted_twice), str(len(one.left)), f"{one.wall_error_seconds:.1f}",
            f"{one.training_error_seconds:.1f}", f"{one.usd_error:.4f}",
            f"{one.last_process_seconds:.1f}", f"{one.seconds:.0f}",
        )  # fmt: skip
    return shown


if __name__ == "__main__":
    main()
