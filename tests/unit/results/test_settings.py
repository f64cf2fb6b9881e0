"""The knobs of each trial: a sampler's own, and an agent's as the ledger's changes tell them."""

from __future__ import annotations

from typing import Any

from runner.records.schema import TrialRecord
from runner.results.settings import settings


def trial(number: int, parent: int | None = None, **fields: Any) -> TrialRecord:
    """An agent's trial."""
    base: dict[str, Any] = {"source": "agent", "request": f"r{number}", "status": "ok"}
    return TrialRecord(trial=number, parent=parent, **(base | fields))


def test_changes_are_followed_from_parent_to_parent() -> None:
    """Each trial has its parent's settings, with its own changes; a sibling's do not count."""
    trials = [
        trial(1),
        trial(2, 1, knobs_changed={"DEPTH": (4, 2)}),
        trial(3, 2, knobs_changed={"SOFTCAP": (15.0, 10.0)}),
        trial(4, 1, knobs_changed={"DEPTH": (4, 8)}),
    ]
    found = settings("pystdlib", trials)
    assert [found[number]["DEPTH"] for number in (1, 2, 3, 4)] == [4, 2, 2, 8]
    assert [found[number]["SOFTCAP"] for number in (1, 2, 3, 4)] == [15.0, 15.0, 10.0, 15.0]


def test_knobs_of_the_space_that_nobody_changed_have_their_defaults() -> None:
    """Its own default of HEAD_DIM is 64; the old value of a change goes before a default."""
    first = trial(1, knobs_changed={"DEPTH": (6, 2)})
    found = settings("pystdlib", [first, trial(2)])
    assert found[1]["HEAD_DIM"] == 64
    assert (found[1]["DEPTH"], found[2]["DEPTH"]) == (2, 6)


def test_a_samplers_trial_has_the_knobs_that_it_was_given() -> None:
    """They are whole, so nothing is added."""
    found = settings("pystdlib", [trial(1, knobs={"DEPTH": 3}, source="sampler")])
    assert found == {1: {"DEPTH": 3}}


def test_a_task_that_is_gone_has_no_space() -> None:
    """Then only what was changed is known; a parent that is not there is the beginning."""
    found = settings("gone", [trial(1), trial(2, 99, knobs_changed={"X": (1, 2)})])
    assert found == {1: {"X": 1}, 2: {"X": 2}}
