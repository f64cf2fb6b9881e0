"""Centaur's turns, what its model sees of CMA-ES, and what CMA-ES learns of an override."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from distributions import distribution
from hypothesis import given
from hypothesis import strategies as st
from methods.centaur import WARM_UP_TRIALS, model_turn, published_turn
from methods.settings import random_settings
from models.terms import NoAnswer, Prompt
from optuna.study import StudyDirection
from optuna.trial import TrialState
from samplers.as_published import cmaes_of_automl
from samplers.covariance import look, shown_normal
from samplers.ready_made import cmaes
from space import parse_space
from start_config import KnobRange

from tests.guided_runs import Doubled, opened

SPACE = parse_space(
    {
        "RATE": KnobRange("float", 0.02, low=0.001, high=0.1, log=True),
        "SHARE": KnobRange("float", 0.5, low=0.0, high=1.0),
        "DEPTH": KnobRange("int", 4, low=2, high=8),
        "PATTERN": KnobRange("categorical", "L", choices=("L", "SL")),
    }
)
DISTRIBUTIONS = {knob.name: distribution(knob) for knob in SPACE}
MINIMIZE = StudyDirection.MINIMIZE
SEED = 3


def confirms(prompt: Prompt, trial: int, place: int) -> str:
    """The suggestion as the prompt has it."""
    return str(prompt.text.partition("## Suggestion\n\n")[2].partition("\n")[0])


def value_of(knobs: dict[str, Any]) -> float:
    """Lowest where RATE is 0.005, SHARE 0.8 and DEPTH 8."""
    rate = math.log(knobs["RATE"] / 0.005) ** 2
    return float(rate + (knobs["SHARE"] - 0.8) ** 2 - 0.1 * knobs["DEPTH"])


def run(state: Path, trials: int, answer: Any, **config: Any) -> tuple[Any, list[Any], Doubled]:
    """A search of the small space after so many trials, of which every fourth fails."""
    model = Doubled(answer)
    search = opened(state, "centaur", model, seed=SEED, space=SPACE, **config).search
    asked = []
    for number in range(trials):
        asked.append(search.ask())
        failed = number % 4 == 3
        value = None if failed else value_of(asked[-1].knobs)
        search.tell(number, "crash" if failed else "ok", value, {})
    return search, asked, model


@given(st.integers(0, 400), st.fractions(0, 1).map(lambda one: round(float(one), 3)))
def test_the_models_turns_are_exactly_the_ratio(trials: int, ratio: float) -> None:
    """Of the first n trials after the warm-up, n times the ratio are the model's, rounded down."""
    turns = sum(model_turn(number, ratio) for number in range(WARM_UP_TRIALS + trials))
    assert turns == math.floor(trials * Fraction(str(ratio)))


def test_the_published_rule_makes_four_fifths_all() -> None:
    """The study's code asks the model at every trial from a ratio of two thirds on."""
    numbers = range(WARM_UP_TRIALS, WARM_UP_TRIALS + 300)
    assert sum(published_turn(number, 0.8) for number in numbers) == 300
    assert sum(published_turn(number, 0.3) for number in numbers) == 100
    assert not any(published_turn(number, 0.8) for number in range(WARM_UP_TRIALS))
    assert not any(published_turn(number, 0.0) for number in numbers)


def test_a_model_that_confirms_leaves_the_trials_to_cmaes(tmp_path: Path) -> None:
    """All settings are those of CMA-ES alone; the requests are named where the model was asked."""
    (tmp_path / "alone").mkdir()
    (tmp_path / "asked").mkdir()
    _, alone, _ = run(tmp_path / "alone", 24, confirms, ratio=0.0)
    _, asked, model = run(tmp_path / "asked", 24, confirms, ratio=1.0)
    assert [one.knobs for one in asked] == [one.knobs for one in alone]
    assert {one.proposal["by"] for one in asked[1:]} == {"cmaes"}
    assert [bool(one.proposal["requests"]) for one in asked] == [False] * 10 + [True] * 14
    assert len(model.paid) == 14


def test_what_overrides_counts_for_the_generation(tmp_path: Path) -> None:
    """CMA-ES learns from what was run: its mean moves to where the model pulls it."""
    pulled = {"RATE": 0.09, "SHARE": 0.1, "DEPTH": 2, "PATTERN": "SL"}

    def pulls(prompt: Prompt, trial: int, place: int) -> str:
        return json.dumps({**pulled, "SHARE": 0.1 + trial / 1000})

    search, asked, _ = run(tmp_path, 40, pulls, ratio=1.0)
    assert {one.proposal["by"] for one in asked[10:]} == {"model"}
    trials = search._trials()
    generations = [trial.system_attrs.get("cma:generation") for trial in trials[10:]]
    assert generations == sorted(generations)
    assert generations[-1] >= 2
    normal = look(cmaes(SEED, 40), MINIMIZE, trials, DISTRIBUTIONS).normal
    assert normal is not None
    assert dict(zip(normal.knobs, normal.mean, strict=True))["RATE"] > 0.03


