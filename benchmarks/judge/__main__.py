"""`make bench-judge`: what a score and its audit cost, beside the evaluation inside the model.

Everything runs in one container of the trainer image. The task is really trained: once for the
reference, twice for the figures. The large shape, 2048 tokens × 8192, is estimated: random logits
on the CPU, a few rows of them, and no model. Results go to `benchmarks/results/judge.json`; tables
are printed for docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import uuid
from pathlib import Path
from typing import Any

from benchmarks.judge import inside
from images.judge import plan
from images.judge.audit import HIGHEST_Z, LEAST_ADVANTAGE
from runner import task_data, tasks
from runner.build import images
from runner.engine import one_off
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, Mount
from runner.records.layout import ROOT
from trainer import constants

RESULTS = Path(__file__).parents[1] / "results" / "judge.json"
TASK = "pystdlib"
LARGE = (2048, 8192)
JUDGED_ROWS, BATCH_ROWS = 256, 8
HIDDEN_ROWS = max(plan.LEAST_HIDDEN, round(plan.HIDDEN_SHARE * JUDGED_ROWS))
LARGE_ROWS = JUDGED_ROWS + HIDDEN_ROWS + plan.PROBES + BATCH_ROWS  # one batch comes again
WITHIN_SECONDS = 3600.0


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judge", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="training time of a trial")
    parser.add_argument("--cpus", type=float, default=2.0)
    args = parser.parse_args()
    engine = Engine.connect()
    try:
        found = measured(engine, args.seconds, args.cpus)
    finally:
        engine.close()
    result = {
        "machine": f"{platform.machine()}, {args.cpus:g} CPUs",
        "task": TASK,
        "seconds": args.seconds,
        "large": "estimated: random logits on a CPU, without a model",
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({**result, "found": found}, indent=2))
    print(tables(found))


def measured(engine: Engine, seconds: float, cpus: float) -> dict[str, Any]:
    """The figures of inside.py.

    Raises:
        SystemExit: it failed; with the end of its output.
    """
    images.ensure(engine, ["trainer", "data"])
    task = tasks.load_task(TASK)
    inputs = task_data.input_files(None, task)
    volume = task_data.ensure(engine, images.image_tag("data"), task, inputs, print)
    source = (ROOT / "trainer" / "train.py").read_text(encoding="utf-8")
    given = {
        "text": constants.rewrite(source, task.knobs),
        "seconds": seconds,
        "threads": max(1, int(cpus)),
        "large": LARGE,
    }
    run_id = f"bench-{uuid.uuid4().hex[:12]}"
    wanted = ContainerSpec(
        name=f"bakeoff-{run_id}-judge", run_id=run_id, role="judge",
        image=images.image_tag("trainer"),
        mounts=(
            Mount(volume, "/data", read_only=True),
            Mount(task_data.heldout_volume(volume), "/heldout", read_only=True),
        ),
        tmpfs={"/tmp": 1 << 30}, memory_bytes=8 << 30, cpus=cpus,
    )  # fmt: skip
    ran = one_off.run_module(
        engine, wanted, inside, json.dumps(given), timeout_seconds=WITHIN_SECONDS
    )
    if ran.exit_code:
        raise SystemExit(f"error: the benchmark failed:\n{ran.output[-4000:]}")
    found: dict[str, Any] = json.loads(ran.output.splitlines()[-1])
    return found


def tables(found: dict[str, Any]) -> str:
    """Costs, and what the audit can tell, as Markdown."""
    one, large = found["with a reference"], found["large"]
    share, judged_share = LARGE_ROWS / _sent(large), JUDGED_ROWS / large["rows"]
    lines = [
        "| shape | targets | loss inside the model, s (processor s) "
        "| score and audit, s (processor s) | scorer's peak MB "
        "| judge's own MB | standard error of the score, nats |",
        "|---|---|---|---|---|---|---|",
        f"| 256 × 1024, {TASK} | {one['score']['tokens']:,} | {_cost(one, 'former')} "
        f"| {_cost(one, 'judged')} | {one['scorer_mb']:.0f} | {one['judge_mb']:.0f} "
        f"| {one['score_error_nats']:.3f} |",
        f"| 2048 × 8192, estimated, without a model | {JUDGED_ROWS * LARGE[0]:,} "
        f"| {_cost(large, 'former', judged_share)} | {_cost(large, 'judged', share)} "
        f"| {large['scorer_mb']:.0f} | {large['judge_mb']:.0f} | – |",
        "",
        "| reference | hidden rows | advantage, nats | standard error, nats | smallest leak seen |",
        "|---|---|---|---|---|",
    ]
    for name in ("without a reference", "with a reference"):
        audit = found[name]["score"]["audit"]["hidden rows"]
        error = audit["standard_error_nats"]
        lines.append(
            f"| {name} | {audit['rows']} | {audit['advantage_nats']:+.3f} | {error:.3f} "
            f"| {_smallest(error):.2f} |"
        )
        more = error * (audit["rows"] / 2000) ** 0.5
        lines.append(f"| {name} | 2,000, in proportion | – | {more:.3f} | {_smallest(more):.2f} |")
    return "\n".join(lines)


def _cost(row: dict[str, Any], what: str, times: float = 1.0) -> str:
    """Seconds, and processor seconds in brackets."""
    return f"{row[what + '_seconds'] * times:.2f} ({row[what + '_cpu'] * times:.2f})"


def _sent(large: dict[str, Any]) -> float:
    """How many rows of the large shape were sent: final ones, probes, and a batch again."""
    audits = large["score"]["audit"]
    probes = audits["look-ahead"]["rows"] + audits["batch dependence"]["rows"]
    return float(large["rows"] + probes + audits["hidden rows"]["rows"] + 4)


def _smallest(error: float) -> float:
    """The smallest advantage in nats that rejects a trial."""
    return max(LEAST_ADVANTAGE, HIGHEST_Z * error)


if __name__ == "__main__":
    main()
