"""The optimizer's study: each sampler repeats itself, and survives a kill and a damaged journal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from runner.wire.messages import Message, TrialFinished, TrialRequested
from runner.wire.protocol import encode

from .optimizer_rig import CRASHED, DEFAULTS, PRUNED, SPACE, Damage, Make, Optimizer, answer

# One of each kind: what it needs is in the trials, in Optuna's own attributes, or is replayed.
KEEPING = ("random", "qmc", "tpe", "gp", "cmaes", "catcma")
TRIALS = 16  # past the ten start-up trials of the model-based samplers


def run(optimizer: Optimizer, trials: int, killed_after: tuple[int, ...] = ()) -> list[Any]:
    """The knobs of the first trials. PID 1 is killed after the result of each in `killed_after`."""
    optimizer.up()
    asked = []
    for number in range(trials):
        request = optimizer.next(TrialRequested)
        assert request.request == f"ask-{number}"
        asked.append(request.knobs)
        optimizer.say(answer(request))
        if number in killed_after:
            optimizer.kill()
            optimizer.up()
            again = optimizer.next(TrialRequested)
            if again == request:  # it died before it had read the answer
                optimizer.say(answer(again))
                again = optimizer.next(TrialRequested)
            assert again.request == f"ask-{number + 1}"
            optimizer.lines = chained(again, optimizer.lines)
    return asked


def chained(first: Message, rest: Iterator[tuple[bool, str]]) -> Iterator[tuple[bool, str]]:
    """The lines with a message put back in front."""
    yield True, encode(first).decode()
    yield from rest


@pytest.mark.parametrize("sampler", KEEPING)
def test_every_sampler_repeats_itself_and_survives_being_killed(
    make_optimizer: Make, sampler: str
) -> None:
    """The same seed gives the same trials, killed or damaged or not; trial 0 is the default."""
    uninterrupted = run(make_optimizer(sampler), TRIALS)
    resumed = run(make_optimizer(sampler), TRIALS, killed_after=(0, CRASHED, 12))
    assert resumed == uninterrupted
    cuts: dict[int, Damage] = {
        5: lambda whole, _: whole[:-7],
        PRUNED: lambda _, lines: b"".join(lines[:-2]),
        13: lambda whole, _: whole[:-300] + bytes(300),
    }
    assert run_damaged(make_optimizer(sampler), TRIALS, cuts) == uninterrupted
    assert uninterrupted[0] == DEFAULTS
    assert all(within_range(knobs) for knobs in uninterrupted)
    assert len({json.dumps(knobs) for knobs in uninterrupted}) == TRIALS
    assert run(make_optimizer(sampler, seed=2), 2)[1] != uninterrupted[1]


def run_damaged(optimizer: Optimizer, trials: int, damages: dict[int, Damage]) -> list[Any]:
    """As `run`, but the journal is damaged while requests are open; repeated requests are answered.

    Args:
        optimizer: the one to run.
        trials: how many.
        damages: the request's number → what happens to the journal, see `Optimizer.damage`.
    """
    optimizer.up()
    asked: dict[int, Any] = {}
    while len(asked) < trials:
        request = optimizer.next(TrialRequested)
        number = int(request.request.rpartition("-")[2])
        assert number <= len(asked)
        assert asked.setdefault(number, request.knobs) == request.knobs, "other knobs this time"
        if number in damages:  # what is lost is asked again
            optimizer.kill()
            optimizer.damage(damages.pop(number))
            optimizer.up()
        else:
            optimizer.say(answer(request))
    return [asked[number] for number in range(trials)]


DAMAGES: dict[str, Damage] = {
    "cut in the last line": lambda whole, _: whole[:-7],
    "without its last newline": lambda whole, _: whole[:-1],
    "cut between the lines of an ask": lambda _, lines: b"".join(lines[:-2]),
    "cut after the first line of an ask": lambda _, lines: b"".join(lines[:-7]),
    "with a trial that was created and no more": lambda whole, lines: whole + lines[-7],
    "cut in the middle": lambda whole, _: whole[: len(whole) // 2],
    "its end full of NULs": lambda whole, _: whole[:-300] + bytes(300),
    "with a page of NULs more": lambda whole, _: whole + bytes(4096),
    "NULs and nothing else": lambda whole, _: bytes(len(whole)),
    "with a hole of NULs": lambda whole, _: whole[:2000] + bytes(900) + whole[2900:],
    "empty": lambda _whole, _lines: b"",
    "with half a line more": lambda whole, lines: whole + lines[-1][:20],
    "with words at its end": lambda whole, lines: whole + b"no JSON\n" + lines[-1],
}


def test_a_search_continues_after_its_journal_was_damaged(make_optimizer: Make) -> None:
    """After a loss of power or on a full disk, the search continues as an undamaged one does."""
    damages = dict(enumerate(DAMAGES.values(), start=2))
    trials = len(damages) + 3
    assert run_damaged(make_optimizer("qmc"), trials, damages) == run(make_optimizer("qmc"), trials)


def within_range(knobs: dict[str, Any]) -> bool:
    return knobs.keys() == SPACE.keys() and all(
        value in knob["choices"]
        if knob["type"] == "categorical"
        else knob["low"] <= value <= knob["high"]
        and type(value) is {"int": int, "float": float}[knob["type"]]
        for value, knob in ((knobs[name], knob) for name, knob in SPACE.items())
    )


def test_another_search_is_not_continued(make_optimizer: Make) -> None:
    """A state volume of another seed is refused rather than mixed into this study."""
    optimizer = make_optimizer(seed=1)
    optimizer.up()
    optimizer.next(TrialRequested)
    optimizer.kill()
    optimizer.config["seed"] = 2
    with pytest.raises(AssertionError, match="the journal is of another search"):
        optimizer.up()


def test_another_search_leaves_the_journal_as_it_is(make_optimizer: Make) -> None:
    """To a wider space every ask of this one looks unfinished; nothing is cut off."""
    optimizer = make_optimizer()
    optimizer.up()
    for trial in (1, 2):
        request = optimizer.next(TrialRequested)
        optimizer.say(TrialFinished(request.request, trial, "ok", 2.0, 1.0))
    optimizer.next(TrialRequested)
    optimizer.kill()
    before = optimizer.journal()
    knob = {"type": "float", "low": 0.0, "high": 1.0, "default": 0.5}
    optimizer.config["space"] = optimizer.config["space"] | {"A_NEW_KNOB": knob}
    with pytest.raises(AssertionError, match="the journal is of another search"):
        optimizer.up()
    assert optimizer.journal() == before
