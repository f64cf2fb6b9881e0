"""A search of whole texts: a model rewrites the best train.py, and what is better is kept.

Invariant: all that a request depends on is in the journal before it is made, and its answer is kept
(models/kept.py). So a search that was killed anywhere and resumed asks for the same trials, and no
request is paid twice.

Source: the hill climbing of autoresearch-automl, `backends/karpathy_agent_backend.py`. There, an
answer that cannot be used is a trial of the best text again, which is kept under
`as_published="automl-2026"`. Here it costs no trial.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from drafts import AskedByTrial, Base, Draft, draft, finished, known_text
from methods import terms
from methods.fallbacks import Fallbacks, GaveUpError
from methods.terms import AUTOML_2026, DEFAULT, FALLBACK, MODEL, Proposal
from search import SearchError, Suggestion, UnknownTrialError
from texts_journal import DamagedTextError, TextJournal, sha256

__all__ = ["GaveUpError", "TextSearch", "TextTrial"]  # the first is what `ask` raises

ASKED, TOLD, UNUSED, OWNER = "asked", "told", "unused", "owner"
LAST_SHOWN = 15
UNUSED_IN_A_ROW = 5  # a model that gives nothing usable so often gives nothing any more
NO_TRIAL = "no trial for answers: "  # in `Proposal.repairs`, with their number since the last one
AS_IT_IS = "train.py as it is"


@dataclass(frozen=True)
class TextTrial:
    """A trial of a text.

    Attributes:
        number: the trial's.
        sha256: of the text as it is handed in.
        words: what is tried.
        proposal: where it came from, as `TrialRequested.proposal` has it.
        status: of its result; "" while it is under way.
        value: what an ok or pruned trial measured, in the metric's unit.
        kept: it was better than every trial before it.
    """

    number: int
    sha256: str
    words: str
    proposal: dict[str, Any]
    status: str = ""
    value: float | None = None
    kept: bool = False


class TextSearch:
    """A search in a directory, opened or resumed.

    Args:
        state: the directory of the journal and the texts; this process is its only user.
        facts: what every prompt says of the search; it has no space.
        model: answers prompts, and keeps its answers.
        train_py: the text of trial 0.
        note: takes a sentence for each answer that could not be used; it goes to the runner.

    Raises:
        SearchError: the directory holds another search, or a text of it was changed.
    """

    def __init__(
        self,
        state: Path,
        facts: terms.Search,
        model: AskedByTrial,
        train_py: str,
        note: Callable[[str], None],
    ) -> None:
        self._facts = facts
        self._model = model
        self._note = note
        self._train_py = train_py
        self._trials: list[TextTrial] = []
        self._best: TextTrial | None = None
        self._drafts = 0  # texts that a model was asked for
        self._unused: list[Mapping[str, Any]] = []  # drafts since the last trial
        self._in_a_row = 0  # of them, those of this process: a resumed search asks anew
        self._fallbacks = Fallbacks()
        self._journal = TextJournal(state)
        direction = "minimize" if facts.minimize else "maximize"
        self._open(f"llm-code, seed {facts.seed}, {direction}, train.py {sha256(train_py)}")

    def _open(self, owner: str) -> None:
        entries = self._journal.entries
        if not entries:
            self._journal.append({"event": OWNER, "owner": owner})
        elif entries[0].get("owner") != owner:
            raise SearchError(f"the journal is of another search: {entries[0].get('owner')}")
        try:
            for entry in entries[1:]:
                self._apply(entry)
            for trial in self._trials:
                self._journal.text(trial.number, trial.sha256)
        except DamagedTextError as error:
            raise SearchError(f"resuming the search: {error}") from None
        except (KeyError, IndexError, TypeError) as error:
            raise SearchError(f"resuming the search: its journal has {error!r}") from None

    def ask(self) -> Suggestion | None:
        """The next text; trial 0 is train.py as it is.

        An answer that cannot be used is no trial. It is reported and the next request is made.

        Raises:
            GaveUpError: so many answers of this process in a row could not be used, or, as
                published, too many of its trials are the best text again.
            OutOfBudgetError: the run may not ask its model any more.
            UselessModelError: the provider serves this run no model.
        """
        if not self._trials:
            return self._begin(Proposal(DEFAULT), AS_IT_IS, self._train_py)
        self._fallbacks.check()
        while self._in_a_row < UNUSED_IN_A_ROW:
            found = self._draft()
            if not found.why:
                return self._begin(self._from_model(MODEL, found), found.words, found.text)
            if self._facts.as_published == AUTOML_2026 and found.said:
                words = f"the best train.py again: {found.why}"
                return self._begin(self._from_model(FALLBACK, found), words, self._best_text())
            self._write(event=UNUSED, why=found.why, words=found.words, requests=found.requests)
            self._in_a_row += 1
            self._note(f"no trial for answer {self._drafts}: {found.why}")
        why = self._unused[-1].get("why")
        raise GaveUpError(
            f"{self._in_a_row} answers in a row could not be used, the last one because {why}"
        )

    def report(self, number: int, _step: int, _value: float) -> bool:
        """Whether a running trial is to be given up, which a search of texts never does.

        Raises:
            UnknownTrialError: no such trial was asked for.
        """
        self._known(number)
        return False

    def tell(
        self, number: int, status: str, value: float | None, _summary: Mapping[str, Any]
    ) -> bool:
        """Record the result of a trial; False when it was known already.

        Args:
            number: the trial's number, as suggested.
            status: the ledger's: ok, pruned, crash, oom, timeout, killed, rejected or refused.
            value: what an ok or pruned trial measured, in the metric's unit; else None.

        Raises:
            UnknownTrialError: no such trial was asked for.
        """
        if self._known(number).status:
            return False
        whole = value is not None and math.isfinite(value)
        if status == "ok" and not whole:
            status = "crash"
        self._write(event=TOLD, number=number, status=status, value=value if whole else None)
        return True

    def outstanding(self) -> list[Suggestion]:
        """The suggestions without a result, oldest first."""
        return [self._suggestion(trial) for trial in self._trials if not trial.status]

    def best(self) -> tuple[float, int] | None:
        """The best value of a completed trial, with the trial's number; the first of equals."""
        best = self._best
        return None if best is None or best.value is None else (best.value, best.number)

    def _draft(self) -> Draft:
        """What the model is asked for now."""
        known = {sha256(finished(self._train_py)): 0}
        known = {trial.sha256: trial.number for trial in reversed(self._trials)} | known
        best = 0 if self._best is None else self._best.number
        is_free = self._facts.as_published == AUTOML_2026  # the study ran what it had run before
        self._model.for_trial(self._drafts + 1)
        base = Base(self._best_text(), self._best_in_words(), self._results())
        fault = (lambda _text: "") if is_free else (lambda text: known_text(known, best, text))
        return draft(self._facts, base, fault, self._model)

    def _from_model(self, by: str, found: Draft) -> Proposal:
        """A proposal with all requests since the last trial, so that each has its trial."""
        before_it = self._unused
        before = [request for one in before_it for request in one.get("requests", ())]
        return Proposal(
            by=by,
            requests=(*before, *found.requests),
            repairs=((f"{NO_TRIAL}{len(before_it)}",) if before_it else ()) + found.repairs,
            why=found.why,
        )

    def _begin(self, proposal: Proposal, words: str, text: str) -> Suggestion:
        number = len(self._trials)
        told = json.loads(json.dumps(asdict(proposal)))  # as a resumed search will read it
        del told["knobs"]
        self._journal.keep(number, text)
        self._write(event=ASKED, number=number, sha256=sha256(text), words=words, proposal=told)
        self._in_a_row = 0
        self._fallbacks.add(proposal)
        return self._suggestion(self._trials[number])

    def _write(self, **entry: Any) -> None:
        self._journal.append(entry)
        self._apply(entry)

    def _apply(self, entry: Mapping[str, Any]) -> None:
        """Change what is known by an entry of the journal."""
        if entry["event"] == UNUSED:
            self._drafts += 1
            self._unused.append(entry)
        elif entry["event"] == ASKED:
            self._drafts += int(bool(self._trials))  # nobody was asked for trial 0
            self._unused = []
            self._trials.append(
                TextTrial(entry["number"], entry["sha256"], entry["words"], entry["proposal"])
            )
        elif entry["event"] == TOLD:
            number, status, value = entry["number"], entry["status"], entry["value"]
            kept = status == "ok" and self._is_better(value)
            told = replace(self._trials[number], status=status, value=value, kept=kept)
            self._trials[number] = told
            self._best = told if kept else self._best

    def _is_better(self, value: float) -> bool:
        if self._best is None or self._best.value is None:
            return True
        return value < self._best.value if self._facts.minimize else value > self._best.value

    def _best_text(self) -> str:
        """The best text; train.py as it is while none has a value."""
        if self._best is None:
            return self._train_py
        return self._journal.text(self._best.number, self._best.sha256)

    def _best_in_words(self) -> str:
        if self._best is None:
            return "none has a value yet; below is train.py as it came"
        return f"{self._best.value:.6g}, trial {self._best.number}"

    def _results(self) -> str:
        """The last trials, oldest first, and the answers since then that could not be used.

        The latter keep two requests in a row from being the same.
        """
        before = self._drafts - len(self._unused)
        unused = [
            {"answer": before + place, "outcome": f"not run: {one['why']}", "change": one["words"]}
            for place, one in enumerate(self._unused, 1)
        ][-LAST_SHOWN:]
        shown = [self._shown(trial) for trial in self._trials[-LAST_SHOWN:]]
        return "\n".join(map(json.dumps, shown + unused))

    def _shown(self, trial: TextTrial) -> dict[str, Any]:
        if not trial.status:
            outcome = "running"
        elif trial.value is None:
            outcome = f"failed ({trial.status})"
        else:
            outcome = "kept" if trial.kept else "reverted"
        value = None if trial.value is None else float(f"{trial.value:.6g}")
        shown = {"trial": trial.number, self._facts.metric: value, "outcome": outcome}
        return shown | {"change": trial.words}

    def _suggestion(self, trial: TextTrial) -> Suggestion:
        path = self._journal.path(trial.number)
        return Suggestion(trial.number, {}, trial.proposal, text=path, words=trial.words)

    def _known(self, number: int) -> TextTrial:
        if not 0 <= number < len(self._trials):
            raise UnknownTrialError(f"trial {number} was never asked for")
        return self._trials[number]
