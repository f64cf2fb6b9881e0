"""Runs inside a container: trials of the task under a judge, and random logits of a large shape.

Its argument is a JSON object: text of a train.py, seconds of training, threads, large shape. The
last line that it prints is a JSON object with all figures.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

GIVEN: dict[str, Any] = {}
FOLDER = Path("/tmp/data")
LARGE = Path("/tmp/large")
JUDGE = "/opt/judge/judge.py"
LARGE_ROWS = 24  # of the large shape that are really sent; the times of more are in proportion

# Stands before the text of a train.py: times the evaluation inside the model, as it was before
# there was a judge, on the same number of rows; then the score, and looks at the judge's memory.
CLOCK = """
import json, math, re, time
from pathlib import Path
import numpy as np
import prepare, torch
import torch.nn.functional as F
asked = prepare.evaluate_bpb

def own_rows(task):
    rows = task.judged_tokens // task.sequence_tokens
    flat = np.memmap(prepare.data_folder() / "val.bin", mode="r", dtype="<u2")
    return torch.from_numpy(flat.reshape(-1, task.sequence_tokens + 1)[:rows].astype(np.int64))

def former(predict, task, size):
    rows, total = own_rows(task), 0.0
    each = []
    with torch.no_grad():
        for some in rows.split(size):
            logits = predict(some[:, :-1]).float().flatten(0, 1)
            losses = F.cross_entropy(logits, some[:, 1:].flatten(), reduction="none")
            each += losses.view(len(some), -1).mean(1).tolist()
    return each

def memory(name, field):
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\\0")
            if any(word.endswith(name) for word in words[1:2]):
                status = (folder / "status").read_text()
                found.append(int(re.search(field + r":\\s+(\\d+) kB", status)[1]) / 1024)
        except (OSError, TypeError):
            continue
    return max(found, default=0.0)

def scorer_cpu():
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"scorer.py" in (folder / "cmdline").read_bytes():
                ticks = (folder / "stat").read_text().rpartition(")")[2].split()[11:13]
                return sum(map(int, ticks)) / 100
        except OSError:
            continue
    return 0.0

def timed(predict, task, size, device):
    former(predict, task, size)
    began, cpu = time.perf_counter(), time.process_time()
    losses = former(predict, task, size)
    before, cpu_before = time.perf_counter() - began, time.process_time() - cpu
    began, cpu = time.perf_counter(), time.process_time() + scorer_cpu()
    value = asked(predict, task, size, device)
    spent, cpu_spent = time.perf_counter() - began, time.process_time() + scorer_cpu() - cpu
    deviation = torch.tensor(losses).std().item() / math.sqrt(len(losses))
    print("bench: " + json.dumps({
        "former_seconds": before, "judged_seconds": spent, "former_cpu": cpu_before,
        "judged_cpu": cpu_spent, "rows": len(losses),
        "score_error_nats": deviation, "scorer_mb": memory(b"scorer.py", "VmHWM"),
        "judge_mb": memory(b"judge.py", "VmRSS"),
    }), flush=True)
    return value

prepare.evaluate_bpb = timed
"""
RANDOM_LOGITS = """
import prepare, torch
task = prepare.load_task()
logits = torch.randn(1, task.sequence_tokens, task.vocabulary, generator=torch.Generator())
predict = lambda tokens: logits.expand(len(tokens), -1, -1)
prepare.evaluate_bpb(predict, task, 4, torch.device("cpu"))
"""


def main() -> None:
    """Measures the task with and without a reference, then the large shape."""
    assemble()
    reference = FOLDER / "reference.npy"
    keep = ["--mode", "reference", "--reference", str(reference)]
    trial(FOLDER, GIVEN["text"], {"BAKEOFF_SEED": "41"}, keep)
    found = {
        "without a reference": trial(FOLDER, GIVEN["text"], {"BAKEOFF_SEED": "43"}, []),
        "with a reference": trial(
            FOLDER, GIVEN["text"], {"BAKEOFF_SEED": "43"}, ["--reference", str(reference)]
        ),
    }
    write_large()
    found["large"] = trial(LARGE, RANDOM_LOGITS, {}, [])
    print(json.dumps(found), flush=True)


def trial(
    folder: Path, text: str, environment: dict[str, str], options: list[str]
) -> dict[str, Any]:
    """One train.py under a judge: the clock's figures and the audit's."""
    place = folder / "train.py"
    place.write_text(CLOCK + text.replace("from __future__ import annotations\n", ""))
    given = {
        **os.environ, "BAKEOFF_DATA": str(folder), "OMP_NUM_THREADS": str(GIVEN["threads"]),
        "GOMP_SPINCOUNT": "2000", "BAKEOFF_TRAIN_SECONDS": str(GIVEN["seconds"]), **environment,
    }  # fmt: skip
    command = [
        sys.executable, JUDGE, "run", "--data", str(folder), "--threads", str(GIVEN["threads"]),
        *options, "--", sys.executable, str(place),
    ]  # fmt: skip
    ran = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"the trial failed:\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    clock = re.search(r"^bench: (.*)$", ran.stdout, re.M)
    (end,) = json.loads(ran.stdout.splitlines()[-1])["score.finished"]
    return {**(json.loads(clock[1]) if clock else {}), "score": end}


def assemble() -> None:
    """One folder with everything of the task, so that the former evaluation can be measured."""
    FOLDER.mkdir()
    for source in (Path("/data"), Path("/heldout")):
        for file in source.glob("*") if source.is_dir() else ():
            if not (FOLDER / file.name).exists() and not file.name.startswith("reference"):
                (FOLDER / file.name).symlink_to(file)


def write_large() -> None:
    """Random rows of the large shape."""
    import numpy as np

    LARGE.mkdir()
    task = json.loads((FOLDER / "task.json").read_text())
    length, vocabulary = GIVEN["large"]
    task |= {
        "sequence_tokens": length, "vocabulary": vocabulary,
        "judged_tokens": LARGE_ROWS * length, "estimate_tokens": length,
    }  # fmt: skip
    (LARGE / "task.json").write_text(json.dumps(task))
    chance = np.random.default_rng(1)
    # One spare row beyond the estimate's: no hidden rows, so that every row sent is a final one,
    # a probe or a repeated one.
    rows = chance.integers(1, vocabulary, (LARGE_ROWS + 2, length + 1), "<u2")
    rows.tofile(LARGE / "val.bin")
    np.save(LARGE / "token_bytes.npy", np.ones(vocabulary, np.int32))


if __name__ == "__main__":
    GIVEN.update(json.loads(sys.argv[1]))
    main()
