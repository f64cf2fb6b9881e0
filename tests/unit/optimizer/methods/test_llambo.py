"""LLAMBO: what its model is asked, what becomes of the answers, and which candidate is run."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from methods.settings import random_settings
from models.terms import NoAnswer, OutOfBudgetError
from space import parse_space
from start_config import Condition, KnobRange

from tests.llambo_rig import (
    METHODS,
    SPACE,
    FakeModel,
    helpful,
    search_of,
    searched,
    setting_in,
    trial,
    useless,
)

SMALL = parse_space(
    {
        "RATE": KnobRange("float", 0.5, low=0.0, high=1.0),
        "PATTERN": KnobRange("categorical", "L", choices=("L", "SL")),
        "BETA": KnobRange("float", 0.9, low=0.5, high=1.0, when=Condition("PATTERN", ("SL",))),
    }
)
VALUES = [2.0, 1.0, 3.0, None, 2.5]


def past(values: list[float | None] = VALUES, space: Any = SMALL) -> list[Any]:
    """Trials with these values."""
    drawn = random_settings(space, 7, 0, len(values))
    return [trial(*one, number) for number, one in enumerate(zip(drawn, values, strict=True))]


def proposed(
    says: Any, method: str = "llambo", trials: Any = None, number: int = 5, **more: Any
) -> tuple[Any, FakeModel]:
    """The proposal of a trial, and the model that was asked."""
    model = FakeModel(says)
    search = search_of(**{"space": SMALL} | more)
    return METHODS[method](search).propose(number, trials or past(), (), model), model


def says(rates: list[Any], score: Any) -> Any:
    """A model whose candidates have these rates in turn, and whose scores are a function of one."""
    turn = iter(range(10**6))

    def said(prompt: Any, _: Any) -> Any:
        if prompt.purpose != "candidates":
            return score(setting_in(prompt.text)["RATE"])
        rate = rates[next(turn) % len(rates)]
        return {"RATE": rate, "PATTERN": "L"} if isinstance(rate, float) else rate

    return said


TEN = [round(0.05 + 0.1 * place, 2) for place in range(10)]


def by_rate(rate: float) -> Any:
    """The higher the rate, the lower the value."""
    return {"value": 3 - rate}


@pytest.mark.parametrize("method", METHODS)
def test_the_first_trials_are_those_of_random(method: str) -> None:
    """Until five trials were begun the sampler `random` chooses, and the model is not asked."""
    for number in range(1, 5):
        proposal, model = proposed(useless, method, past()[:number], number, seed=3)
        assert (proposal.by, model.batches) == ("random", [])
        assert proposal.knobs == random_settings(SMALL, 3, number)[0]


@pytest.mark.parametrize("method", METHODS)
def test_without_a_value_chance_goes_on(method: str) -> None:
    """There is no target while every trial has failed, and that is not the model's fault."""
    proposal, model = proposed(useless, method, past([None] * 6), 6)
    assert (proposal.by, proposal.why, model.batches) == ("random", "", [])


def test_a_trial_takes_110_requests_in_two_batches() -> None:
    """Ten candidates side by side, then ten predictions of each; all are named."""
    proposal, model = proposed(says(TEN, by_rate))
    asked = [[(one.purpose, one.temperature) for one in batch] for batch in model.batches]
    assert asked == [[("candidates", 0.8)] * 10, [("prediction", 0.7)] * 100]
    assert proposal.requests == tuple(f"r{number}" for number in range(1, 111))


@pytest.mark.parametrize(
    ("more", "target"),
    [
        ({}, "0.6"),
        ({"minimize": False}, "3.4"),
        ({"as_published": "automl-2026"}, "1.5"),  # the invented value widens the range
    ],
)
def test_candidates_are_asked_to_reach_the_target(more: dict[str, Any], target: str) -> None:
    """It is a fifth of the range better than the best; in the study it was worse than that."""
    _, model = proposed(useless, space=SPACE, trials=past(space=SPACE), **more)
    assert f"\nTarget: val_bpb {target}\n" in model.batches[0][0].text


@pytest.mark.parametrize(("minimize", "rate"), [(True, 0.95), (False, 0.05)])
def test_the_highest_expected_improvement_is_run(minimize: bool, rate: float) -> None:
    """Of settings with known values, the one that is best in the metric's direction."""
    proposal, _ = proposed(says(TEN, by_rate), minimize=minimize)
    assert (proposal.by, proposal.knobs["RATE"], proposal.why) == ("model", rate, "")


