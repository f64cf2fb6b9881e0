"""Asks a method, trial by trial, in the name of a study.

Invariant: what a method is told is the study's history and the model's kept answers, and nothing
else. So the same seed and answers give the same trials, whichever process asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from methods.fallbacks import Fallbacks, GaveUpError
from methods.terms import DEFAULT, FALLBACK, Method, Past, Proposal
from models.terms import Model
from optuna.trial import FrozenTrial, TrialState
from samplers.entry import Entry

STATUSES = {TrialState.COMPLETE: "ok", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}


class KeepingModel(Model, Protocol):
    """A model that keeps its answers by trial: `KeptModel` of models/kept.py."""

    def for_trial(self, number: int) -> None:
        """Say for which trial the next prompts are."""
        ...

    def forget(self, number: int) -> None:
        """Keep the answers of that trial no longer."""
        ...


@dataclass(frozen=True)
class Guided:
    """How a model guides a study.

    Attributes:
        method: proposes the trials.
        model: what it asks.
        owner: the method with all that its trials depend on, in words; a study keeps its own.
        first: the proposal of trial 0, which is the default of every knob in any case.
        inner: the name of the sampler that draws what the method leaves to it; "" where that is
            chance alone.
        asked_once: all requests are those of trial 1.
        entry: the sampler where it is none of the table.
        attributes: what else the study keeps, name → value.
    """

    method: Method
    model: KeepingModel
    owner: str
    first: Proposal = field(default_factory=lambda: Proposal(DEFAULT))
    inner: str = ""
    asked_once: bool = False
    entry: Entry | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


class Guide:
    """Proposes the trials of a study.

    Args:
        guided: how.
        run_knobs: the values that a trial was run with.
    """

    def __init__(self, guided: Guided, run_knobs: Callable[[FrozenTrial], dict[str, Any]]) -> None:
        self._guided = guided
        self._run_knobs = run_knobs
        self._fallbacks = Fallbacks()

    def propose(self, number: int, trials: Sequence[FrozenTrial]) -> Proposal:
        """The proposal for a trial.

        Args:
            number: the trial's.
            trials: all earlier ones.

        Raises:
            OutOfBudgetError: the run may not ask its model any more.
            UselessModelError: the provider serves this run no model.
            GaveUpError: too many of the last proposals are fallbacks, or the method has nothing of
                its model to go on with. A resumed search asks anew.
        """
        guided = self._guided
        if number == 0:
            return guided.first
        self._fallbacks.check()
        asked_for = 1 if guided.asked_once else number
        guided.model.for_trial(asked_for)
        past = [self._past(trial) for trial in trials]
        try:
            proposal = guided.method.propose(number, past, trials, guided.model)
        except GaveUpError:
            guided.model.forget(asked_for)
            raise
        self._fallbacks.add(proposal)
        return proposal

    def instead_of_repeats(self, untried: dict[str, Any]) -> Proposal:
        """The proposal where a finite space is tried out, because nothing new was proposed."""
        if self._guided.inner:
            return Proposal(self._guided.inner, untried)
        return Proposal(FALLBACK, untried, why="the proposals before it only repeated settings")

    def _past(self, trial: FrozenTrial) -> Past:
        status = STATUSES.get(trial.state, "running")
        measured = trial.value if status == "ok" else None  # an estimate on the way is lower
        return Past(trial.number, self._run_knobs(trial), measured, status)


def record(proposal: Proposal) -> dict[str, Any]:
    """The proposal without its knobs, as `TrialRequested.proposal` and the study have it."""
    return {
        "by": proposal.by,
        "requests": list(proposal.requests),
        "changed": dict(proposal.changed),
        "repairs": list(proposal.repairs),
        "duplicate": proposal.duplicate,
        "why": proposal.why,
    }
