"""`make bench-knobs`: do better knobs win by more than the noise?

The default of a task, a setting known to be better and one known to be worse, with the same
training seeds, in turns, in trial containers. Results go to `benchmarks/results/knobs.json`; a
table is printed for docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.trainer import trial
from benchmarks.trainer.rows import Row, harnessed
from runner import tasks
from runner.engine.client import Engine
from runner.records.layout import ROOT
from trainer import constants

RESULTS = Path(__file__).parents[1] / "results" / "knobs.json"
TASK = "pystdlib"
SEEDS = (42, 43, 44)
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "better": {"DEPTH": 2, "ASPECT_RATIO": 64, "MATRIX_LR": 0.08, "EMBEDDING_LR": 1.0},
    "worse": {"MATRIX_LR": 0.01, "TOTAL_BATCH_SIZE": 16384},
}


def main() -> None:
    """Trains, prints, writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trainer.knobs", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="training time of a trial")
    parser.add_argument("--cpus", type=float, default=2.0)
    args = parser.parse_args()
    engine = Engine.connect()
    try:
        task, volume = trial.prepared(engine, TASK)
        with trial.opened(engine, task, volume, args.seconds, args.cpus) as bench:
            rows = [
                trial.run(bench, name, seed, _text(task, knobs, seed))
                for seed in SEEDS
                for name, knobs in SETTINGS.items()  # in turns, so that all see the same machine
            ]
    finally:
        engine.close()
    result = {"task": TASK, "seconds": args.seconds, "settings": SETTINGS}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({**result, "rows": [asdict(row) for row in rows]}, indent=2))
    print(table(rows))


def _text(task: tasks.Task, knobs: dict[str, Any], seed: int) -> str:
    source = (ROOT / "trainer" / "train.py").read_text(encoding="utf-8")
    return harnessed(constants.rewrite(source, {**task.knobs, **knobs}), seed=seed)


def table(rows: list[Row]) -> str:
    """One line a seed, val_bpb (steps), and what each setting gains on the default, as Markdown."""
    found = {(row.trainer, row.repeat): row for row in rows}
    head = f"| training seed | {' | '.join(SETTINGS)} |\n|---|{'---|' * len(SETTINGS)}"
    lines = [
        f"| {seed} | " + " | ".join(_cell(found[name, seed]) for name in SETTINGS) + " |"
        for seed in SEEDS
    ]
    return "\n".join(
        [head, *lines, "", *(_gain(name, found) for name in SETTINGS if SETTINGS[name])]
    )


def _cell(row: Row) -> str:
    return f"{row.val_bpb:.3f} ({row.steps})"


def _gain(name: str, found: dict[tuple[str, int], Row]) -> str:
    gains = [found["default", seed].val_bpb - found[name, seed].val_bpb for seed in SEEDS]
    each = ", ".join(f"{gain:+.3f}" for gain in gains)
    mean, deviation = statistics.mean(gains), statistics.stdev(gains)
    return (
        f"{name} gains {each} on the default: mean {mean:+.3f}, standard deviation {deviation:.3f}."
    )


if __name__ == "__main__":
    main()
