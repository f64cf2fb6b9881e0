"""`make bench-baselines`: what the samplers cost and what they find, on a made-up objective.

Everything runs in containers of the optimizer's image, one for each sampler. Two parts:

- `time`: seconds of an ask and of a tell after 1, 100 and 500 trials.
- `found`: searches of 60 trials over the 14 knobs of `[large]`, with noise and failures
  (objective.py), for ten seeds. Each sampler that has a model is compared with random search by the
  exact sign test, with Holm's correction for their number.

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
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scipy import stats

from benchmarks.baselines import objective
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
SPACE = "large"
PLACES = (1, 100, 500)  # trials before the ask
# Their history is trials and nothing else, so that a random search can make it for the timing.
OF_TRIALS = ("tpe", "tpe-independent", "gp", "smac")
WITHOUT_MODEL = ("random", "qmc", "grid", "nsga2")
REFERENCE = "random"
WITHIN_SECONDS = 3600.0
NO_GRID = "grid"  # the space has no end


def main() -> None:
    """Measures, prints, writes."""
    names = [name for name in samplers.load() if name != NO_GRID]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.baselines", description=__doc__)
    parser.add_argument("--samplers", nargs="+", choices=names, default=names)
    parser.add_argument("--parts", nargs="*", choices=("time", "found"), default=("time", "found"))
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--image", help="another image than the one of this checkout")
    args = parser.parse_args()
    engine = Engine.connect()
    if args.image is None:
        images.ensure(engine, ["optimizer"])
    bench = Bench(engine, args.image or images.image_tag("optimizer"))
    for name in args.samplers:
        for part in args.parts:
            bench.measure(name, part, args.trials, args.seeds)
    found = json.loads(RESULTS.read_text())
    print(time_table(found["time"]))
    print(found_table(found["found"], args.trials))


class Bench:
    """Measures samplers in containers, and keeps what was found in a file.

    Args:
        engine: where the containers run.
        image: the optimizer's.
    """

    def __init__(self, engine: Engine, image: str) -> None:
        self._engine = engine
        self._image = image

    def measure(self, sampler: str, part: str, trials: int, seeds: int) -> None:
        """Add the figures of one part of a sampler to the file."""
        space = read_table(ROOT / "trainer" / "search_space.toml")[SPACE]
        given = {
            "part": part, "sampler": sampler, "space": space, "trials": trials,
            "seeds": list(range(1, seeds + 1)), "places": PLACES, "processes": os.cpu_count(),
            "history": "random" if sampler in OF_TRIALS else "own",
        }  # fmt: skip
        figures = self._run(json.dumps(given))
        found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        found["machine"] = f"{platform.machine()}, {os.cpu_count()} CPUs"
        found.setdefault("time", {})
        found.setdefault("found", {})
        found[part][sampler] = figures if part == "time" else {str(trials): figures}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(found, indent=2))

    def _run(self, given: str) -> Any:
        """What inside.py printed last."""
        run_id = f"bench-{uuid.uuid4().hex[:8]}"
        text = inspect.getsource(objective)
        spec = ContainerSpec(
            f"bakeoff-{run_id}-baselines", self._image, run_id, "optimizer",
            entrypoint=["env", "PYTHONPATH=/opt/bakeoff", "python3", "-c", INSIDE.read_text()],
            command=[text, given], tmpfs={"/tmp": 1 << 30}, memory_bytes=4 << 30,
            cpus=float(os.cpu_count() or 1),
        )  # fmt: skip
        ended = one_off.run(self._engine, spec, one_off.Bounds(WITHIN_SECONDS))
        if ended.exit_code != 0:
            raise SystemExit(f"error: the benchmark failed:\n{ended.output[-4000:]}")
        return json.loads(ended.output.splitlines()[-1])


def time_table(found: dict[str, dict[str, dict[str, float]]]) -> str:
    """Seconds of an ask, by sampler and number of trials, as Markdown."""
    heads = " | ".join(f"ask at {place}" for place in PLACES)
    lines = [f"| sampler | {heads} | tell at {PLACES[-1]} |", "|---|" + "---:|" * (len(PLACES) + 1)]
    for name, places in found.items():
        asks = " | ".join(f"{places[str(place)]['ask']:.3f} s" for place in PLACES)
        lines.append(f"| {name} | {asks} | {places[str(PLACES[-1])]['tell']:.3f} s |")
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


def against(best: dict[str, Sequence[float]]) -> dict[str, float]:
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
