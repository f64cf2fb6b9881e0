"""What a change is made of, and which of its parts a baseline could have made.

A part is a constant of train.py that changed, or all other code together. It is inside the space if
the space has the knob and the new value lies within its range.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from runner.analysis.report import Context
from runner.errors import UserError
from runner.samplers import searched_by
from runner.spec import Knob, RunSpec, read_spec
from runner.tasks import load_space, load_task

CODE = "other code"  # the part that is no constant of train.py
KINDS = ("inside", "outside", "both", "unchanged", "unknown")


@dataclass(frozen=True)
class Space:
    """What the baselines may change.

    Attributes:
        knobs: name → its range; None where only the name is known.
        source: where this is known from, for a reader.
    """

    knobs: Mapping[str, Knob | None]
    source: str

    def holds(self, name: str, value: Any) -> bool:
        """Whether a baseline can give the knob this value; steps within a range do not count."""
        if name not in self.knobs:
            return False
        knob = self.knobs[name]
        return knob is None or _within(knob, value)


@dataclass(frozen=True)
class Parts:
    """What a change is made of.

    Attributes:
        inside: the knobs that a baseline could have set so.
        outside: knobs that the space lacks or whose value is beyond its range, and `CODE`.
        known: False where nothing tells what was changed.
    """

    inside: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    known: bool = True

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        if not self.known:
            return "unknown"
        if self.inside and self.outside:
            return "both"
        return "inside" if self.inside else "outside" if self.outside else "unchanged"

    @property
    def inside_share(self) -> float:
        """The share of the parts that is inside; NaN where there are none."""
        parts = len(self.inside) + len(self.outside)
        return len(self.inside) / parts if parts else math.nan


def search_space(context: Context) -> Space | None:
    """What the baselines searched.

    That is the space that all of them were given, or else the task's; of an unknown task, the knobs
    that its baselines set; None if there are none.
    """
    task = str(context.frames.runs["task"].iloc[0])
    given = _given(context)
    if given is not None:
        return Space(given, "the space that the baselines were given (SPACE)")
    try:
        found = load_task(task)
        return Space(load_space(found), f"[{found.space}] of trainer/search_space.toml")
    except UserError:
        runs, knobs = context.frames.runs, context.frames.knobs
        baselines = runs.loc[bound_to_space(runs), "run"]
        names = sorted(knobs.loc[knobs["run"].isin(baselines), "knob"].unique())
        return Space(dict.fromkeys(names), "the knobs that the baselines set") if names else None


def _given(context: Context) -> dict[str, Knob] | None:
    """The space that every such baseline was given; None if it is not one and the same."""
    runs = context.frames.runs
    specs = [_spec(Path(str(path))) for path in runs.loc[bound_to_space(runs), "path"]]
    spaces = [spec.space if spec else None for spec in specs]
    return spaces[0] if spaces and all(space == spaces[0] for space in spaces) else None


def bound_to_space(runs: pd.DataFrame) -> pd.Series[bool]:
    """Whether a run is a baseline's that changes nothing but the knobs of a space it is given.

    Args:
        runs: rows of `Frames.runs`.
    """
    given = [_is_given_space(Path(str(path))) for path in runs["path"]]
    return (runs["kind"] == "baseline") & pd.Series(given, index=runs.index, dtype=bool)


def _is_given_space(folder: Path) -> bool:
    spec = _spec(folder)
    asked = spec.proposer if spec else None
    return searched_by(asked.method if asked else None) == "given space"


def _spec(folder: Path) -> RunSpec | None:
    try:
        return read_spec(folder.parent, folder.name)
    except UserError:  # a run of another version, or no run of ours
        return None


def _within(knob: Knob, value: Any) -> bool:
    if knob.choices is not None:
        return value in knob.choices
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return False
    if knob.type == "int" and value != int(value):
        return False
    low, high = knob.low, knob.high
    return (low is None or value >= low) and (high is None or value <= high)


def sorted_parts(knobs: Mapping[str, Any], code: bool, space: Space) -> Parts:
    """The parts of a change: knobs with their new values, and whether other code changed."""
    inside = sorted(name for name, value in knobs.items() if space.holds(name, value))
    outside = sorted(set(knobs) - set(inside)) + ([CODE] if code else [])
    return Parts(tuple(inside), tuple(outside))
