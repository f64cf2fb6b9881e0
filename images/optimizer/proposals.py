"""Asks one sampler of the table for settings: what it is shown, and how it is called.

The kinds of samplers, and why they see failures as they do, are in samplers/__init__.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from samplers.entry import Entry, Knobs, Seen, seed_of_ask
from samplers.grid import is_grid, next_of_grid, only_repeated
from samplers.replay import Replayed, Told

RAN = "bakeoff.ran"  # the values that train.py rounded to
GIVEN = "bakeoff.given"  # of a trial: the sampler was not asked for it
AsRun = Callable[[Mapping[str, Any]], Knobs]
ORDER = "bakeoff.order"  # of a result: how many trials were asked for, and how many told, before it


class EverySettingTriedError(Exception):
    """A finite space has no setting left that no trial has had."""


class Proposals:
    """A sampler of a study that is asked trial by trial.

    Args:
        entry: its row of the table.
        seed: the run's seed.
        direction: the study's.
        distributions: the space, knob by knob.
        as_run: of a setting, the one that is run: an inactive knob has its default.
    """

    def __init__(
        self,
        entry: Entry,
        seed: int,
        direction: StudyDirection,
        distributions: Mapping[str, BaseDistribution],
        as_run: AsRun = dict,
    ) -> None:
        self._entry = entry
        self._seed = seed
        self._direction = direction
        self._distributions = dict(distributions)
        self._as_run = as_run
        self._has_end = is_grid(self._distributions)
        self._replayed = (
            Replayed(entry.ask_tell, self._distributions, seed) if entry.ask_tell else None
        )

    @property
    def needs_order(self) -> bool:
        """Whether the order of results has to be in the journal."""
        return self._replayed is not None

    @property
    def keeps_state(self) -> bool:
        """Whether the sampler writes into the study what it needs, at each ask."""
        return self._entry.make is not None and not self._entry.learns_from_trials

    def sampler(self, number: int) -> BaseSampler:
        """The study's sampler while this trial is asked for or told; it holds no state."""
        if self._entry.make is None:
            return RandomSampler(seed=seed_of_ask(self._seed, number))
        return self._entry.make(self._seed, number)

    def propose(self, number: int, trials: Sequence[FrozenTrial]) -> Knobs | None:
        """A setting, or None where the study's sampler is to draw it.

        Args:
            number: the trial's, from 1.
            trials: those of the study so far that have a value for every knob.

        Raises:
            EverySettingTriedError: the space has an end, and there is nothing left.
        """
        if (left := self.untried(trials)) is not None:
            return left
        shown = seen(trials, self._direction, self._as_run)
        if self._entry.tries_all:
            return self._next_of_grid(trials, shown)
        if self._replayed:
            tired = self._tired(trials)
            asked = [
                None if trial.number == 0 or tired[place] or trial.user_attrs.get(GIVEN) else
                trial.params
                for place, trial in enumerate(trials)
            ]  # fmt: skip
            return self._replayed.ask(number, asked, told(trials, self._direction, self._as_run))
        if self._entry.suggest:
            found = self._entry.suggest(self._seed, number, self._distributions, shown)
            return self._next_of_grid(trials, shown) if found is None and self._has_end else found
        if self._entry.learns_from_trials:
            return suggested(
                self.sampler(number), self._direction, trials, self._distributions, self._as_run,
                ranks_pruned=self._entry.ranks_pruned,
            )  # fmt: skip
        return None

    def untried(self, trials: Sequence[FrozenTrial]) -> Knobs | None:
        """A setting of a finite space that no trial has had, where the last ones only repeated.

        Raises:
            EverySettingTriedError: there is nothing left.
        """
        if not self._tired(trials)[-1]:
            return None
        return self._next_of_grid(trials, seen(trials, self._direction, self._as_run))

    def run_knobs(self, trial: FrozenTrial) -> Knobs:
        """The values that a trial was run with."""
        return _run_knobs(trial, self._as_run)

    def _tired(self, trials: Sequence[FrozenTrial]) -> list[bool]:
        """For each trial and the next, whether a finite space was only repeated before it."""
        if not self._has_end:
            return [False] * (len(trials) + 1)
        return only_repeated([self._as_run(trial.params) for trial in trials])

    def _next_of_grid(self, trials: Sequence[FrozenTrial], shown: Sequence[Seen]) -> Knobs:
        tried = [self._as_run(trial.params) for trial in trials] + [one.knobs for one in shown]
        left = next_of_grid(self._seed, self._distributions, tried, self._as_run)
        if left is None:
            raise EverySettingTriedError
        return left


