"""The scripted model of a rehearsal answers each prompt as its method fills it in."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import statistics
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from config_reader import read_config
from methods.centaur import Centaur
from methods.fallbacks import GaveUpError
from methods.llambo import Llambo
from methods.llambo_optuna import LlamboOptuna
from methods.llm_knobs import LlmKnobs
from methods.llm_space import propose_space
from methods.settings import random_settings
from methods.terms import Past, Proposal, Search
from methods.warm import Warm
from optuna.samplers import CmaEsSampler
from space import parse_space
from start_config import KnobRange

from benchmarks.baselines import objective
from images.rehearsal.scripted_model.proposing.answers import BAD, GOOD, MIXED
from images.rehearsal.scripted_model.proposing.reading import HEADINGS, kind_of, read
from runner.records.layout import ROOT

from .texts_rig import ScriptedModel

TABLES = tomllib.loads((ROOT / "trainer/search_space.toml").read_text())
PROMPTS = {path.stem: path.read_text() for path in (ROOT / "setup_prompts/optimisers").glob("*.md")}
TRAIN_PY = (ROOT / "trainer/train.py").read_text()
PAST = 12


def search(table: str = "large") -> Search:
    """What a method is told of a search in one of the spaces of trainer/search_space.toml."""
    ranges = {name: read_config(KnobRange, knob) for name, knob in TABLES[table].items()}
    return Search(parse_space(ranges), True, "val_bpb", "pystdlib", 5.0, "2 cores", 1, PROMPTS)


def past(told: Search) -> list[Past]:
    """Random settings of the made-up training, as they ended."""
    settings = random_settings(told.space, 1, 0, PAST)
    values = [objective.measured(TABLES["large"], one, 1, n) for n, one in enumerate(settings)]
    return [
        Past(n, one, value, "failed" if value is None else "ok")
        for n, (one, value) in enumerate(zip(settings, values, strict=True))
    ]


def proposed(method: Any, told: Search, model: ScriptedModel) -> Proposal:
    made: Proposal = method.propose(PAST, past(told), [], model)
    return made


METHODS: dict[str, Callable[[Search], Any]] = {
    "knobs": LlmKnobs,
    "first": lambda told: Warm(told, "random", PAST),
    "override": lambda told: Centaur(told, 1.0, lambda seed, _n: CmaEsSampler(seed=seed)),
    "prediction": Llambo,
    "label": LlamboOptuna,
}


def test_every_template_has_its_heading() -> None:
    """The first line of each file is that by which the scripted model knows it."""
    assert {name: kind_of(text) for name, text in PROMPTS.items()} == {
        name: name for name in HEADINGS.values()
    }


@pytest.mark.parametrize("kind", METHODS)
def test_good_answers_are_used_as_they_are(kind: str) -> None:
    """The proposal is the model's, with nothing mended or changed, and it was asked for this."""
    told, model = search(), ScriptedModel(quality=GOOD)
    made = proposed(METHODS[kind](told), told, model)
    assert made.by == ("warm" if kind == "first" else "model")
    assert made.knobs is not None
    assert made.knobs.keys() == {knob.name for knob in told.space}
    assert not made.changed
    assert made.why == ""
    assert {kind_of(prompt.text) for prompt in model.prompts} == {kind} | (
        {"candidates"} if kind in ("prediction", "label") else set()
    )


@pytest.mark.parametrize("kind", METHODS)
def test_prompts_are_read_as_they_are_shown(kind: str) -> None:
    """Space, results, setting and suggestion of a filled-in prompt are those of the search."""
    told, model = search(), ScriptedModel(quality=GOOD)
    proposed(METHODS[kind](told), told, model)
    for prompt in model.prompts:
        found = read(prompt.text)
        names = {knob.name for knob in told.space}
        assert found.space.keys() <= names
        assert len(names - found.space.keys()) <= int(kind == "label")
        assert not found.higher
        assert found.kind == "first" or len(found.results) >= PAST
        assert bool(found.setting) == (found.kind in ("prediction", "label"))
        assert bool(found.suggestion) == (found.kind == "override")
        assert found.kind != "first" or found.count == PAST


@pytest.mark.parametrize("kind", [kind for kind in METHODS if kind != "first"])
def test_bad_answers_are_fallbacks(kind: str) -> None:
    """A model that says nothing of use leads to a named fallback."""
    told = search()
    made = proposed(METHODS[kind](told), told, ScriptedModel(quality=BAD))
    assert made.by == "fallback"
    assert made.why


def test_bad_first_settings_end_the_search() -> None:
    """Without one, the sampler would search under the model's name."""
    told = search()
    with pytest.raises(GaveUpError, match="no first setting"):
        proposed(METHODS["first"](told), told, ScriptedModel(quality=BAD))


def test_candidates_of_one_prompt_differ() -> None:
    """LLAMBO sends one prompt ten times, and needs ten candidates and a spread of predictions."""
    told, model = search(), ScriptedModel(quality=GOOD)
    made = proposed(Llambo(told), told, model)
    assert len(model.prompts) == 10 + 10 * 10
    assert made.by == "model"


@pytest.mark.parametrize("kind", ["knobs", "override", "prediction"])
def test_proposals_help(kind: str) -> None:
    """On the made-up training they are better than random settings, hard answers included."""
    told = search()
    values = []
    for seed in range(6):
        made = proposed(METHODS[kind](told), told, ScriptedModel(seed, MIXED))
        value = objective.true_value(TABLES["large"], made.knobs) if made.knobs else None
        values += [] if value is None else [value]
    at_random = random_settings(told.space, 2, 0, 60)
    found = [objective.true_value(TABLES["large"], one) for one in at_random]
    assert len(values) >= 4
    assert statistics.median(values) < statistics.median(
        value for value in found if value is not None
    )


def test_a_space_of_train_py() -> None:
    """The ranges for the real train.py are a space that can be searched, with nothing left out."""
    model = ScriptedModel(quality=GOOD)
    made = propose_space(search(), TRAIN_PY, model)
    assert {"DEPTH", "MATRIX_LR", "WINDOW_PATTERN"} <= made.space.keys()
    assert not made.proposal.changed
    assert parse_space(made.space)
    assert read(model.prompts[0].text).code.rstrip() == TRAIN_PY.rstrip()
