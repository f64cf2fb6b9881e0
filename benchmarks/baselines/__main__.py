"""`make bench-baselines`: what the samplers cost and what they find, on a made-up objective.

Everything runs in containers of the optimizer's image, one for each sampler; `--python PATH` takes
a Python of this machine instead, which needs the packages of that image. Three parts:

- `time`: seconds of an ask after 1, 100 and 500 trials, of a processor and by the clock.
- `found`: searches of 60 trials over the 14 knobs of `[large]`, with noise and failures
  (objective.py), for ten seeds. Each sampler that has a model is compared with random search by the
  exact sign test, with Holm's correction for their number.
- `trial`: what a whole trial costs beside its training, in real runs (trial.py).

Results are added to `benchmarks/results/baselines.json`, so that the samplers may be measured one
by one; tables of all of them are printed for docs/performance.md.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import platform
import statistics
import subprocess
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from scipy import stats

from benchmarks.baselines import objective, trial
from runner import samplers
from runner.analysis.statistics.correction import holm
from runner.build import images
from runner.engine import one_off
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec
from runner.records.layout import ROOT
from runner.spec import read_table

RESULTS = Path(__file__).parents[1] / "results" / "baselines.json"
INSIDE = Path(__file__).with_name("inside.py")
PARTS = ("time", "found", "trial")
SPACE = "large"
PLACES = (1, 100, 500)  # trials before the ask
# Their history is trials and nothing else, so that a random search can make it for the timing.
OF_TRIALS = ("random", "tpe", "tpe-independent", "gp", "smac")
WITHOUT_MODEL = ("random", "qmc", "grid", "nsga2")
REFERENCE = "random"
WITHIN_SECONDS = 3600.0
NO_GRID = "grid"  # the space has no end

Run = Callable[[list[str]], str]  # a program's text and its arguments → what it printed


def main() -> None:
    """Measures, prints, writes."""
    names = [name for name in samplers.load() if name != NO_GRID]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.baselines", description=__doc__)
    parser.add_argument("--samplers", nargs="+", choices=names, default=names)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--python", type=Path, help="run in a process of this Python")
    args = parser.parse_args()
    run = partial(in_process, args.python) if args.python else in_image()
    for sampler in args.samplers if "trial" in args.parts else ():
        keep("trial", args.trials, {sampler: trial.measured(sampler)})
    for part in [part for part in args.parts if part != "trial"]:
        for group in groups(args.samplers, part):
            keep(part, args.trials, measured(run, group, part, args.trials, args.seeds))
    found = json.loads(RESULTS.read_text())
    print(time_table(found.get("time", {})))
    print(found_table(found.get("found", {}), args.trials))
    print(trial.table(found.get("trial", {})))


def groups(names: Sequence[str], part: str) -> list[list[str]]:
    """The samplers that are measured together: for their times, those that share a history."""
    together = [name for name in OF_TRIALS if part == "time" and name in names]
    shared = [[REFERENCE, *(name for name in together if name != REFERENCE)]] if together else []
    return [*shared, *([name] for name in names if name not in together)]


def measured(
    run: Run, group: list[str], part: str, trials: int, seeds: int
) -> dict[str, dict[str, Any]]:
    """The figures of one part, sampler by sampler."""
    given = {
        "part": part, "samplers": group, "trials": trials, "seeds": list(range(1, seeds + 1)),
        "space": read_table(ROOT / "trainer" / "search_space.toml")[SPACE],
        "places": PLACES, "processes": os.cpu_count(),
    }  # fmt: skip
    said = run([INSIDE.read_text(), inspect.getsource(objective), json.dumps(given)])
    figures: dict[str, Any] = json.loads(said.splitlines()[-1])
    return figures if part == "time" else {group[0]: figures}


def keep(part: str, trials: int, figures: Mapping[str, Mapping[str, Any]]) -> None:
    """Add figures to the file."""
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    found["machine"] = f"{platform.machine()}, {os.cpu_count()} CPUs"
    for sampler, its in figures.items():
        if part == "found":
            found.setdefault(part, {}).setdefault(sampler, {})[str(trials)] = its
        else:
            found.setdefault(part, {})[sampler] = its
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=2))


def in_image() -> Run:
    """What runs a program in a container of the optimizer's image."""
    engine = Engine.connect()
    images.ensure(engine, ["optimizer"])

    def run(program: list[str]) -> str:
        run_id = f"bench-{uuid.uuid4().hex[:8]}"
        spec = ContainerSpec(
            f"bakeoff-{run_id}-baselines", images.image_tag("optimizer"), run_id, "optimizer",
            entrypoint=["env", "PYTHONPATH=/opt/bakeoff", "python3", "-c"], command=program,
            tmpfs={"/tmp": 1 << 30}, memory_bytes=4 << 30, cpus=float(os.cpu_count() or 1),
        )  # fmt: skip
        ended = one_off.run(engine, spec, one_off.Bounds(WITHIN_SECONDS))
        if ended.exit_code != 0:
            raise SystemExit(f"error: the benchmark failed:\n{ended.output[-4000:]}")
        return ended.output

    return run


