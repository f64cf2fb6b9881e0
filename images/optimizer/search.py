"""The study: asks Optuna for settings and tells it what became of them.

Invariant: after every call the study is whole on disk. An ask or a tell is a transaction: a process
that dies in the middle of one finds, when it comes back, the journal as it was before it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState, create_trial
from samplers import SAMPLERS
from space import Knob, points

STUDY = "bakeoff"
OWNER = "bakeoff.owner"
RAN = "bakeoff.ran"


class SearchError(Exception):
    """The search cannot be opened; the text says what is so."""


class UnknownTrialError(Exception):
    """An answer to a question that was never asked."""


@dataclass(frozen=True)
class Ask:
    """A setting that Optuna wants tried: its trial number and a value for every knob."""

    number: int
    knobs: dict[str, Any]


class Search:
    """A study in a directory, opened or resumed.

    Args:
        state: the directory of the journal; this process is its only user.
        sampler: a name of `SAMPLERS`.
        seed: the run's seed.
        space: the knobs.

    Raises:
        SearchError: no such sampler, or the directory holds another search.
    """

    def __init__(self, state: Path, sampler: str, seed: int, space: tuple[Knob, ...]) -> None:
        if sampler not in SAMPLERS:
            raise SearchError(f"no sampler {sampler!r}; known: {', '.join(SAMPLERS)}")
        self._entry = SAMPLERS[sampler]
        self._seed = seed
        self._space = space
        self._distributions = {knob.name: distribution(knob) for knob in space}
        self._journal = state / "journal.log"
        self._mark = state / "journal.mark"
        self._roll_back()
        owner = f"{sampler}, seed {seed}, space {space!r}"
        with self._transaction():
            self._storage = _open_storage(self._journal)
            self._study = optuna.create_study(
                storage=self._storage,
                study_name=STUDY,
                sampler=self._entry.make(seed, 0),
                load_if_exists=True,
            )
            if OWNER not in self._study.user_attrs:
                self._study.set_user_attr(OWNER, owner)
        if self._study.user_attrs[OWNER] != owner:
            raise SearchError(f"the journal is of another search: {self._study.user_attrs[OWNER]}")

    def ask(self) -> Ask | None:
        """The next setting, or None when every setting of the space has been asked for.

        Trial 0 is the default of every knob.
        """
        trials = self._trials()
        if len({tuple(trial.params.items()) for trial in trials}) >= points(self._space):
            return None
        number = len(trials)
        sampler = self._entry.make(self._seed, number)
        with self._transaction():
            self._study.sampler = sampler
            if number == 0:
                self._study.enqueue_trial({knob.name: knob.default for knob in self._space})
            elif self._entry.learns_from_trials:
                self._study.enqueue_trial(suggested(sampler, trials, self._distributions))
            trial = self._study.ask(self._distributions)
        return Ask(trial.number, trial.params)

    def tell(
        self, number: int, status: str, val_bpb: float | None, summary: Mapping[str, Any]
    ) -> bool:
        """Record what became of a trial; False when that was known already.

        A failure is told as a failure. A large number in its place would be a measurement that
        nobody made, and would bend a model of the objective or the covariance of CMA-ES.

        Args:
            number: the trial's number, as asked.
            status: the ledger's: ok, pruned, crash, oom, timeout or killed.
            val_bpb: bits per byte for ok and pruned.
            summary: the ledger's, which names the knobs that train.py had to round.

        Raises:
            UnknownTrialError: no such trial was asked for.
        """
        trials = self._trials()
        if not 0 <= number < len(trials):
            raise UnknownTrialError(f"trial {number} was never asked for")
        if trials[number].state.is_finished():
            return False
        with self._transaction():
            if ran := self._rounded(summary):
                self._storage.set_trial_user_attr(self._trial_id(number), RAN, ran)
            if val_bpb is None or not math.isfinite(val_bpb) or status not in ("ok", "pruned"):
                self._study.tell(number, state=TrialState.FAIL)
            elif status == "ok":
                self._study.tell(number, val_bpb)
            else:
                self._tell_pruned(number, val_bpb)
        return True

    def outstanding(self) -> list[Ask]:
        """What was asked for and not yet told, oldest first."""
        running = (trial for trial in self._trials() if trial.state == TrialState.RUNNING)
        return [Ask(trial.number, trial.params) for trial in running]

    def best(self) -> tuple[float, int] | None:
        """The lowest val_bpb of a completed trial, with its number."""
        done = (trial for trial in self._trials() if trial.state == TrialState.COMPLETE)
        return min(((float(t.value), t.number) for t in done if t.value is not None), default=None)

    def _tell_pruned(self, number: int, val_bpb: float) -> None:
        """Optuna reads a pruned trial's worth from its last intermediate value."""
        self._storage.set_trial_intermediate_value(self._trial_id(number), 0, val_bpb)
        self._study.tell(number, state=TrialState.PRUNED)

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
        study_id = self._storage.get_study_id_from_name(STUDY)
        return int(self._storage.get_trial_id_from_study_id_trial_number(study_id, number))

    def _trials(self) -> list[FrozenTrial]:
        trials: list[FrozenTrial] = self._study.get_trials(deepcopy=False)
        return trials

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Note the journal's length before a change; `_roll_back` returns to it after a death."""
        size = self._journal.stat().st_size if self._journal.exists() else 0
        aside = self._mark.with_suffix(".part")
        with aside.open("w") as file:
            file.write(str(size))
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._mark)
        yield
        self._mark.unlink()

    def _roll_back(self) -> None:
        if self._mark.exists() and self._journal.exists():
            os.truncate(self._journal, int(self._mark.read_text()))
        self._mark.unlink(missing_ok=True)


def distribution(knob: Knob) -> BaseDistribution:
    """Optuna's distribution for a knob: what it suggests is run as it is."""
    if knob.type == "categorical":
        return CategoricalDistribution(knob.choices)
    if knob.type == "int":
        return IntDistribution(int(knob.low), int(knob.high), knob.log, int(knob.step or 1))
    return FloatDistribution(knob.low, knob.high, knob.log, knob.step)


def suggested(
    sampler: BaseSampler, trials: list[FrozenTrial], distributions: dict[str, BaseDistribution]
) -> dict[str, Any]:
    """What a sampler suggests when it sees what was run, and failures as the worst measured."""
    seen = optuna.create_study(sampler=sampler)
    worst = max((t.value for t in trials if t.value is not None), default=None)
    seen.add_trials(_as_run(trial, worst) for trial in trials)
    return dict(seen.ask(distributions).params)


def _as_run(trial: FrozenTrial, worst: float | None) -> FrozenTrial:
    """The trial with the values that train.py rounded to, and a value for a failed one."""
    failed = trial.state == TrialState.FAIL and worst is not None  # else: nothing to compare with
    return create_trial(
        state=TrialState.COMPLETE if failed else trial.state,
        value=worst if failed else trial.value,
        params=trial.params | trial.user_attrs.get(RAN, {}),
        distributions=trial.distributions,
        intermediate_values=trial.intermediate_values,
    )


def _open_storage(journal: Path) -> JournalStorage:
    """The journal, with the lock of a process that was killed taken away: we are alone here."""
    Path(f"{journal}.lock").unlink(missing_ok=True)
    lock = JournalFileOpenLock(str(journal))
    return JournalStorage(JournalFileBackend(str(journal), lock_obj=lock))