def ask_sampler_too(
    study: optuna.Study, distributions: Mapping[str, BaseDistribution]
) -> optuna.Trial:
    """Take the setting that waits, and let the sampler count the trial as one of its own.

    Optuna asks no sampler for a trial whose values are all given; CMA-ES would then have it in no
    generation, and learn nothing from it. What the sampler writes comes before the values, because
    the last of them ends the ask (journal.py).
    """
    trial = study.ask()
    _ = trial.relative_params
    for name, its in distributions.items():
        trial._suggest(name, its)
    return trial


def suggested(
    sampler: BaseSampler,
    direction: StudyDirection,
    trials: Sequence[FrozenTrial],
    distributions: dict[str, BaseDistribution],
    as_run: AsRun,
    *,
    ranks_pruned: bool,
) -> Knobs:
    """What a sampler suggests when it sees each trial as it was run, and failures as the worst.

    One that does not rank pruned trials itself sees their last estimates, if not better than that.
    """
    study = optuna.create_study(sampler=sampler, direction=direction)
    worst = _worst(trials, direction)
    study.add_trials(_shown(trial, worst, direction, as_run, ranks_pruned) for trial in trials)
    return dict(study.ask(distributions).params)


def seen(trials: Sequence[FrozenTrial], direction: StudyDirection, as_run: AsRun) -> list[Seen]:
    """The trials as they were run, with values to be minimised.

    A failure has the worst of the whole trials' values, and a pruned one its last estimate, if that
    is not better.
    """
    worst = _worst(trials, direction)
    return [
        Seen(_run_knobs(trial, as_run), _minimised(_value(trial, worst, direction), direction))
        for trial in trials
    ]


def told(trials: Sequence[FrozenTrial], direction: StudyDirection, as_run: AsRun) -> list[Told]:
    """The results, with the order of their telling; a failure and a pruned one have no value."""
    return [
        Told(
            number=trial.number,
            asked=trial.user_attrs[ORDER][0],
            told=trial.user_attrs[ORDER][1],
            knobs=_run_knobs(trial, as_run),
            value=_minimised(_whole_value(trial), direction),
        )
        for trial in trials
        if trial.state.is_finished()
    ]


def _minimised(value: float | None, direction: StudyDirection) -> float | None:
    return -value if value is not None and direction == StudyDirection.MAXIMIZE else value


def _run_knobs(trial: FrozenTrial, as_run: AsRun) -> Knobs:
    """The values that were run: those asked for, but for idle knobs and what train.py rounded."""
    ran: dict[str, Any] = trial.user_attrs.get(RAN, {})
    return as_run(trial.params) | ran


def _worst(trials: Sequence[FrozenTrial], direction: StudyDirection) -> float | None:
    """The worst value of a whole trial; an estimate on the way says less, and is much worse."""
    worst_of = min if direction == StudyDirection.MAXIMIZE else max
    whole = (_whole_value(trial) for trial in trials)
    return worst_of((value for value in whole if value is not None), default=None)


def _whole_value(trial: FrozenTrial) -> float | None:
    value: float | None = trial.value if trial.state == TrialState.COMPLETE else None
    return value


def _value(trial: FrozenTrial, worst: float | None, direction: StudyDirection) -> float | None:
    """What a trial is worth to a sampler that ranks none itself; None: not known yet."""
    if trial.state == TrialState.PRUNED and worst is not None:
        worse_of = min if direction == StudyDirection.MAXIMIZE else max
        return float(worse_of(worst, worst if trial.value is None else trial.value))
    return worst if trial.state == TrialState.FAIL else _whole_value(trial)


def _shown(
    trial: FrozenTrial,
    worst: float | None,
    direction: StudyDirection,
    as_run: AsRun,
    ranks_pruned: bool,
) -> FrozenTrial:
    """The trial with the values that train.py rounded to, and a value for what has none itself."""
    replaced = trial.state == TrialState.FAIL or (
        trial.state == TrialState.PRUNED and not ranks_pruned
    )
    replaced = replaced and worst is not None  # else: nothing to compare with
    return create_trial(
        state=TrialState.COMPLETE if replaced else trial.state,
        value=_value(trial, worst, direction) if replaced else trial.value,
        params=_run_knobs(trial, as_run),
        distributions=trial.distributions,
        intermediate_values=trial.intermediate_values,
    )