def test_a_setting_that_may_fail_is_not_run_for_its_good_days() -> None:
    """Five predicted failures of ten weigh more than five predictions that beat the best."""
    turn = iter(range(10**6))

    def score(rate: float) -> Any:
        if rate == 0.95:
            return {"value": 0.9 if next(turn) % 2 else "fails"}
        return {"value": 0.99}

    proposal, _ = proposed(says(TEN, score))
    assert (proposal.knobs["RATE"], proposal.repairs) == (0.05, ())


def test_failures_are_shown_as_failures() -> None:
    """No prompt has a number in place of what was not measured."""
    _, model = proposed(says(TEN, by_rate))
    for batch in model.batches:
        results = batch[0].text.split("## Results")[1].split("\n## ")[0]
        shown = [json.loads(line) for line in results.splitlines() if line.startswith("{")]
        assert [one["val_bpb"] for one in shown] == [2.0, 1.0, 3.0, "failed", 2.5]


def test_the_study_invented_a_value_for_failures() -> None:
    """Its model saw each as half a unit worse than the worst before it, or as 2.0."""
    trials = past([None, 1.0, None, 4.0, None])
    _, model = proposed(says(TEN, by_rate), trials=trials, as_published="automl-2026")
    results = model.batches[0][0].text.split("## Results")[1].split("\n## ")[0]
    shown = [json.loads(line) for line in results.splitlines() if line.startswith("{")]
    assert [one["val_bpb"] for one in shown] == [2.0, 1.0, 1.5, 4.0, 4.5]


def test_the_study_asked_its_model_from_trial_1_on() -> None:
    """It began with the default setting alone."""
    proposal, _ = proposed(
        says(TEN, by_rate), trials=past()[:1], number=1, as_published="automl-2026"
    )
    assert proposal.by == "model"


BAD = [
    (7.0, "candidates: out of range"),
    ({"PATTERN": "L"}, "candidates: incomplete"),
    ({"RATE": 0.3, "PATTERN": "SSSS"}, "candidates: incomplete"),
    ({"RATE": 0.3, "PATTERN": "SL"}, "candidates: incomplete"),
    ("I would rather not.", "candidates: unreadable"),
    ("", "candidates: unreadable"),
    (NoAnswer("refused", "r"), "candidates: no answer"),
    (past()[0].knobs, "candidates: repeated"),
]


@pytest.mark.parametrize(("bad", "named"), BAD)
def test_what_is_no_new_setting_is_dropped_and_counted(bad: Any, named: str) -> None:
    """Five of ten are enough; the others have a word each in the account."""
    proposal, model = proposed(says([*TEN[:5], *[bad] * 5], by_rate))
    assert [len(batch) for batch in model.batches] == [10, 50]
    assert (proposal.by, proposal.repairs) == ("model", (f"{named} (5)",))


def test_what_is_said_of_an_inactive_knob_is_of_no_account() -> None:
    """The setting is run with that knob's default, and the account says so."""
    candidate = {"RATE": 0.3, "PATTERN": "L", "BETA": 0.7}
    proposal, _ = proposed(
        says([*TEN[:4], *[candidate] * 6], lambda rate: {"value": 0.5 if rate == 0.3 else 2.0})
    )
    assert proposal.knobs == {"RATE": 0.3, "PATTERN": "L", "BETA": 0.9}
    assert proposal.changed == {"BETA": "default"}


@pytest.mark.parametrize("bad", [1e300, -1e300, True, "low", [0.5], {}])
def test_what_is_no_prediction_is_dropped_and_counted(bad: Any) -> None:
    """A candidate of which nothing is known is not run, and no number is too large for the sum."""
    proposal, _ = proposed(says(TEN, lambda rate: {"value": bad if rate == 0.95 else 3 - rate}))
    assert (proposal.by, proposal.knobs["RATE"]) == ("model", 0.85)
    assert proposal.repairs == ("prediction: no number (10)",)


def test_a_number_in_quotes_is_a_prediction() -> None:
    """What it says is plain."""
    proposal, _ = proposed(says(TEN, lambda rate: {"value": f"{3 - rate}"}))
    assert (proposal.knobs["RATE"], proposal.repairs) == (0.95, ())


