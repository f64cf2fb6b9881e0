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
from collections.abc import Callable
from pathlib import Path

import rich
from rich.table import Table

from benchmarks.survival.engine_gate import EngineGate
from benchmarks.survival.faults import KINDS, faults_of
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
        for kind in KINDS:
            seed = random.SystemRandom().randrange(10**6, 10**9)
            with (
                tempfile.TemporaryDirectory() as folder,
                EngineGate(Path(folder) / "engine.sock", socket) as gate,
            ):
                faults = faults_of(kind, gate)
                outcomes.append(
                    survive(
                        kind, Path(folder), engine, gate.address, faults,
                        seed=seed, rounds=args.rounds,
                    )
                )  # fmt: skip
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
    """A column for each run."""
    shown = Table("", *(one.kind for one in outcomes))
    rows: dict[str, Callable[[Outcome], str]] = {
        "faults": lambda one: str(len(one.faults)),
        "trials": lambda one: str(one.trials),
        "trials lost": lambda one: str(one.lost),
        "counted twice": lambda one: str(one.counted_twice),
        "left on the engine": lambda one: str(len(one.left)),
        "error of the wall time, s": lambda one: f"{one.wall_error_seconds:.1f}",
        "error of the training time, s": lambda one: f"{one.training_error_seconds:.1f}",
        "error of the dollars": lambda one: f"{one.usd_error:.4f}",
        "from the budget's end to the last process, s": (
            lambda one: f"{one.last_process_seconds:.1f}"
        ),
        "the whole, s": lambda one: f"{one.seconds:.0f}",
    }
    for name, value in rows.items():
        shown.add_row(name, *map(value, outcomes))
    return shown


if __name__ == "__main__":
    main()
