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
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.trainer import trial
from benchmarks.trainer.trial import Row
from runner import task_data, tasks
from runner.build import images
from runner.engine.client import Engine
from runner.records.layout import ROOT
from trainer import constants

RESULTS = Path(__file__).parents[1] / "results" / "trainer.json"
FIVE_MINUTES = 300


def main() -> None:
    """Measures, prints, writes."""
    args = _arguments()
    engine = Engine.connect()
    try:
        images.ensure(engine, ["trainer", "data"])
        task = tasks.load_task(args.task)
        inputs = task_data.input_files(args.data, task)
        volume = task_data.ensure(engine, images.image_tag("data"), task, inputs, print)
        texts = {"ours": _ours(task, args.knobs)}
        if args.peer:
            texts["peer"] = _peer(args.peer / "train.py", task, args.knobs)
        with trial.opened(engine, task, volume, args.seconds, args.cpus, args.gpu) as bench:
            rows = [
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
    RESULTS.write_text(json.dumps({**result, "rows": [asdict(row) for row in rows]}, indent=2))
    print(table(rows))


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


def _ours(task: tasks.Task, knobs: dict[str, Any]) -> str:
    source = (ROOT / "trainer" / "train.py").read_text(encoding="utf-8")
    return trial.harnessed(constants.rewrite(source, {**task.knobs, **knobs}))


def _peer(path: Path, task: tasks.Task, knobs: dict[str, Any]) -> str:
    """The peer's text with the knobs that ours has, as far as it has them too."""
    source = path.read_text(encoding="utf-8")
    ours = constants.read((ROOT / "trainer" / "train.py").read_text(encoding="utf-8"))
    theirs = constants.read(source)
    wanted = {**ours, **task.knobs, **knobs}
    shared = {name: value for name, value in wanted.items() if name in theirs}
    return trial.harnessed(constants.rewrite(source, shared), peer=True)


def table(rows: list[Row]) -> str:
    """The medians of each trainer's trials, as Markdown."""
    head = (
        "| trainer | tokens/s | CPU s a million tokens | val_bpb (min–max) | steps "
        "| start-up s | loading | evaluation s "
        "| neither training nor evaluation s | the same in a 5 min trial |\n"
        "|---|---|---|---|---|---|---|---|---|---|"
    )
    return "\n".join(
        [head, *(_line(name, rows) for name in dict.fromkeys(r.trainer for r in rows))]
    )


def _line(name: str, rows: list[Row]) -> str:
    own = [row for row in rows if row.trainer == name]
    bpb = [row.val_bpb for row in own]

    def median(values: list[float]) -> float:
        return statistics.median(values)

    lost = median([row.lost for row in own])
    evaluation = median([row.evaluation for row in own])
    share = lost / (FIVE_MINUTES + evaluation + lost)
    return (
        f"| {name} | {median([row.tokens_per_second for row in own]):,.0f} "
        f"| {median([row.cpu_seconds_per_million_tokens for row in own]):.0f} "
        f"| {median(bpb):.4f} ({min(bpb):.4f}–{max(bpb):.4f}) "
        f"| {median([row.steps for row in own]):.0f} | {median([row.startup for row in own]):.1f} "
        f"| {median([row.loading / row.training for row in own]):.1%} | {evaluation:.1f} "
        f"| {lost:.1f} | {share:.1%} |"
    )


if __name__ == "__main__":
    main()
