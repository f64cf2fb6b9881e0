"""What the optimizer gives up, by each pruner, and that a death changes none of it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from images.optimizer.pruners import PRUNERS
from runner.spec import PRUNERS as KNOWN
from runner.trials.estimates import ESTIMATE_AT
from runner.wire.messages import TrialEstimated, TrialFinished, TrialRequested

from .process import OptimizerProcess

STEPS = [round(100 * share) for share in ESTIMATE_AT]
TRIALS = 16
PRUNING = sorted(set(PRUNERS) - {"none"})


def value_at(knobs: dict[str, Any], step: int) -> float:
    """A training's value at a step: it falls, and settings keep their order along the way."""
    end = 2.0 + 0.2 * math.log(knobs["RATE"] / 0.2) ** 2 + 0.02 * knobs["DEPTH"]
    return float(end * (1.0 + 0.5 * (1 - step / 100)))


@contextlib.contextmanager
def optimizer(state: Path, **config: Any) -> Iterator[OptimizerProcess]:
    state.mkdir()
    made = OptimizerProcess(state, **config)
    made.up()
    try:
        yield made
    finally:
        made.kill()


def searched(
    made: OptimizerProcess, trials: int = TRIALS, deaths: tuple[tuple[int, int], ...] = ()
) -> list[tuple[dict[str, Any], int | None]]:
    """The knobs of each trial, and the step by which it was given up.

    The optimizer is killed right after it was told of (trial, step) in `deaths`, and again after
    its answer, or after it was told of the trial's end at step 100. Then all is said again.
    """
    found: list[tuple[dict[str, Any], int | None]] = []
    request = made.next(TrialRequested)
    for number in range(trials):
        told: list[TrialEstimated] = []
        given_up: list[int] = []
        for step in STEPS:
            told.append(TrialEstimated(request.request, step, value_at(request.knobs, step)))
            made.say(told[-1])
            if (number, step) in deaths:
                told_again(made, request, told)
                made.sent_back()  # nobody hears this answer
                told_again(made, request, told)
            given_up = made.sent_back()
            if given_up:
                break
        at = given_up[-1] if given_up else None
        found.append((request.knobs, at))
        end = TrialFinished(
            request.request, number + 1, "ok" if at is None else "pruned",
            value_at(request.knobs, at or 100), 1.0,
        )  # fmt: skip
        made.say(end)
        if (number, 100) in deaths:
            made.kill()
            made.up()
            made.say(end)  # it may have asked again for a trial whose end it has not heard
        while (asked := made.next(TrialRequested)).request == request.request:
            made.say(end)
        request = asked
    return found


def told_again(made: OptimizerProcess, request: TrialRequested, told: list[TrialEstimated]) -> None:
    """Kill it, and tell it again what was estimated of the trial that it asks for."""
    made.again(request)
    for estimate in told:
        made.say(estimate)


def test_the_runner_knows_the_pruners_of_the_image() -> None:
    """Both tables name the same pruners."""
    assert set(KNOWN) == set(PRUNERS)


@pytest.mark.parametrize("pruner", PRUNING)
def test_bad_settings_are_given_up_and_the_best_is_not(tmp_path: Path, pruner: str) -> None:
    """Some trials end early, none of them is the best, and nothing is given up without a reason."""
    with optimizer(tmp_path / "state", pruner=pruner) as made:
        found = searched(made)
    ends = [value_at(knobs, 100) for knobs, _ in found]
    whole = [end for end, (_, at) in zip(ends, found, strict=True) if at is None]
    pruned = [end for end, (_, at) in zip(ends, found, strict=True) if at is not None]
    assert len(pruned) >= 3
    assert min(whole) == min(ends)
    assert sum(pruned) / len(pruned) > sum(whole) / len(whole)
    assert found[0][1] is None, "there is nothing to compare the first one with"


def test_nothing_is_given_up_without_a_pruner(tmp_path: Path) -> None:
    """The estimates of a search that does not prune are only kept."""
    with optimizer(tmp_path / "state") as made:
        assert all(at is None for _, at in searched(made, 8))


@pytest.mark.parametrize("pruner", PRUNING)
def test_a_death_between_a_report_and_its_answer_changes_nothing(
    tmp_path: Path, pruner: str
) -> None:
    """Killed after each kind of message, it asks for the same and gives up the same."""
    with optimizer(tmp_path / "whole", pruner=pruner) as made:
        uninterrupted = searched(made)
    pruned = [(number, at) for number, (_, at) in enumerate(uninterrupted) if at is not None]
    deaths = (pruned[0], pruned[-1], (6, STEPS[0]), (pruned[1][0], 100), (2, 100))
    with optimizer(tmp_path / "killed", pruner=pruner) as made:
        assert searched(made, deaths=deaths) == uninterrupted


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_maximising_gives_up_the_opposite(tmp_path: Path, pruner: str) -> None:
    """Of a metric that is maximised, trials with low values are given up."""
    with optimizer(tmp_path / "state", pruner=pruner, direction="maximize") as made:
        found = searched(made)
    ends = [value_at(knobs, 100) for knobs, _ in found]
    whole = [end for end, (_, at) in zip(ends, found, strict=True) if at is None]
    pruned = [end for end, (_, at) in zip(ends, found, strict=True) if at is not None]
    assert max(whole) == max(ends)
    assert sum(pruned) / len(pruned) < sum(whole) / len(whole)


def test_a_trial_that_runs_again_is_judged_by_what_it_measures_then(tmp_path: Path) -> None:
    """It was good at first and is bad in its second attempt: it is given up by the second."""
    with optimizer(tmp_path / "state", pruner="median") as made:
        for number in range(6):
            request = made.next(TrialRequested)
            for step in STEPS:
                made.say(TrialEstimated(request.request, step, 3.0))
            assert made.sent_back() == []
            made.say(TrialFinished(request.request, number + 1, "ok", 2.5, 1.0))
        request = made.next(TrialRequested)
        for step in STEPS[:4]:
            made.say(TrialEstimated(request.request, step, 2.9))
        assert made.sent_back() == []
        made.say(TrialEstimated(request.request, STEPS[0], 4.0))
        made.say(TrialEstimated(request.request, STEPS[1], 4.0))
        assert made.sent_back() == [STEPS[1]]


def test_a_trial_that_was_given_up_when_it_ran_again_has_its_new_value(tmp_path: Path) -> None:
    """What the study keeps is the ledger's value, though its first attempt got further."""
    with optimizer(tmp_path / "state", pruner="median") as made:
        request = made.next(TrialRequested)
        for step in STEPS[:4]:
            made.say(TrialEstimated(request.request, step, 2.9))
        made.say(TrialEstimated(request.request, STEPS[0], 4.0))
        made.say(TrialEstimated(request.request, STEPS[1], 3.5))
        made.say(TrialFinished(request.request, 1, "pruned", 3.5, 1.0))
        made.next(TrialRequested)
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "state" / "journal.log")))
    (summary,) = optuna.get_all_study_summaries(storage)
    told = optuna.load_study(study_name=summary.study_name, storage=storage).trials[0]
    assert (told.state, told.value) == (TrialState.PRUNED, 3.5)


def test_an_unknown_pruner_ends_it(tmp_path: Path) -> None:
    """The message lists the known ones."""
    made = OptimizerProcess(tmp_path, pruner="secateurs")
    with pytest.raises(AssertionError, match=r"no pruner 'secateurs'; known: none, median"):
        made.up()
    made.kill()
