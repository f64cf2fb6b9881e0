"""`make bench-analysis`: how long the analysis takes for a campaign of 10,469 trials in 60 runs.

The runs are made up (runs.py). Four things are timed, each in a process of its own, the fastest of
several: pandas reading the same rows as CSV, `runner.results.dataframes.read`, all that `make
collect` does, and the whole `runner.analysis.run.analyse`. Results go to
`benchmarks/results/analysis.json`; the table is printed for docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.analysis import runs
from runner.records.layout import ROOT

RESULTS = Path(__file__).parents[1] / "results" / "analysis.json"
PARTS = ("csv", "tables", "collect", "analysis")
NAMES = {
    "csv": "pandas reads the same rows as CSV",
    "tables": "the tables, from run directories",
    "collect": "`make collect`: tables, page and figure",
    "analysis": "the whole analysis",
}
AIMS = {"tables": 3.0, "collect": 3.0, "analysis": 60.0}  # seconds
TABLES = ("runs", "trials", "knobs", "requests")


def main() -> None:
    """Makes the runs, measures, prints, writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.analysis", description=__doc__)
    parser.add_argument("--trials", type=int, default=runs.TRIALS)
    parser.add_argument("--seeds", type=int, default=runs.SEEDS, help="runs of each contestant")
    parser.add_argument("--repeats", type=int, default=3, help="of all but the whole analysis")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--timed", nargs=2, help=argparse.SUPPRESS)  # one part, in this process
    args = parser.parse_args()
    if args.timed:
        print(json.dumps(timed(args.timed[0], Path(args.timed[1]))))
        return
    with tempfile.TemporaryDirectory(prefix="bakeoff-bench-") as folder:
        made = prepared(Path(folder), args.trials, args.seeds)
        found = {part: best_of(part, Path(folder), args.repeats) for part in args.parts}
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs"
    result = {"machine": machine, "trials": args.trials, "runs": made, "found": found}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2))
    print(table(args.trials, made, found))


def prepared(folder: Path, trials: int, seeds: int) -> int:
    """Makes the runs, and the CSV files of their tables; returns how many runs there are."""
    from runner.results.dataframes import read

    made = runs.make(folder / "runs", trials, seeds)
    (folder / "csv").mkdir()
    frames = read(folder / "runs")
    for name in TABLES:
        getattr(frames, name).to_csv(folder / "csv" / f"{name}.csv", index=False)
    return made


def best_of(part: str, folder: Path, repeats: int) -> dict[str, float]:
    """Seconds and memory of the fastest of some processes, each of which begins anew."""
    times = 1 if part == "analysis" else repeats
    command = [sys.executable, "-m", "benchmarks.analysis", "--timed", part, str(folder)]
    found = []
    for _ in range(times):
        ran = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
        if ran.returncode:
            raise SystemExit(f"error: the benchmark of {NAMES[part]} failed:\n{ran.stderr[-4000:]}")
        found.append(json.loads(ran.stdout.splitlines()[-1]))
    return min(found, key=lambda one: float(one["seconds"]))


def timed(part: str, folder: Path) -> dict[str, float]:
    """One part in this process; what it imports is not timed."""
    parts = {"csv": _csv, "tables": _tables, "collect": _collect, "analysis": _analysis}
    work = parts[part](folder)
    began, began_cpu = time.perf_counter(), time.process_time()
    work()
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "cpu_seconds": cpu, "peak_mb": peak}


def _csv(folder: Path) -> Callable[[], Any]:
    import pandas as pd

    return lambda: [pd.read_csv(folder / "csv" / f"{name}.csv") for name in TABLES]


def _tables(folder: Path) -> Callable[[], Any]:
    from runner.results.dataframes import read

    return lambda: read(folder / "runs")


def _collect(folder: Path) -> Callable[[], Any]:
    from runner.records.layout import run_folders
    from runner.results import write_results

    return lambda: write_results(run_folders(folder / "runs"), folder / "results")


def _analysis(folder: Path) -> Callable[[], Any]:
    from runner.analysis.run import analyse

    return lambda: analyse([folder / "runs"], folder / "out")


def table(trials: int, made: int, found: dict[str, dict[str, float]]) -> str:
    """What was measured, as Markdown."""
    lines = [
        f"| {trials:,} trials in {made} runs | seconds | aim | processor s | peak MB |",
        "|---|---|---|---|---|",
    ]
    for part, row in found.items():
        aim = f"≤ {AIMS[part]:g}" if part in AIMS else "–"
        lines.append(
            f"| {NAMES[part]} | {row['seconds']:.2f} | {aim} | {row['cpu_seconds']:.2f} "
            f"| {row['peak_mb']:.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
