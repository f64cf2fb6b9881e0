"""`make bench-start`: from a run's start to its first request of a model, beside a bare CLI.

Each round starts, in turn, every CLI alone in a container, a rehearsed run of it with the proof of
its lock, and one without that. Results go to `benchmarks/results/start.json`; the table is printed
for docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import rich
from rich.table import Table

from benchmarks.start.measure import STEPS, Start, start_of_cli, start_of_run
from runner.build import images
from runner.engine.client import Engine

RESULTS = Path(__file__).parents[1] / "results" / "start.json"
AGENTS = {"Codex": "gpt", "Claude Code": "sonnet", "Gemini CLI": "gemini"}
BARE, WHOLE, UNPROVED = "bare CLI", "run", "run without the proof"


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="how many of each kind")
    args = parser.parse_args()
    before = os.getloadavg()[0]
    engine = Engine.connect()
    try:
        images.ensure(engine, images.everyday())
        version, found = engine.info().version, measured(engine, args.runs)
    finally:
        engine.close()
    RESULTS.parent.mkdir(exist_ok=True)
    result = {
        "machine": platform.machine(), "cores": os.cpu_count(), "kernel": platform.release(),
        "engine": version, "load_average_before": round(before, 2),
        "load_average_after": round(os.getloadavg()[0], 2), "runs": args.runs, "seconds": found,
    }  # fmt: skip
    RESULTS.write_text(json.dumps(result, indent=2))
    rich.print(table(found))
    rich.print(
        f"{result['cores']} cores, engine {version}, Linux {result['kernel']}; load average "
        f"{result['load_average_before']} before, {result['load_average_after']} after"
    )


def measured(engine: Engine, runs: int) -> dict[str, Any]:
    """CLI → kind of start → all that was measured, in seconds."""
    bare: dict[str, list[float]] = defaultdict(list)
    started: dict[str, dict[str, list[Start]]] = defaultdict(lambda: defaultdict(list))
    for _ in range(runs):
        for cli, agent in AGENTS.items():
            bare[cli].append(round(start_of_cli(engine, agent), 3))
            started[cli][WHOLE].append(start_of_run(engine, agent, proved=True))
            started[cli][UNPROVED].append(start_of_run(engine, agent, proved=False))
    return {
        cli: {
            BARE: {"first_request": bare[cli]},
            **{kind: _columns(found) for kind, found in started[cli].items()},
        }
        for cli in AGENTS
    }


def table(found: dict[str, Any]) -> Table:
    """The medians in seconds, with the least and the most of the first request."""
    steps = [step.replace(".", " ") for step in STEPS]
    shown = Table("CLI", "what starts", *steps, "first request", "least to most")
    for cli, kinds in found.items():
        for kind, columns in kinds.items():
            requests = columns["first_request"]
            medians = [_median(columns.get(step, [])) for step in STEPS]
            spread = f"{min(requests):.2f} to {max(requests):.2f}"
            shown.add_row(cli, kind, *medians, _median(requests), spread)
    return shown


def _columns(starts: list[Start]) -> dict[str, list[float]]:
    steps = {
        step: [seconds for start in starts if (seconds := start.steps[step]) is not None]
        for step in STEPS
    }
    return {**steps, "first_request": [start.first_request for start in starts]}


def _median(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f}" if seconds else "–"


if __name__ == "__main__":
    main()
