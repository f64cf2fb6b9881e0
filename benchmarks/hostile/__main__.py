"""`make bench-hostile`: 100,000 hostile archives, names and files, and what their readers did.

Every case is made from the seed and its number, so one that fails can be made again. Half of the
cases are archives of all kinds, and a quarter each names and files. Results go to
`benchmarks/results/hostile.json`; the table is printed for docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from benchmarks.hostile.readers import CASES, WEIGHTS, EscapedError

RESULTS = Path(__file__).parents[1] / "results" / "hostile.json"
MOST_FAILURES = 20  # that are told one by one


@dataclass
class Found:
    """What came of the cases.

    Attributes:
        cases: how many of each kind.
        raised: exceptions that are not ours.
        escaped: readers that did what they must not, such as a file that was written elsewhere.
        failures: the first of both: kind, number and what happened.
        slowest_seconds: of one case, by kind; processor time.
        seconds: of all cases.
        memory_mb: the most that the process had beyond what it began with.
    """

    cases: Counter[str] = field(default_factory=Counter)
    raised: int = 0
    escaped: int = 0
    failures: list[str] = field(default_factory=list)
    slowest_seconds: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    memory_mb: float = 0.0


def run(count: int, seed: int, first: int = 0) -> Found:
    """See through so many cases, from the number `first` on."""
    found, began, before = Found(), time.monotonic(), _memory_mb()
    with tempfile.TemporaryDirectory(prefix="bakeoff-hostile-") as scratch:
        outside = Path(scratch, "outside")
        outside.mkdir()
        canary = outside / "canary"
        canary.write_text("untouched")
        for number in range(first, first + count):
            folder = Path(scratch, "inside")
            folder.mkdir()
            _see(number, seed, folder, found)
            if sorted(each.name for each in Path(scratch).iterdir()) != ["inside", "outside"]:
                found.escaped += 1
                found.failures.append(f"{number}: it wrote beside its folder")
            shutil.rmtree(folder)
        if [*outside.iterdir()] != [canary] or canary.read_text() != "untouched":
            found.escaped += 1
            found.failures.append("a file outside was changed")
    found.seconds, found.memory_mb = time.monotonic() - began, _memory_mb() - before
    return found


def _see(number: int, seed: int, folder: Path, found: Found) -> None:
    random = Random(f"{seed} {number}")
    kind = random.choices([*CASES], WEIGHTS)[0]
    began = time.process_time()
    try:
        CASES[kind](random, folder)
    except EscapedError as error:
        found.escaped += 1
        found.failures.append(f"{kind}, {number}: {error}")
    except Exception as error:  # noqa: BLE001 # that is what is counted
        found.raised += 1
        found.failures.append(f"{kind}, {number}: {type(error).__name__}: {error}"[:500])
    seconds = time.process_time() - began
    found.cases[kind] += 1
    found.slowest_seconds[kind] = max(seconds, found.slowest_seconds.get(kind, 0.0))


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table(found: Found) -> str:
    """The figures as Markdown."""
    lines = ["| what was read | cases | slowest case, ms |", "|---|---|---|"]
    for kind, count in sorted(found.cases.items()):
        lines.append(f"| {kind} | {count:,} | {found.slowest_seconds[kind] * 1000:.0f} |")
    total = sum(found.cases.values())
    slowest = max(found.slowest_seconds.values(), default=0.0)
    lines += [
        f"| all | {total:,} | {slowest * 1000:.0f} |", "",
        f"exceptions that are not ours: {found.raised}; files written elsewhere, or more taken "
        f"than was asked for: {found.escaped}; {found.seconds:.0f} s, {found.memory_mb:.0f} MB "
        "more memory than at the start",
    ]  # fmt: skip
    return "\n".join([*lines, *found.failures[:MOST_FAILURES]])


def main() -> None:
    """Run, print, write; the exit code is 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    args = parser.parse_args()
    found = run(args.cases, args.seed, args.first)
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs"
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": machine, "seed": args.seed, **vars(found)}, indent=2))
    print(table(found))
    raise SystemExit(1 if found.raised or found.escaped else 0)


if __name__ == "__main__":
    main()
