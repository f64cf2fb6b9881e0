"""The kept changes of runs: what each of them changed, and what it gained."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from runner.analysis.changes import changed_knobs
from runner.analysis.report import Context
from runner.analysis.space.parts import Parts, Space, sorted_parts

KEPT_COLUMNS = (
    *("run", "contestant", "seed", "trial", "position", "kind", "parts inside", "parts outside"),
    *("inside share", "gain", "gain inside", "gain outside", "gain unattributed"),
)


def kept_changes(context: Context, space: Space) -> pd.DataFrame:
    """A row a kept change, by `KEPT_COLUMNS`. A run's first value is its start, and no change.

    `gain` is by how much the trial is better than the best kept one before it, in the metric's
    unit, and 0 where it is not; the gains of a run sum to first − best kept. `position` is the
    trial's place in its run, from 0 to 1. The parts are tuples of names.
    """
    rows = [row for own in _runs_of(context) for row in own.rows(context.sign, space)]
    frame = pd.DataFrame(rows, columns=list(KEPT_COLUMNS))
    numbers = ["position", "inside share", "gain", "gain inside", "gain outside"]
    return frame.astype(dict.fromkeys([*numbers, "gain unattributed"], "float64"))


def _runs_of(context: Context) -> Iterator[_Own]:
    frames = context.frames
    imported = set(frames.runs.loc[frames.runs["kind"] == "imported", "run"])
    settings = _settings(frames.knobs[frames.knobs["run"].isin(imported)])
    for run, trials in frames.trials.groupby("run", sort=False):
        yield _Own(str(run), trials, settings.get(str(run), {}))


def _settings(knobs: pd.DataFrame) -> dict[str, dict[int, dict[str, Any]]]:
    """Run → trial → knob → value."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for run, trial, name, number, text in knobs.itertuples(index=False):
        value = text if math.isnan(number) else number
        found.setdefault(run, {}).setdefault(int(trial), {})[name] = value
    return found


class _Own:
    """The trials of one run, and what each of them changed."""

    def __init__(self, run: str, trials: pd.DataFrame, settings: dict[int, dict[str, Any]]) -> None:
        self.run = run
        self.contestant = str(trials["contestant"].iloc[0])
        self.seed = trials["seed"].iloc[0]
        self.settings = settings
        self.numbers = [int(number) for number in trials["trial"]]
        self.values = trials["value"].to_numpy(float)
        self.kept = trials["kept"].fillna(False).to_numpy(bool) & np.isfinite(self.values)
        self.parents = dict(zip(self.numbers, trials["parent"], strict=True))
        self.changed = dict(zip(self.numbers, trials["knobs_changed"], strict=True))
        self.others = dict(zip(self.numbers, trials["other_changes"], strict=True))

    def rows(self, sign: int, space: Space) -> Iterator[dict[str, Any]]:
        valued = np.flatnonzero(np.isfinite(self.values))
        if not len(valued):
            return
        best = int(valued[0])
        for at in np.flatnonzero(self.kept[best + 1 :]) + best + 1:
            gain = max(0.0, sign * (self.values[best] - self.values[at]))
            parts = self.parts(self.numbers[at], self.numbers[best], space)
            yield self._row(int(at), gain, parts)
            best = int(at) if gain > 0 else best

    def _row(self, at: int, gain: float, parts: Parts) -> dict[str, Any]:
        share = parts.inside_share
        attributed = not math.isnan(share)
        return {
            "run": self.run, "contestant": self.contestant, "seed": self.seed,
            "trial": self.numbers[at], "position": (at + 1) / len(self.numbers),
            "kind": parts.kind, "parts inside": parts.inside,
            "parts outside": parts.outside, "inside share": share, "gain": gain,
            "gain inside": gain * share if attributed else 0.0,
            "gain outside": gain * (1 - share) if attributed else 0.0,
            "gain unattributed": 0.0 if attributed else gain,
        }  # fmt: skip

    def parts(self, trial: int, before: int, space: Space) -> Parts:
        """What a trial changed against an earlier one, over all parents between them."""
        if pd.isna(self.others[trial]):
            return self._by_settings(trial, before, space)
        knobs, code = self._since(trial, before)
        return sorted_parts(knobs, code, space)

    def _since(self, trial: int, before: int) -> tuple[dict[str, Any], bool]:
        """The knobs with new values, and whether other code changed: of a chain of parents."""
        knobs: dict[str, tuple[Any, Any]] = {}
        code, at, seen = False, trial, set[int]()
        while at != before and at in self.changed and at not in seen:
            seen.add(at)
            for name, (old, new) in changed_knobs(self.changed[at]).items():
                knobs[name] = (old, knobs[name][1] if name in knobs else new)
            code = code or bool(self.others[at])
            parent = self.parents[at]
            if pd.isna(parent) or int(parent) < before:  # a text older than the best kept one
                break
            at = int(parent)
        return {name: new for name, (old, new) in knobs.items() if old != new}, code

    def _by_settings(self, trial: int, before: int, space: Space) -> Parts:
        new, old = self.settings.get(trial), self.settings.get(before)
        if not new or not old:
            return Parts(known=False)
        knobs = {name: new.get(name) for name in new | old if new.get(name) != old.get(name)}
        return sorted_parts(knobs, code=False, space=space)
