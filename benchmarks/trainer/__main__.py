"""`make bench-trainer`: tokens/s, val_bpb after equal seconds, and where a trial's time goes.

Trials run as a run's do: the trainer image, its lock, its data volume, and a judge, whose scoring
is the evaluation that is timed. With `--peer` the same is measured of a public single-file trainer
(a checkout whose train.py has the same knobs), on the same data, model, machine and seconds.
Results go to `benchmarks/results/trainer.json`; a table is printed for docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import platform
from dataclasses import asdict
from pathlib import Path

from benchmarks.trainer import rows, trial
from runner import tasks
from runner.engine.client import Engine

RESULTS = Path(__file__).parents[1] / "results" / "trainer.json"


def main() -> None:
    """Measures, prints, writes."""
    args = _arguments()
    engine = Engine.connect()
    try:
        task, volume = trial.prepared(engine, args.task, args.data)
        knobs = {**task.knobs, **args.knobs}
        texts = {"ours": rows.ours(knobs)}
        if args.peer:
            texts["peer"] = rows.peer(args.peer / "train.py", knobs)
        with trial.opened(engine, task, volume, args.seconds, args.cpus, args.gpu) as bench:
            found = [
                trial.run(bench, name, repeat, text)
                for repeat in range(1, args.repeat + 1)
                for name, text in texts.items()  # in turns, so that both see the same machine
            ]
    finally:
        engine.close()
    machine = f"{platform.machine()}, {args.cpus:g} CPUs" + (
        f", GPU {args.gpu}" if args.gpu else ""
    )
    result = {"machine": machine, "task": args.task, "seconds": args.seconds}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({**result, "rows": [asdict(row) for row in found]}, indent=2))
    print(rows.table(found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trainer", description=__doc__)
    parser.add_argument("--task", default="pystdlib", choices=tasks.task_names())
    parser.add_argument("--data", help="your own text, for the task `text`")
    parser.add_argument("--seconds", type=float, default=30.0, help="training time of a trial")
    parser.add_argument("--repeat", type=int, default=3, help="trials of each trainer")
    parser.add_argument("--cpus", type=float, default=2.0)
    parser.add_argument("--gpu", help="the device's id, such as 0")
    parser.add_argument("--peer", type=Path, help="a checkout with another train.py")
    parser.add_argument("--knobs", type=json.loads, default={}, help='such as {"DEPTH": 8}')
    return parser.parse_args()


if __name__ == "__main__":
    main()