def test_too_few_candidates_are_asked_for_again() -> None:
    """Rounds add up; of more than ten candidates ten are scored."""
    one_in_ten = [rate for new in TEN for rate in [new, *[7.0] * 9]]
    others = [rate + 0.01 for rate in TEN]
    proposal, model = proposed(says([*TEN[:4], *[7.0] * 6, *others], by_rate))
    assert [len(batch) for batch in model.batches] == [10, 10, 100]
    proposal, model = proposed(says(one_in_ten, by_rate))
    assert [len(batch) for batch in model.batches] == [10, 10, 10, 10, 50]
    assert proposal.repairs == ("candidates: out of range (36)",)


def test_what_is_missing_is_drawn_at_random_and_named() -> None:
    """A drawn setting can win; then the proposal is a fallback, and the same one every time."""

    def score(rate: float) -> Any:
        return {"value": 2.0 if rate in TEN else 0.5}

    first, second = (proposed(says([*TEN[:2], *[7.0] * 8], score), seed=4)[0] for _ in range(2))
    drawn = random_settings(SMALL, 4, 5, 5)
    assert (first, first.by) == (second, "fallback")
    assert first.knobs in drawn[:3]
    assert first.why.startswith("of 40 answers 2 gave a new setting of the space")


def test_a_model_that_does_not_answer_is_asked_once() -> None:
    """One round without an answer ends the asking; the setting is that of `random`."""
    proposal, model = proposed(lambda *_: NoAnswer("no such model", "r"), seed=4)
    assert [len(batch) for batch in model.batches] == [10]
    assert "no such model" in proposal.why
    assert (proposal.by, proposal.knobs) == ("fallback", random_settings(SMALL, 4, 5)[0])


def test_without_a_prediction_the_first_candidate_is_a_fallback() -> None:
    """Nobody has chosen it, so it is not called the model's."""
    proposal, _ = proposed(says(TEN, lambda _: {"value": "good"}))
    assert (proposal.by, proposal.knobs["RATE"]) == ("fallback", 0.05)
    assert proposal.why.startswith("of 100 predictions none was usable")


def test_a_small_space_has_fewer_candidates() -> None:
    """Where every setting was tried one is run again, and is called a duplicate."""
    tiny = parse_space({"PATTERN": KnobRange("categorical", "L", choices=("L", "SL"))})
    proposal, _ = proposed(
        lambda *_: {"PATTERN": "SL", "value": 1.0}, space=tiny, trials=past(space=tiny) * 3
    )
    assert (proposal.duplicate, proposal.by) == (True, "fallback")


@pytest.mark.parametrize("method", METHODS)
def test_the_same_answers_give_the_same_proposals(method: str) -> None:
    """A search that is repeated with the answers of the first is the first."""
    first, again = (searched(method, FakeModel(helpful, 2), 2, 10) for _ in range(2))
    assert first == again
    assert {one.by for one in first[0]} == {"random", "model"}


@pytest.mark.parametrize("method", METHODS)
def test_a_spent_budget_ends_the_asking(method: str) -> None:
    """The method does not take it for an answer."""

    def spent(*_: Any) -> Any:
        raise OutOfBudgetError

    with pytest.raises(OutOfBudgetError):
        proposed(spent, method)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMED = st.dictionaries(st.sampled_from(["RATE", "PATTERN", "BETA", "value", "probability"]), JSON)
TEXTS = st.text() | JSON.map(json.dumps) | NAMED.map(json.dumps)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("study", ["", "automl-2026"])
@settings(max_examples=40, deadline=None)
@given(texts=st.lists(TEXTS, min_size=1, max_size=7), seed=st.integers(0, 9))
def test_any_text_is_survived(method: str, study: str, texts: list[str], seed: int) -> None:
    """Whatever is answered, the proposal is a setting of the space, after 140 requests at most."""
    turn = iter(range(10**6))
    proposal, model = proposed(
        lambda *_: texts[next(turn) % len(texts)], method, seed=seed, as_published=study
    )
    asked = {knob.name: knob for knob in SMALL}
    assert proposal.knobs.keys() == asked.keys()
    assert all(asked[name].holds(value) for name, value in proposal.knobs.items())
    assert proposal.by == ("fallback" if proposal.why else "model")
    assert len(proposal.requests) == sum(map(len, model.batches)) <= 140
