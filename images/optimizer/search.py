"""The study: asks Optuna for settings and tells it the results.

Invariant: after every call the study is whole on disk. After a death in the middle of a call, or a
loss of power that cut the journal's end, the next process finds the study as it was before some ask
or tell, and asks the same from there: see journal.py.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from distributions import distribution
from guide import Guide, Guided, record
from journal import mend, study_attribute
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from proposals import GIVEN, ORDER, RAN, EverySettingTriedError, Proposals, ask_sampler_too
from pruners import PRUNERS, as_reported, gives_up
from samplers import SAMPLERS
from samplers.entry import Entry
from samplers.grid import key_of
from samplers.own import own_entry
from space import Knob, active, effective, points
from start_config import OwnSampler, SharedStudy

STUDY = "bakeoff"
JOURNAL = "journal.log"  # in the directory of the study
OWNER = "bakeoff.owner"
PROPOSAL = "bakeoff.proposal"  # of a trial: where it came from, without its knobs


class SearchError(Exception):
    """The search cannot be opened; the text says why."""


class UnknownTrialError(Exception):
    """A result of a setting that was never suggested."""


@dataclass(frozen=True)
class Suggestion:
    """A setting that Optuna suggests: its trial number and a value for every knob.

    Inactive knobs have their defaults here. The study keeps what was drawn for them: CMA-ES tells
    its covariance from its own draws.

    Attributes:
        number: the trial's in the study.
        knobs: a value for every knob; none where `text` is what is to be trained.
        proposal: where it came from, as `TrialRequested.proposal` has it; empty without a model.
        text: the file of a whole train.py; None where the knobs say all.
        words: what is to be tried, for people.
    """

    number: int
    knobs: dict[str, Any]
    proposal: dict[str, Any] = field(default_factory=dict)
    text: Path | None = None
    words: str = ""


class Search:
    """A study in a directory or in a database, opened or resumed.

    Args:
        state: the directory of the journal; this process is its only user.
        sampler: a name of `SAMPLERS`, or that of the user's own.
        seed: the run's seed.
        direction: "minimize" or "maximize", what the search does with the values.
        space: the knobs.
        own: the user's own sampler, which then is the one that searches.
        pruner: a name of `PRUNERS`.
        shared: the study in a database that other runs use too; None: the journal.
        guided: how a model guides the study; None: the sampler searches alone.

    Raises:
        SearchError: no such sampler or pruner, one that cannot share a study, or the directory
            holds another search.
        OwnSamplerError: the user's own file makes no sampler.
        SharedStudyError: the study in the database cannot be this run's.
    """

    def __init__(
        self,
        state: Path,
        sampler: str,
        seed: int,
        direction: str,
        space: tuple[Knob, ...],
        own: OwnSampler | None = None,
        pruner: str = "none",
        shared: SharedStudy | None = None,
        guided: Guided | None = None,
    ) -> None:
        if pruner not in PRUNERS:
            raise SearchError(f"no pruner {pruner!r}; known: {', '.join(PRUNERS)}")
        self._pruner = pruner
        self._space = space
        self._distributions = {knob.name: distribution(knob) for knob in space}
        sampler, entry = self._entry(sampler, own, seed, guided)
        toward = StudyDirection[direction.upper()]
        self._proposals = Proposals(
            entry, seed, toward, self._distributions, lambda knobs: effective(space, knobs)
        )
        self._guide = Guide(guided, self._proposals.run_knobs) if guided else None
        self._turn: Callable[[], AbstractContextManager[None]] = nullcontext
        self._is_mine: Callable[[FrozenTrial], bool] = lambda _trial: True
        self._storage: BaseStorage
        if shared is None:
            self._open_journal(state / JOURNAL, f"{sampler}, seed {seed}, ", direction)
            for name, value in (guided.attributes if guided else {}).items():
                if self._study.user_attrs.get(name) != value:
                    self._study.set_user_attr(name, value)
        elif guided is not None:
            raise SearchError("a search with a model cannot share a study: it would hold others up")
        elif self._proposals.needs_order:
            raise SearchError(f"{sampler} cannot share a study: it repeats its own asks and tells")
        else:
            self._open_database(shared, state, direction)

    def _entry(
        self, sampler: str, own: OwnSampler | None, seed: int, guided: Guided | None
    ) -> tuple[str, Entry]:
        """The name by which the study knows its sampler, and the sampler's row."""
        by_model = f" guided by {guided.owner}" if guided else ""
        if own is not None:
            digest = hashlib.sha256(own.text.encode()).hexdigest()
            entry = own_entry(own.file, own.text, own.factory, self._distributions, seed)
            return f"{sampler} ({own.factory}, sha256 {digest}){by_model}", entry
        if guided is not None and guided.entry is not None:
            return sampler + by_model, guided.entry
        if sampler in SAMPLERS:
            return sampler + by_model, SAMPLERS[sampler]
        raise SearchError(f"no sampler {sampler!r}; known: {', '.join(SAMPLERS)}")

    def _open_journal(self, journal: Path, whose: str, direction: str) -> None:
        owner = f"{whose}{direction}, space {self._space!r}"
        owner += "" if self._pruner == "none" else f", pruner {self._pruner}"
        other = study_attribute(journal, OWNER)
        if other not in (None, owner):  # before anything is cut off that belongs to another
            raise SearchError(f"the journal is of another search: {other}")
        mend(journal, len(self._space))
        self._storage = _open_storage(journal)
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=STUDY,
            sampler=self._proposals.sampler(0),
            direction=StudyDirection[direction.upper()],
            load_if_exists=True,
        )
        if other is None:
            self._study.set_user_attr(OWNER, owner)

    def _open_database(self, shared: SharedStudy, state: Path, direction: str) -> None:
        from storage import open_database  # it takes a while to import, and few runs need it

        sampler_of = self._proposals.sampler
        database = open_database(shared, state, sampler_of(0), direction, repr(self._space))
        database.finish_asks(sampler_of, self._distributions)
        self._storage, self._study = database.own, database.study
        self._turn, self._is_mine = database.turn, database.own.is_mine

    def ask(self) -> Suggestion | None:
        """The next setting, or None when every setting of the space has been suggested.

        Trial 0 is the default of every knob.

        Raises:
            OutOfBudgetError: the run may not ask its model any more.
            UselessModelError: the provider serves this run no model.
            GaveUpError: too little of what the model gave could be used.
        """
        with self._turn():
            return self._ask()

    def _ask(self) -> Suggestion | None:
        every = self._trials()
        # Of a shared study, another run may have left an ask unfinished.
        trials = [trial for trial in every if self._distributions.keys() <= trial.params.keys()]
        if self._is_used_up(trials):
            return None
        number = len(every)
        self._study.sampler = self._proposals.sampler(number)
        try:
            knobs, attributes = self._proposed(number, trials)
        except EverySettingTriedError:
            return None
        if knobs is not None or attributes:
            self._study.enqueue_trial(knobs or {}, user_attrs=attributes)
        if attributes.get(GIVEN) and number and self._proposals.keeps_state:
            return self._suggestion(ask_sampler_too(self._study, self._distributions))
        return self._suggestion(self._study.ask(self._distributions))

    def _proposed(
        self, number: int, trials: list[FrozenTrial]
    ) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """The next setting, None where the sampler draws it, and what the study keeps with it."""
        default = {knob.name: knob.default for knob in self._space}
        if self._guide is None:
            return (default if number == 0 else self._proposals.propose(number, trials)), {}
        if number and (left := self._proposals.untried(trials)):
            proposal = self._guide.instead_of_repeats(left)
        else:
            proposal = self._guide.propose(number, trials)
        given = proposal.knobs if number else default
        kept = {PROPOSAL: record(proposal), GIVEN: given is not None}
        return (self._proposals.propose(number, trials) if given is None else given), kept

    def _suggestion(self, trial: FrozenTrial | optuna.Trial) -> Suggestion:
        knobs, proposal = effective(self._space, trial.params), trial.user_attrs.get(PROPOSAL, {})
        return Suggestion(trial.number, knobs, proposal)

    def report(self, number: int, step: int, value: float) -> bool:
        """Record what was measured of a running trial on its way; whether it is to be pruned.

        What was reported before is answered as if it had not been: after a death in the middle of
        a report, and of a trial that runs again and measures something else.

        Args:
            number: the trial's number, as suggested.
            step: how much of its training is done, in percent.
            value: what was measured then, in the metric's unit.

        Raises:
            UnknownTrialError: no such trial was asked for.
        """
        trial = self._known(number)
        if trial.state.is_finished():
            return False
        before = trial.intermediate_values.get(step)
        self._storage.set_trial_intermediate_value(self._trial_id(number), step, value)
        running = as_reported(self._known(number), step, before)
        return gives_up(self._pruner, self._study, running)

    def tell(
        self, number: int, status: str, value: float | None, summary: Mapping[str, Any]
    ) -> bool:
        """Record the result of a trial; False when it was known already.

        A failure is told as a failure. A large number in its place would be a measurement that
        nobody made, and would bend a model of the objective or the covariance of CMA-ES.

        Args:
            number: the trial's number, as suggested.
            status: the ledger's: ok, pruned, crash, oom, timeout, killed or rejected.
            value: what an ok or pruned trial measured, in the metric's unit; else None.
            summary: the ledger's, which names the knobs that train.py had to round.

        Raises:
            UnknownTrialError: no such trial was asked for.
        """
        if self._known(number).state.is_finished():
            return False
        self._study.sampler = self._proposals.sampler(number)  # what it does then, it does anew
        if self._proposals.needs_order:
            trials = self._trials()
            finished = sum(trial.state.is_finished() for trial in trials)
            order = [len(trials), finished]
            self._storage.set_trial_user_attr(self._trial_id(number), ORDER, order)
        if ran := self._idle(self._known(number).params) | self._rounded(summary):
            self._storage.set_trial_user_attr(self._trial_id(number), RAN, ran)
        if value is None or not math.isfinite(value) or status not in ("ok", "pruned"):
            self._study.tell(number, state=TrialState.FAIL)
        elif status == "ok":
            self._study.tell(number, value)
        else:
            self._tell_pruned(number, value)
        return True

    def outstanding(self) -> list[Suggestion]:
        """The suggestions without a result, oldest first."""
        running = (trial for trial in self._trials() if trial.state == TrialState.RUNNING)
        return [self._suggestion(one) for one in running if self._is_mine(one)]

    def best(self) -> tuple[float, int] | None:
        """The best value of a completed trial, with the trial's number; the first of equals."""
        done = (trial for trial in self._trials() if trial.state == TrialState.COMPLETE)
        told = [(float(t.value), t.number) for t in done if t.value is not None]
        best = max if self._study.direction == StudyDirection.MAXIMIZE else min
        return best(told, key=lambda entry: entry[0], default=None)

    def _tell_pruned(self, number: int, value: float) -> None:
        """Optuna reads a pruned trial's worth from its last intermediate value.

        Of a trial that ran twice, that may be the first attempt's, which got further.
        """
        reported = self._known(number).intermediate_values
        last = max(reported, default=0)
        if reported.get(last) != value:
            self._storage.set_trial_intermediate_value(self._trial_id(number), last, value)
        self._study.tell(number, state=TrialState.PRUNED)

    def _is_used_up(self, trials: list[FrozenTrial]) -> bool:
        """Whether every setting that can be run has been suggested."""
        size = points(self._space)
        if size == math.inf:
            return False
        return len({key_of(effective(self._space, trial.params)) for trial in trials}) >= size

    def _idle(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """The inactive knobs of a setting, with their defaults."""
        alive = active(self._space, drawn)
        return {knob.name: knob.default for knob in self._space if knob.name not in alive}

    def _rounded(self, summary: Mapping[str, Any]) -> dict[str, float]:
        """The knobs without a grid that a summary names, with the numbers that were run."""
        named = [knob for knob in self._space if knob.type != "categorical" and not knob.step]
        said = {knob: summary[knob.name] for knob in named if knob.name in summary}
        return {
            knob.name: int(value) if knob.type == "int" else value
            for knob, value in said.items()
            if isinstance(value, (int, float)) and knob.low <= value <= knob.high
        }

    def _trial_id(self, number: int) -> int:
        study_id = self._storage.get_study_id_from_name(self._study.study_name)
        return int(self._storage.get_trial_id_from_study_id_trial_number(study_id, number))

    def _known(self, number: int) -> FrozenTrial:
        """The trial of that number.

        Raises:
            UnknownTrialError: it was never asked for.
        """
        trials = self._trials()
        if not 0 <= number < len(trials):
            raise UnknownTrialError(f"trial {number} was never asked for")
        return trials[number]

    def _trials(self) -> list[FrozenTrial]:
        trials: list[FrozenTrial] = self._study.get_trials(deepcopy=False)
        return trials


def _open_storage(journal: Path) -> JournalStorage:
    """The journal. The lock of a killed process is removed: this process is its only user."""
    Path(f"{journal}.lock").unlink(missing_ok=True)
    lock = JournalFileOpenLock(str(journal))
    return JournalStorage(JournalFileBackend(str(journal), lock_obj=lock))
