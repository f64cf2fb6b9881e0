"""Measures train.py, and a peer, on this machine as it is: no engine and no container.

For a GPU machine that has torch and no Docker. A trial runs under `judge.py run` (docs/judge.md),
with the harness of `make bench-trainer`. Two steps, of which the first may be done elsewhere:

    python -m benchmarks.trainer.native prepare --task climbmix --data FOLDER --input TEXT
    python -m benchmarks.trainer.native measure --data FOLDER --peer CHECKOUT

The first prepares a text of your own in the shape of a task that cannot be downloaded. The second
trains in turns and prints the table of docs/performance.md; its results go to --result.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.trainer import rows
from benchmarks.trainer.rows import ROOT, Row

JUDGE = ROOT / "images" / "judge" / "judge.py"
PATHS = ("trainer", "images/judge", "runner/wire")
RESULTS = ROOT / "benchmarks" / "results" / "trainer-native.json"
DOCUMENT_BYTES = 7000  # about what fits one row of 2,048 tokens
BPE_BYTES = 32_000_000
# Runs where the trainer's packages are; the task keeps its name, and with it its knobs.
PREPARE = """
import dataclasses, json, sys
from pathlib import Path
from catalog import named_task
from preparation import Places, prepare
name, data, source, fields = sys.argv[1:]
task = dataclasses.replace(named_task(name), **json.loads(fields))
prepare(task, Places(Path(data), Path(data), Path(data, "test"), Path(source)))
"""
ASK = """
import torch
gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
print(f"{gpu}, torch {torch.__version__}")
"""


def main() -> int:
    """Runs one of the two commands; its exit code."""
    args = _arguments()
    if args.what == "prepare":
        return _prepare(args)
    given = {"OMP_NUM_THREADS": str(os.cpu_count()), "BAKEOFF_TRAIN_SECONDS": f"{args.seconds:g}"}
    found = [
        _trial(name, repeat, text, args.data, args.judge_options.split(), given)
        for repeat in range(1, args.repeat + 1)
        for name, text in _texts(args).items()  # in turns, so that both see the same machine
    ]
    result = {"machine": _machine(), "data": str(args.data), "seconds": args.seconds}
    args.result.parent.mkdir(exist_ok=True, parents=True)
    args.result.write_text(json.dumps({**result, "rows": [asdict(row) for row in found]}, indent=2))
    print(f"{_machine()}; {args.seconds:g} s a trial")
    print(rows.gpu_table(found) if found[0].peak_memory_mb else rows.table(found))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.trainer.native",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="what", required=True)
    prepare = commands.add_parser("prepare", help="your own text in the shape of a task")
    prepare.add_argument("--task", default="climbmix", help="whose shape and knobs")
    prepare.add_argument("--input", type=Path, required=True, help="a file or folder of text")
    measure = commands.add_parser("measure", help="train in turns and print a table")
    measure.add_argument("--seconds", type=float, default=60.0, help="training time of a trial")
    measure.add_argument("--repeat", type=int, default=2, help="trials of each trainer")
    measure.add_argument("--peer", type=Path, help="a checkout with another train.py")
    measure.add_argument("--knobs", type=json.loads, default={}, help='such as {"DEPTH": 8}')
    measure.add_argument("--judge-options", default="", help='such as "--judged-tokens 65536"')
    measure.add_argument("--result", type=Path, default=RESULTS)
    for command in (prepare, measure):
        command.add_argument("--data", type=Path, required=True, help="the prepared data")
    return parser.parse_args()


def _prepare(args: argparse.Namespace) -> int:
    own = {
        "source": "text", "urls": [], "sha256": [], "network": False, "needs_input": True,
        "document_bytes": DOCUMENT_BYTES, "bpe_bytes": BPE_BYTES,
    }  # fmt: skip
    command = [args.task, str(args.data), str(args.input), json.dumps(own)]
    return subprocess.run([sys.executable, "-c", PREPARE, *command], env=_environment()).returncode


def _texts(args: argparse.Namespace) -> dict[str, str]:
    """What is measured: ours and, if there is one, the peer, with the knobs of the data's task.

    Raises:
        SystemExit: there is no prepared data, or no peer, where they are said to be.
    """
    if not (args.data / "task.json").is_file():
        raise SystemExit(f"error: {args.data} holds no prepared data\nhint: see `prepare --help`")
    if args.peer and not (args.peer / "train.py").is_file():
        raise SystemExit(f"error: {args.peer} has no train.py\nhint: give a checkout's folder")
    name = json.loads((args.data / "task.json").read_text())["name"]
    table = tomllib.loads((ROOT / "trainer" / "tasks" / f"{name}.toml").read_text())
    knobs = {**table.get("knobs", {}), **args.knobs}
    texts = {"ours": rows.ours(knobs)}
    if args.peer:
        texts["peer"] = rows.peer(args.peer / "train.py", knobs)
    return texts


def _environment() -> dict[str, str]:
    """What a trial's process is given; the blocks of GPU memory grow as in images/trainer."""
    paths = os.pathsep.join([*(str(ROOT / path) for path in PATHS), *_own_paths()])
    return {**os.environ, "PYTHONPATH": paths, "PYTORCH_ALLOC_CONF": "expandable_segments:True"}


def _own_paths() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def _trial(
    name: str, repeat: int, text: str, data: Path, options: list[str], given: dict[str, str]
) -> Row:
    """Trains and scores once.

    Raises:
        SystemExit: the trial failed or was not scored; with the end of its output.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "train.py").write_text(text, encoding="utf-8")
        where = ["--data", str(data.absolute()), "--result", "result.json", *options]
        ran = subprocess.run(
            [sys.executable, str(JUDGE), "run", *where, "--", sys.executable, "-u", "train.py"],
            cwd=folder, env=_environment() | given | {"BAKEOFF_DATA": str(data.absolute())},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        result = Path(folder, "result.json")
        judged: dict[str, Any] = json.loads(result.read_text()) if result.is_file() else {}
    finished = judged.get("score.finished", [{}])[0]
    if ran.returncode or finished.get("status") != "scored":
        said = "\n".join(ran.stdout.splitlines()[-40:])
        raise SystemExit(f"error: the trial of {name} failed: {finished}\n{said}")
    row = rows.read_row(name, repeat, ran.stdout)
    print(
        f"{name} {repeat}: {row.tokens_per_second:,.0f} tokens/s, val_bpb {row.val_bpb:.4f}",
        flush=True,
    )
    return row


def _machine() -> str:
    """The processor, the GPU if there is one, and torch's version."""
    asked = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    return f"{platform.machine()}, {os.cpu_count()} CPUs, {asked.stdout.strip()}"


if __name__ == "__main__":
    sys.exit(main())
