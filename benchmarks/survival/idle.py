"""`make bench-idle`: what runs cost that wait for a device, their containers included.

One run trains, and the others wait for its device, as in a night with many seeds on one machine.
The first few in the queue look at the device more often than those behind them, whose number is
what grows. So the two are measured apart, and fifty runs are the first few and many of the others.
Results go to `benchmarks/results/idle.json`; the table is printed for docs/performance.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rich
from rich.table import Table

from benchmarks.survival.live_run import LiveRun
from runner.engine.client import Engine
from runner.sandbox.removal import remove_run

RESULTS = Path(__file__).parents[1] / "results" / "idle.json"
KINDS = {"agent": ("run", "gpt", "--rehearsal"), "baseline": ("baseline", "random")}
NAMES = {"agent": "gpt", "baseline": "random"}
TRAIN_SECONDS = 3600
FIRST = 4  # in the queue: WATCHED in runner/devices/place.py
MANY = 50
SETTLING_SECONDS = 20
MEBIBYTE = 1 << 20
SHIM = "containerd-shim"


@dataclass(frozen=True)
class Cost:
    """What one part of some waiting runs took together, divided by their number.

    Attributes:
        core_share: of one processor core, while they waited.
        mebibytes: of memory; what several processes share is counted once.
    """

    core_share: float
    mebibytes: float


Groups = dict[str, dict[str, Cost]]  # "first" and "others" → part → what it takes


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.survival.idle", description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="how many wait")
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long it is measured")
    args = parser.parse_args()
    if args.runs <= FIRST:
        parser.error(f"--runs is {args.runs}; more than {FIRST} have to wait")
    found = {kind: measured(kind, args.runs, args.seconds) for kind in KINDS}
    RESULTS.parent.mkdir(exist_ok=True)
    machine = {"machine": platform.machine(), "runs": args.runs, "seconds": args.seconds}
    plain = {kind: plain_figures(groups) for kind, groups in found.items()}
    RESULTS.write_text(json.dumps({**machine, "found": plain}, indent=2))
    for kind, groups in found.items():
        rich.print(table(kind, groups))


def measured(kind: str, runs: int, seconds: float) -> Groups:
    """What each part of a waiting run of a kind takes, of the first in the queue and of the others.

    Args:
        kind: agent or baseline.
        runs: how many wait, in the order of the queue.
        seconds: for how long they are watched.
    """
    with tempfile.TemporaryDirectory() as folder, _waiting(kind, Path(folder), runs) as waiting:
        time.sleep(SETTLING_SECONDS)  # a container's start is no part of its waiting
        groups = {"first": waiting[:FIRST], "others": waiting[FIRST:]}
        before = {name: _processor_seconds(group) for name, group in groups.items()}
        time.sleep(seconds)
        after = {name: _processor_seconds(group) for name, group in groups.items()}
        memory = {name: _mebibytes(group) for name, group in groups.items()}
    return {
        name: {
            part: Cost(
                (after[name][part] - before[name][part]) / seconds / len(group),
                memory[name][part] / len(group),
            )
            for part in sorted(memory[name])
        }
        for name, group in groups.items()
    }


def total(parts: dict[str, Cost]) -> Cost:
    """All parts of a run together."""
    return Cost(sum(c.core_share for c in parts.values()), sum(c.mebibytes for c in parts.values()))


def share_of_many(groups: Groups, part: str | None = None) -> float:
    """What `MANY` waiting runs take of a core, or one part of them does."""
    first, others = (
        total(its).core_share if part is None else its[part].core_share
        for its in (groups["first"], groups["others"])
    )
    return FIRST * first + (MANY - FIRST) * others


def plain_figures(groups: Groups) -> dict[str, Any]:
    """The figures as the file holds them."""
    parts = {name: {part: vars(cost) for part, cost in its.items()} for name, its in groups.items()}
    many = {"core_share": share_of_many(groups), "runners": share_of_many(groups, "runner")}
    return {**parts, f"{MANY} runs": many}


def table(kind: str, groups: Groups) -> Table:
    """A row for each part, their sum, and what many runs take."""
    shown = Table(
        "part", f"% of a core, first {FIRST}", "% of a core, others", "MiB",
        title=f"a waiting {kind}", title_justify="left",
    )  # fmt: skip
    first, others = groups["first"], groups["others"]
    for part in (*others, None):
        one, other = (total(its) if part is None else its[part] for its in (first, others))
        shown.add_row(
            part or "all", f"{100 * one.core_share:.2f}", f"{100 * other.core_share:.2f}",
            f"{other.mebibytes:.0f}",
        )  # fmt: skip
    for name, part in ((f"{MANY} runs", None), (f"{MANY} runners", "runner")):
        shown.add_row(name, "", f"{100 * share_of_many(groups, part):.1f}", "")
    return shown


@contextlib.contextmanager
def _waiting(kind: str, here: Path, runs: int) -> Iterator[list[LiveRun]]:
    """So many runs that wait for their device, which one more run has."""
    engine = Engine.connect()
    first = random.SystemRandom().randrange(10**6, 10**9)
    started: list[LiveRun] = []
    try:
        for seed in range(first, first + runs + 1):
            run = LiveRun(here, f"{NAMES[kind]}-s{seed}", engine, None)
            started.append(run)
            run.start(
                *KINDS[kind], "--seed", str(seed), "--verify", "none", "--trials", "2",
                "--trial-seconds", str(TRAIN_SECONDS),
            )  # fmt: skip
            event = "trial.started" if len(started) == 1 else "trial.queued"
            run.until(lambda run=run, event=event: run.count(event) > 0, event)  # type: ignore[misc]
        yield started[1:]
    finally:
        for run in started:
            run.kill()
            remove_run(engine, run.run_id)
        engine.close()


def _parts(runs: list[LiveRun]) -> dict[str, list[int]]:
    """The parts of these runs → their processes: the runner, each container, the engine's shims."""
    parts: dict[str, list[int]] = {"runner": [run.pid for run in runs]}
    roles = {s.id: s.role for run in runs for s in run.engine.containers(run.run_id)}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            group, command = (path / "cgroup").read_text(), (path / "cmdline").read_text()
            for container, role in roles.items():
                if SHIM in command and container in command:
                    parts.setdefault("engine's shims", []).append(int(path.name))
                elif container in group:
                    parts.setdefault(role, []).append(int(path.name))
    return parts


def _processor_seconds(runs: list[LiveRun]) -> dict[str, float]:
    """What the processes of each part have used so far."""
    used: dict[str, float] = defaultdict(float)
    for part, processes in _parts(runs).items():
        for process in processes:
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
                used[part] += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return used


def _mebibytes(runs: list[LiveRun]) -> dict[str, float]:
    """What the processes of each part hold, what they share counted once (PSS)."""
    held: dict[str, float] = defaultdict(float)
    for part, processes in _parts(runs).items():
        for process in processes:
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
                pss = next(line for line in lines if line.startswith("Pss:"))
                held[part] += int(pss.split()[1]) * 1024 / MEBIBYTE
    return held


if __name__ == "__main__":
    main()
