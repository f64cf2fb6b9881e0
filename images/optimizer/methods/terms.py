"""What a method is told of a search, and what it proposes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from models.terms import Model
from optuna.trial import FrozenTrial
from space import Knob

DEFAULT, MODEL, WARM, FALLBACK = "default", "model", "warm", "fallback"
RANDOM = "random"  # the sampler of the table
AUTOML_2026 = "automl-2026"  # of `Search.as_published`: ferreirafabio/autoresearch-automl


@dataclass(frozen=True)
class Proposal:
    """A setting for the next trial, and where it came from.

    Attributes:
        by: `default` (trial 0), `model`, `warm` (a model's, before the sampler searches), the name
            of the inner sampler, or `fallback`: the model gave nothing usable, and `why` says so.
        knobs: a value for every knob of the space, within its range; None where the inner sampler
            draws the setting itself.
        requests: the gateway's names of the requests that it came from.
        changed: what was done to the model's words: knob → "clamped" (to its range), "rounded" (to
            its grid), "default" (it was missing or no value) or "unknown" (no such knob, left out);
            of a proposed space, "left out: " and why.
        repairs: what had to be mended before the answer could be read: "fence", "prose",
            "trailing comma", "code fence", …
        duplicate: an earlier trial had this very setting.
        why: why it is a fallback; else "".
    """

    by: str
    knobs: dict[str, Any] | None = None
    requests: tuple[str, ...] = ()
    changed: Mapping[str, str] = field(default_factory=dict)
    repairs: tuple[str, ...] = ()
    duplicate: bool = False
    why: str = ""


@dataclass(frozen=True)
class Past:
    """An earlier trial as it is shown to a model.

    Attributes:
        number: the trial's.
        knobs: the values that were run.
        value: what was measured after the whole training, in the metric's own unit and direction;
            None for a failure, for a trial that was pruned, and while it is under way.
        status: ok, pruned, failed or running.
    """

    number: int
    knobs: dict[str, Any]
    value: float | None
    status: str


@dataclass(frozen=True)
class Search:
    """What does not change during a search.

    Attributes:
        space: the knobs.
        minimize: whether lower values are better.
        metric: the name of what is measured.
        task: the task's name.
        trial_seconds: the training time of one trial.
        machine: what trials train on, in words.
        seed: the run's.
        prompts: the templates by name.
        as_published: the study whose behaviour is wanted; "" for ours.
    """

    space: tuple[Knob, ...]
    minimize: bool
    metric: str
    task: str
    trial_seconds: float
    machine: str
    seed: int
    prompts: Mapping[str, str]
    as_published: str = ""


class Method(Protocol):
    """Proposes settings. It keeps no state: all that it knows it is told, or asks its model.

    With the same search, history and answers it proposes the same.
    """

    def propose(
        self, number: int, past: Sequence[Past], trials: Sequence[FrozenTrial], model: Model
    ) -> Proposal:
        """The setting of trial `number`, which is 1 or more.

        Args:
            number: the trial's.
            past: all earlier trials, oldest first.
            trials: the same as Optuna has them, for an inner sampler.
            model: what is asked.

        Raises:
            OutOfBudgetError: the run may not ask its model any more.
            UselessModelError: the provider serves this run no model.
            GaveUpError: the model gave nothing that the search could go on with.
        """
        ...
