"""Tables of made-up runs, as tests of the report on strategy want them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runner.analysis.report import Context, Settings
from runner.results.dataframes import Frames
from tests.unit.analysis.tables import tables

RESAMPLES = 300  # of a test's permutations


def frames(
    trials: Sequence[dict[str, Any]], kind: str = "imported", direction: str = "minimize",
    knobs: Sequence[dict[str, Any]] = (), noise_sd: float | None = None,
) -> Frames:  # fmt: skip
    """The tables of runs; a trial gives `run`, and what matters of `value` and `change`.

    The contestant is what stands in `run` before "-s". A trial with a value better than all before
    is kept, unless it says otherwise. The first trial of a run counts as its baseline if its change
    is "baseline".
    """
    sign = 1 if direction == "minimize" else -1
    rows: list[dict[str, Any]] = []
    best: dict[str, float] = {}
    for trial in trials:
        run: str = trial["run"]
        value: float | None = trial.get("value")
        is_best = value is not None and (run not in best or sign * value < sign * best[run])
        if value is not None and is_best:
            best[run] = value
        usual = {
            "contestant": run.rpartition("-s")[0] or run, "seed": 1, "is_best": is_best,
            "trial": 1 + sum(row["run"] == run for row in rows), "best": best.get(run),
            "status": "ok" if value is not None else "crash", "kept": is_best, "change": "",
            "category": "", "knobs_changed": "{}", "text": "",
        }  # fmt: skip
        rows.append(usual | trial)
    of = {row["run"]: row["contestant"] for row in rows}
    runs = [
        {
            "run": run, "contestant": contestant, "kind": kind, "seed": 1, "metric": "val_bpb",
            "unit": "bits/byte", "direction": direction, "comparison": "x",
            "best": best.get(run), "noise_sd": noise_sd,
        }
        for run, contestant in of.items()
    ]  # fmt: skip
    return tables(runs, rows, knobs)


def searched(run: str, changes: Sequence[str], values: Sequence[float | None]) -> list[Any]:
    """The trials of a run: a baseline of 1.0, then changes with their values."""
    first = {"run": run, "change": "baseline", "value": 1.0}
    pairs = zip(changes, values, strict=True)
    return [first, *({"run": run, "change": change, "value": value} for change, value in pairs)]


def context(of: Frames, **settings: Any) -> Context:
    """A comparison of all runs."""
    names = sorted(set(of.runs["contestant"]))
    colours = {name: f"#{1000 * at + 4096:06x}" for at, name in enumerate(names)}
    return Context("x", of, colours, Settings(**({"resamples": RESAMPLES} | settings)))