def in_process(python: Path, program: list[str]) -> str:
    """Runs it in a process, with the settings of the image."""
    modules = f"{ROOT / 'images' / 'optimizer'}{os.pathsep}{ROOT / 'runner' / 'wire'}"
    settings = {"PYTHONPATH": modules, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    ended = subprocess.run(
        [str(python), "-c", *program], env={**os.environ, **settings}, capture_output=True,
        text=True, check=False, timeout=WITHIN_SECONDS,
    )  # fmt: skip
    if ended.returncode != 0:
        raise SystemExit(f"error: the benchmark failed:\n{ended.stderr[-4000:]}")
    return ended.stdout


def time_table(found: dict[str, dict[str, dict[str, float]]]) -> str:
    """Seconds of an ask, of a processor and by the clock, as Markdown."""
    heads = " | ".join(f"at {place}: processor s / clock s" for place in PLACES)
    lines = [f"| sampler | {heads} |", "|---|" + "---:|" * len(PLACES)]
    for name, places in found.items():
        at = [places[str(place)] for place in PLACES]
        asks = " | ".join(f"{one['processor']:.3f} / {one['ask']:.3f}" for one in at)
        lines.append(f"| {name} | {asks} |")
    return "\n".join(lines) + "\n"


def found_table(found: dict[str, dict[str, dict[str, Any]]], trials: int) -> str:
    """What the samplers found, beside random search, as Markdown."""
    runs = {name: them[str(trials)] for name, them in found.items() if str(trials) in them}
    if REFERENCE not in runs:
        return f"nothing to compare with: {REFERENCE} was not measured with {trials} trials\n"
    best = {name: [one["best"] for one in them.values()] for name, them in runs.items()}
    ps = against(best)
    lines = [
        "| sampler | median of the best | better than random | p, Holm | failed |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, values in sorted(best.items(), key=lambda one: statistics.median(one[1])):
        pairs = list(zip(values, best[REFERENCE], strict=True))
        wins = "" if name == REFERENCE else f"{sum(a < b for a, b in pairs)} of {len(pairs)}"
        p = f"{ps[name]:.4f}" if name in ps else ""
        failed = statistics.mean(one["failed"] for one in runs[name].values()) / trials
        lines.append(f"| {name} | {statistics.median(values):.4f} | {wins} | {p} | {failed:.0%} |")
    return "\n".join(lines) + "\n"


def against(best: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Sampler with a model → p of the one-sided sign test against random, by Holm's correction.

    Args:
        best: sampler → the value of its best setting, seed by seed.
    """
    models = [name for name in best if name not in WITHOUT_MODEL]
    raw = []
    for name in models:
        pairs = list(zip(best[name], best[REFERENCE], strict=True))
        differing = sum(a != b for a, b in pairs)
        wins = sum(a < b for a, b in pairs)
        test = stats.binomtest(wins, differing, alternative="greater") if differing else None
        raw.append(float(test.pvalue) if test else 1.0)
    return dict(zip(models, map(float, holm(raw)), strict=True))


if __name__ == "__main__":
    main()
