"""A trial that is to run: who asked for it, its train.py, and the change against its parent."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import Any

from runner.records.proposal import Proposal
from runner.records.schema import TrialRecord, TrialSource, now
from runner.trials.terms import CONTESTANT, Terms

MAX_DIFF_LINES = 3000


@dataclass(frozen=True)
class TrialOrder:
    """One trial to run: its number, who asked for it, its text, and what was said of it.

    Attributes:
        trial: the number of the trial in its run, from 1.
        source: who asked.
        request: the contestant's own name for the request.
        train_py: the text that runs.
        parent: the number of the best trial so far, or None for the pristine train.py.
        parent_train_py: the parent's text.
        sha256: of the text.
        commit: the contestant's commit that holds the text.
        hypothesis: what the contestant expects.
        category: what kind of change it is.
        knobs: name → value, of a request that names knobs instead of a text.
        knobs_changed: name → (value in the parent, value now).
        other_changes: something else differs from the parent too.
        queued_at: when the request became a trial, ISO 8601.
        proposal: where an optimiser that uses a model has it from; its costs are not known yet.
        terms: how it runs and is scored.
    """

    trial: int
    source: TrialSource
    request: str
    train_py: str
    parent: int | None
    parent_train_py: str
    sha256: str = ""
    commit: str = ""
    hypothesis: str = ""
    category: str = ""
    knobs: dict[str, Any] = field(default_factory=dict)
    knobs_changed: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    other_changes: bool = False
    queued_at: str = ""
    proposal: Proposal | None = None
    terms: Terms = CONTESTANT

    def record(self, **measured: Any) -> TrialRecord:
        """The trial's line in the ledger, once it has ended; `measured` is all that it lacks."""
        return TrialRecord(
            trial=self.trial,
            source=self.source,
            request=self.request,
            parent=self.parent,
            sha256=self.sha256,
            commit=self.commit,
            hypothesis=self.hypothesis,
            category=self.category,
            knobs=self.knobs,
            knobs_changed=self.knobs_changed,
            other_changes=self.other_changes,
            queued_at=self.queued_at,
            proposal=self.proposal,
            ended_at=now(),
            **measured,
        )

    def patch(self) -> str:
        """The change against the parent, as a unified diff.

        Comparing takes more than linear time, so longer texts are not compared.
        """
        before = "pristine" if self.parent is None else f"trial {self.parent}"
        old = self.parent_train_py.splitlines(keepends=True)
        new = self.train_py.splitlines(keepends=True)
        if max(len(old), len(new)) > MAX_DIFF_LINES:
            return f"over {MAX_DIFF_LINES} lines: compare train.py with that of {before} yourself\n"
        names = f"train.py ({before})", f"train.py (trial {self.trial})"
        return "".join(difflib.unified_diff(old, new, *names))