@pytest.mark.parametrize("published", ["", "automl-2026"])
def test_a_model_that_fails_is_a_named_fallback(published: str, tmp_path: Path) -> None:
    """The setting is CMA-ES's own, and the study's is random: both say why."""
    (tmp_path / "alone").mkdir()
    (tmp_path / "asked").mkdir()
    outage = NoAnswer("an outage", "r1")
    _, alone, _ = run(tmp_path / "alone", 12, confirms, ratio=0.0, as_published=published)
    _, asked, _ = run(tmp_path / "asked", 12, lambda *_: outage, ratio=1.0, as_published=published)
    proposal = asked[10].proposal
    assert (proposal["by"], proposal["why"]) == ("fallback", "an outage")
    assert proposal["requests"] == ["r1", "r1"]
    random = random_settings(SPACE, SEED, 10)[0]
    assert asked[10].knobs == (random if published else alone[10].knobs)


def test_the_prompt_shows_the_state_of_cmaes(tmp_path: Path) -> None:
    """Space, suggestion, mean, labelled covariance and failures are all in the prompt."""
    _, _, model = run(tmp_path, 30, confirms, ratio=0.5)
    text = model.paid[-1].text
    assert text.startswith("# Check the next setting of CMA-ES\n")
    assert '{"generation": ' in text
    assert '{"RATE": {"scale": "log", "mean": ' in text
    assert '{"SHARE": {"DEPTH": ' in text
    assert '"val_bpb": "failed"' in text
    assert model.paid[-1].max_tokens == 16384


@pytest.mark.parametrize(
    ("published", "direction", "words"),
    [
        ("", "minimize", "CMA-ES learns nothing from it;"),
        ("automl-2026", "minimize", "CMA-ES is told the value 100 in its place;"),
        ("automl-2026", "maximize", "CMA-ES is told the value -100 in its place;"),
    ],
)
def test_the_prompt_says_what_cmaes_learns_of_failures(
    published: str, direction: str, words: str, tmp_path: Path
) -> None:
    """Ours leaves them out, and the study's has a value for them."""
    _, _, model = run(
        tmp_path, 11, confirms, ratio=1.0, as_published=published, direction=direction
    )
    assert f"so that it has no value, and {words} `pruned`" in model.paid[-1].text


def test_a_look_changes_nothing_and_tells_the_next_draw(tmp_path: Path) -> None:
    """The suggestion is the one that the study draws afterwards."""
    search, _, _ = run(tmp_path, 20, confirms, ratio=0.0)
    before = search._trials()
    seen = look(cmaes(SEED, 20), MINIMIZE, before, DISTRIBUTIONS)
    assert search._trials() == before
    assert search.ask().knobs == seen.suggestion


def test_before_it_has_learned_cmaes_is_in_the_middle(tmp_path: Path) -> None:
    """Mean and covariance are those of the start, in each knob's own unit or logarithm."""
    search, _, _ = run(tmp_path, 3, confirms)
    normal = look(cmaes(SEED, 3), MINIMIZE, search._trials(), DISTRIBUTIONS).normal
    assert normal is not None
    assert (normal.knobs, normal.log, normal.generation) == (
        ("DEPTH", "RATE", "SHARE"),
        ("RATE",),
        0,
    )
    assert normal.mean == pytest.approx((5.0, 0.01, 0.5))
    widths = np.array([7.0, math.log(100), 1.0])
    assert np.allclose(normal.covariance, np.diag((widths / 6) ** 2))


def test_without_a_measurement_there_is_no_distribution() -> None:
    """Before the first result, CMA-ES draws nothing itself, and the prompt says so."""
    seen = look(cmaes(SEED, 0), MINIMIZE, [], DISTRIBUTIONS)
    assert seen.normal is None
    assert "no distribution yet" in shown_normal(seen.normal)


@pytest.mark.parametrize("direction", [StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE])
def test_published_failures_are_losses_for_the_sampler_alone(direction: StudyDirection) -> None:
    """The study's CMA-ES sees a failure as a loss of 100, and the study does not."""
    sampler = cmaes_of_automl(SEED, 2)
    study = optuna.create_study(sampler=sampler, direction=direction)
    for state, value in ((TrialState.COMPLETE, 1.0), (TrialState.FAIL, None)):
        study.tell(study.ask(DISTRIBUTIONS), value, state)
    sign = 1 if direction == StudyDirection.MINIMIZE else -1
    assert [trial.value for trial in sampler._get_trials(study)] == [1.0, 100.0 * sign]
    assert [trial.value for trial in study.trials] == [1.0, None]
