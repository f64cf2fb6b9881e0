"""The hub's LLAMBO: the likeliest candidate is run, and what the study saw of it is kept."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
from typing import Any

import pytest
from methods.llambo_optuna import boundary_of
from methods.settings import random_settings

from tests.llambo_rig import METHODS, RANGES, SPACE, FakeModel, search_of, setting_in, trial

DEFAULTS = {knob.name: knob.default for knob in SPACE}
VALUES = [2.0, 1.0, 3.0, None, 2.5]


def proposed(says: Any, **more: Any) -> tuple[Any, FakeModel]:
    """The proposal of trial 5, and the model that was asked."""
    settings = random_settings(SPACE, 7, 0, len(VALUES))
    past = [trial(*one, number) for number, one in enumerate(zip(settings, VALUES, strict=True))]
    model = FakeModel(says)
    return METHODS["llambo-optuna"](search_of(**more)).propose(5, past, (), model), model


def says(label: Any) -> Any:
    """A model whose candidates differ in DEPTH, and whose labels are a function of it."""
    turn = iter(range(10**6))

    def said(prompt: Any, _: Any) -> Any:
        if prompt.purpose == "candidates":
            return DEFAULTS | {"DEPTH": 5 + next(turn) % 10}
        return label(setting_in(prompt.text)["DEPTH"])

    return said


@pytest.mark.parametrize("minimize", [True, False])
def test_the_likeliest_candidate_is_run(minimize: bool) -> None:
    """The mean of ten probabilities counts, whatever the metric's direction."""
    proposal, model = proposed(says(lambda depth: {"probability": depth / 20}), minimize=minimize)
    assert (proposal.by, proposal.knobs["DEPTH"]) == ("model", 14)
    assert [[one.purpose for one in batch] for batch in model.batches] == [
        ["candidates"] * 10, ["label"] * 100,
    ]  # fmt: skip
    assert len(proposal.requests) == 110


@pytest.mark.parametrize("bad", [-0.1, 1.5, 80, True, None, "likely", [0.5]])
def test_what_is_no_probability_is_dropped_and_counted(bad: Any) -> None:
    """A candidate of which nothing is known is not run, and its labels are in the account."""
    proposal, _ = proposed(says(lambda depth: {"probability": bad if depth == 14 else depth / 20}))
    assert proposal.knobs["DEPTH"] == 13
    assert proposal.repairs == ("label: no probability (10)",)


@pytest.mark.parametrize(
    ("values", "boundary"),
    [([1.0], 1.0), ([1.0, 2.0, 3.0, 4.0, 5.0], 1.0), ([float(n) for n in range(11)], 2.0)],
)
def test_the_best_fifth_has_one_trial_at_least(values: list[float], boundary: float) -> None:
    """The worst value of the best fifth is the boundary."""
    assert boundary_of(values) == boundary


@pytest.mark.parametrize(("minimize", "words"), [(True, "1 or lower"), (False, "3 or higher")])
def test_the_boundary_is_in_the_prompt(minimize: bool, words: str) -> None:
    """The model is told from which value on a trial is among the best."""
    _, model = proposed(says(lambda _: {"probability": 0.5}), minimize=minimize)
    assert f"a val_bpb of {words}." in model.batches[1][0].text


def results_in(text: str) -> list[Any]:
    """The results that a prompt shows."""
    shown = text.split("## Results")[1].split("\n## ")[0]
    return [json.loads(line) for line in shown.splitlines() if line.startswith("{")]


def test_failures_and_all_knobs_are_shown() -> None:
    """Ours mends the hub's two weaknesses."""
    proposal, model = proposed(says(lambda _: {"probability": 0.5}))
    shown = results_in(model.batches[1][0].text)
    assert [one["val_bpb"] for one in shown] == [2.0, 1.0, 3.0, "failed", 2.5]
    assert all(one["knobs"].keys() == RANGES.keys() for one in shown)
    assert proposal.knobs["WINDOW_PATTERN"] == DEFAULTS["WINDOW_PATTERN"]


def test_the_study_hid_failures_and_drew_categorical_knobs() -> None:
    """Its model saw the numbers of the trials that ended well, and chance chose the rest."""
    found = set()
    for seed in range(12):
        proposal, model = proposed(
            says(lambda _: {"probability": 0.5}), as_published="automl-2026", seed=seed
        )
        for batch in model.batches:
            assert [one["val_bpb"] for one in results_in(batch[0].text)] == [2.0, 1.0, 3.0, 2.5]
            assert "WINDOW_PATTERN" not in batch[0].text
        assert proposal.knobs["DEPTH"] == 5
        found.add(proposal.knobs["WINDOW_PATTERN"])
    assert len(found) > 3
