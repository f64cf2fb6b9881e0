"""`make bench-trainer`: tokens/s, val_bpb after equal seconds, and where a trial's time goes.

Trials run as a run's do: the trainer image, its lock, its data volume. With `--peer` the same is
measured of a public single-file trainer (a checkout whose train.py has the same knobs), on the same
data, model, machine and seconds. Results go to `benchmarks/results/trainer.json`; a table is
printed for docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import statistics
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runner import data, images, spec
from runner.containers import ContainerSpec, Mount
from runner.engine import Engine
from runner.layout import ROOT
from runner.protocol import Ready, Start, TrialExited, decode, encode
from runner.trials.executor import packed
from trainer import constants

RESULTS = Path(__file__).parents[1] / "results" / "trainer.json"
IMAGE = "bakeoff/trainer:0.1.0"
HARNESS = Path(__file__).with_name("harness.py")
FIVE_MINUTES = 300
UNTIMED_STEPS = 11  # while a GPU compiles, with both


@dataclass(frozen=True)
class Row:
    """One trial; times in seconds."""

    trainer: str
    seed_run: int
    tokens_per_second: float
    cpu_seconds_per_million_tokens: float
    val_bpb: float
    steps: int
    training: float
    startup: float
    loading: float
    evaluation: float
    whole: float

    @property
    def lost(self) -> float:
        """Seconds that were neither training nor evaluation."""
        return self.whole - self.training - self.evaluation


def main() -> None:
    """Measures, prints, writes."""
    args = _arguments()
    engine = Engine.connect()
    try:
        images.ensure(engine, ["trainer"])
        task = spec.load_task(args.task)
        volume = data.ensure(engine, IMAGE, task, data.input_files(args.data, task), print)
        texts = {"ours": _ours(task, args.knobs)}
        if args.peer:
            texts["peer"] = _peer(args.peer / "train.py", task, args.knobs)
        rows = [
            _trial(engine, name, run, text, volume, args)
            for run in range(args.repeat)
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
    parser.add_argument("--task", default="pystdlib", choices=spec.task_names())
    parser.add_argument("--data", help="your own text, for the task `text`")
    parser.add_argument("--seconds", type=float, default=30.0, help="training time of a trial")
    parser.add_argument("--repeat", type=int, default=3, help="trials of each trainer")
    parser.add_argument("--cpus", type=float, default=2.0)
    parser.add_argument("--gpu", help="the device's id, such as 0")
    parser.add_argument("--peer", type=Path, help="a checkout with another train.py")
    parser.add_argument("--knobs", type=json.loads, default={}, help='such as {"DEPTH": 8}')
    return parser.parse_args()


def _ours(task: spec.Task, knobs: dict[str, Any]) -> str:
    source = (ROOT / "trainer" / "train.py").read_text(encoding="utf-8")
    return _harnessed(constants.rewrite(source, {**task.knobs, **knobs}), peer=False)


def _peer(path: Path, task: spec.Task, knobs: dict[str, Any]) -> str:
    """The peer's text with the knobs that ours has, as far as it has them too."""
    source = path.read_text(encoding="utf-8")
    ours = constants.read((ROOT / "trainer" / "train.py").read_text(encoding="utf-8"))
    theirs = constants.read(source)
    wanted = {**ours, **task.knobs, **knobs}
    shared = {name: value for name, value in wanted.items() if name in theirs}
    return _harnessed(constants.rewrite(source, shared), peer=True)


def _harnessed(text: str, *, peer: bool) -> str:
    given = f"TEXT, PEER = {text!r}, {peer}"
    return HARNESS.read_text(encoding="utf-8").replace('TEXT, PEER = "", False', given)


def _trial(
    engine: Engine, name: str, run: int, text: str, volume: str, args: argparse.Namespace
) -> Row:
    """One trial as the executor starts them, without its ledger."""
    run_id = f"bench-{uuid.uuid4().hex[:12]}"
    wanted = ContainerSpec(
        name=f"bakeoff-{run_id}-trial", image=IMAGE, run_id=run_id, role="trial",
        mounts=(Mount(volume, "/data", read_only=True),),
        tmpfs={"/trial": 1 << 28, "/tmp": 1 << 30},
        memory_bytes=8 << 30, cpus=args.cpus, gpu=args.gpu,
    )  # fmt: skip
    limit = 20 * args.seconds + 600
    config = {
        "train_py_gz": packed(text), "train_seconds": args.seconds, "limit_seconds": limit,
        "output_bytes": 16 << 20, "threads": max(1, int(args.cpus)), "deadline_seconds": limit,
    }  # fmt: skip
    container = engine.create(wanted)
    lines: list[str] = []
    try:
        channel = engine.attach(container)
        engine.start(container)
        for is_stdout, line in channel.lines():
            message = decode(line) if is_stdout else None
            if isinstance(message, Ready):
                channel.send(encode(Start(config)))
            elif isinstance(message, TrialExited) and message.exit_code != 0:
                raise SystemExit(f"error: the trial of {name} failed:\n" + "\n".join(lines[-20:]))
            elif is_stdout and message is None:
                lines.append(line)
        channel.close()
    finally:
        engine.remove(container)
    row = _row(name, run, "\n".join(lines), args.gpu)
    print(f"{name} {run + 1}: {row.tokens_per_second:,.0f} tokens/s, val_bpb {row.val_bpb:.4f}")
    return row


def _row(name: str, run: int, output: str, gpu: str | None) -> Row:
    said = dict(re.findall(r"^(\w+): +([\d.]+)$", output.rpartition("\n---\n")[2], re.M))
    spent = {
        key: float(value) for key, value in re.findall(r"(\w+)=([\d.]+)", output.splitlines()[-1])
    }
    training, steps = float(said["training_seconds"]), int(said["num_steps"])
    untimed = 0 if gpu is None else UNTIMED_STEPS
    timed = spent["tokens"] * (steps - untimed) / steps
    return Row(
        name, run, timed / training, 1e6 * spent["cpu"] / spent["tokens"],
        float(said["val_bpb"]),
        steps, training,
        spent["startup"], spent["loading"], spent["evaluation"], spent["whole"],
    )  # fmt: skip


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
