"""What the scripted model answers to the prompts of optimisers."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images.rehearsal.scripted_model.plan import checked_plan, experiments, quality
from images.rehearsal.scripted_model.proposing import code
from images.rehearsal.scripted_model.proposing.answers import (
    BAD,
    GOOD,
    HARD_SHARE,
    MIXED,
    QUALITIES,
    USELESS,
    answer,
    is_asked,
    place_of,
)
from images.rehearsal.scripted_model.proposing.reading import HEADINGS, read

SPACE: dict[str, dict[str, Any]] = {
    "DEPTH": {"type": "int", "low": 4, "high": 24, "default": 8},
    "MATRIX_LR": {"type": "float", "low": 0.005, "high": 0.2, "log": True, "default": 0.04},
    "GRID": {"type": "int", "low": 32, "high": 128, "step": 32, "default": 64},
    "WINDOW_PATTERN": {"type": "categorical", "choices": ["SSSL", "LLLL"], "default": "LLLL"},
}
GOOD_SETTING = {"DEPTH": 20, "MATRIX_LR": 0.015, "GRID": 64, "WINDOW_PATTERN": "SSSL"}
POOR_SETTING = {"DEPTH": 4, "MATRIX_LR": 0.2, "GRID": 64, "WINDOW_PATTERN": "LLLL"}
RESULTS = (
    {"trial": 0, "val_bpb": 1.3, "knobs": POOR_SETTING},
    {"trial": 1, "val_bpb": "crash", "knobs": POOR_SETTING | {"DEPTH": 24}},
    {"trial": 2, "val_bpb": 1.1, "knobs": GOOD_SETTING | {"DEPTH": 12}},
)
TRAIN_PY = '''\
"""Trains a model."""
import os
import torch

DEPTH = 4  # layers
MATRIX_LR = 0.04
EMBEDDING_LR = 0.6
TOTAL_BATCH_SIZE = 2**11
WINDOW_PATTERN = "SSSL"
ADAM_BETAS = (0.8, 0.95)
print("```")
'''
KINDS = {kind: heading for heading, kind in HEADINGS.items()}
SETTINGS = ("knobs", "candidates", "override")
DRAWS = range(400)


def prompt(kind: str, **sections: object) -> str:
    """A prompt as the templates make it, with these sections beside the space and the results."""
    space = "\n".join(json.dumps({name: knob}) for name, knob in SPACE.items())
    shown = {
        "Search space": space,
        "Results": "\n".join(map(json.dumps, RESULTS)),
        **{title.capitalize(): text for title, text in sections.items()},
    }
    body = "\n\n".join(f"## {title}\n{text}" for title, text in shown.items())
    return f"{KINDS[kind]}\n\nLower is better: the lowest val_bpb. Answer 3 settings.\n\n{body}\n"


def code_prompt(kind: str = "code", text: str = TRAIN_PY) -> str:
    return f"{KINDS[kind]}\n\n## Best train.py\n````python\n{text}````\n"


def prompts() -> list[str]:
    """One of each kind."""
    shown = json.dumps(POOR_SETTING)
    return [
        prompt("knobs"), prompt("first"), prompt("override", suggestion=shown),
        code_prompt("space"), prompt("candidates"), prompt("prediction", setting=shown),
        prompt("label", setting=shown), code_prompt(),
    ]  # fmt: skip


def objects(text: str, wanted: int = 40) -> list[dict[str, Any]]:
    """Good answers to a prompt."""
    return [json.loads(answer(text, 1, place, GOOD)) for place in range(wanted)]


def fits(setting: dict[str, Any]) -> bool:
    """Whether every knob has a value of its range and its grid."""
    return (
        setting.keys() == SPACE.keys()
        and setting["DEPTH"] in range(4, 25)
        and 0.005 <= setting["MATRIX_LR"] <= 0.2
        and setting["GRID"] in (32, 64, 96, 128)
        and setting["WINDOW_PATTERN"] in ("SSSL", "LLLL")
    )


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def test_every_heading_is_known_and_nothing_else() -> None:
    """The first line alone decides whether a prompt is an optimiser's."""
    assert all(is_asked(f"{heading}\n\ntext") for heading in HEADINGS)
    assert all(is_asked(text) for text in prompts())
    for other in ("", "text", "# Propose", "first\n# Rewrite train.py"):
        assert not is_asked(other)
        with pytest.raises(ValueError, match="heading"):
            answer(other, 1, 1)


@pytest.mark.parametrize("kind", SETTINGS)
def test_settings_fit_the_space_and_help(kind: str) -> None:
    """Good settings are whole, in range, and nearer to the good place than random ones."""
    text = prompt(kind, suggestion=json.dumps(POOR_SETTING | {"DEPTH": 14}))
    made = objects(text)
    assert all(map(fits, made))
    random = [json.loads(answer(text, 1, place, USELESS)) for place in range(40)]
    assert all(map(fits, random))
    apart = [mean([abs(one["DEPTH"] - 20) for one in some]) for some in (made, random)]
    assert apart[0] < 0.8 * apart[1]


def test_as_many_first_settings_as_are_wanted() -> None:
    """The number is read from the prompt."""
    made = objects(prompt("first"), 3)
    assert [len(one["settings"]) for one in made] == [3, 3, 3]
    assert all(fits(setting) for one in made for setting in one["settings"])


def test_an_override_begins_at_the_suggestion() -> None:
    """It lies between what the sampler suggests and the good place."""
    low = objects(prompt("override", suggestion=json.dumps(POOR_SETTING)))
    high = objects(prompt("override", suggestion=json.dumps(GOOD_SETTING)))
    assert mean([one["DEPTH"] for one in low]) < mean([one["DEPTH"] for one in high])


def test_predictions_and_labels_follow_the_distance() -> None:
    """A good setting is predicted better and likelier among the best than a poor one."""
    good, poor = json.dumps(GOOD_SETTING), json.dumps(POOR_SETTING)
    values = [
        mean([one["value"] for one in objects(prompt("prediction", setting=text))])
        for text in (good, poor)
    ]
    assert values[0] < values[1] - 0.1
    assert 1.0 < values[0] < 1.3
    labels = [
        mean([one["probability"] for one in objects(prompt("label", setting=text))])
        for text in (good, poor)
    ]
    assert labels[0] > 0.6 > 0.3 > labels[1]


def test_a_metric_to_be_maximised() -> None:
    """The words of the prompt say which way is better, and predictions follow."""
    text = prompt("prediction", setting=json.dumps(GOOD_SETTING))
    text = text.replace("Lower", "Higher").replace("lowest", "highest")
    text = text.replace("1.1", "1.5")
    assert read(text).higher
    assert mean([one["value"] for one in objects(text)]) > 1.4


def test_a_space_of_the_constants_in_the_file() -> None:
    """Every knob is a constant of the file, and its range holds the file's own value."""
    space = json.loads(answer(code_prompt("space"), 1, 1, GOOD))
    assert space.keys() == {
        "DEPTH", "MATRIX_LR", "EMBEDDING_LR", "TOTAL_BATCH_SIZE", "WINDOW_PATTERN",
    }  # fmt: skip
    assert space["DEPTH"]["low"] <= 4 <= space["DEPTH"]["high"]
    assert space["MATRIX_LR"]["low"] <= 0.04 < 0.08 <= space["MATRIX_LR"]["high"]
    assert space["MATRIX_LR"]["log"]
    assert "SSSL" in space["WINDOW_PATTERN"]["choices"]


def test_code_changes_one_line_and_helps() -> None:
    """Each good answer parses and differs from the file by one line; DEPTH goes down."""
    depths = []
    for place in range(60):
        said = answer(code_prompt(), 1, place, GOOD)
        first, _, rest = said.partition("\n")
        text = rest.partition("````python\n")[2].rpartition("````")[0]
        assert first.startswith("DESCRIPTION: ")
        ast.parse(text)
        old, new = set(TRAIN_PY.splitlines()), set(text.splitlines())
        assert len(new - old) == 1
        assert len(old - new) <= 1
        depths.append(code.constants(text)["DEPTH"].value)
    assert min(depths) in (2, 3)
    assert max(depths) == 4


@pytest.mark.parametrize("kind", ["knobs", "first", "prediction", "label", "space", "code"])
def test_hard_cases_come_at_their_share(kind: str) -> None:
    """An eighth of the answers differ from the good ones; the others are those very answers."""
    [text] = [one for one in prompts() if one.startswith(f"{KINDS[kind]}\n")]
    same = [well_formed(kind, answer(text, 3, place)) for place in DRAWS]
    assert HARD_SHARE / 2 < 1 - mean(same) < HARD_SHARE * 1.5


def well_formed(kind: str, said: str) -> bool:
    """Whether an answer is exactly in the form that was asked for."""
    if kind == "code":
        text = said.partition("````python\n")[2].rpartition("````")[0]
        return bool(text) and "if True print" not in text and "import socket" not in text
    try:
        found = json.loads(said)
    except ValueError:
        return False
    if kind == "knobs":
        return fits(found) and found not in [result["knobs"] for result in RESULTS]
    if kind == "first":
        return all(map(fits, found["settings"]))
    if kind == "label":
        return bool(0 <= found["probability"] <= 1)
    return "DROPOUT" not in found and not isinstance(found.get("value"), str)


def test_each_hard_case_comes() -> None:
    """Fenced, in prose, a trailing comma, out of range, unknown, missing, repeated, empty, refused.

    Of code: what does not parse, what has no code, and what wants the network.
    """
    said = [answer(prompt("knobs"), 1, place) for place in range(3000)]
    assert any(one.startswith("```json") for one in said)
    assert any(one.startswith("The results so far") for one in said)
    assert any(one.endswith(",}") for one in said)
    assert any("DROPOUT" in one for one in said)
    assert any("not able" in one for one in said)
    assert "" in said
    read_well = [json.loads(one) for one in said if one.startswith("{") and one.endswith('"}')]
    assert any(one.keys() < SPACE.keys() for one in read_well)
    assert any(one.get("DEPTH", 0) > 24 for one in read_well)
    assert POOR_SETTING in read_well
    codes = [answer(code_prompt(), 1, place) for place in range(600)]
    assert any("import socket" in one for one in codes)
    assert any("if True print" in one for one in codes)
    assert any(one.startswith("DESCRIPTION") and "```" not in one for one in codes)


@pytest.mark.parametrize("text", prompts())
def test_answers_are_deterministic(text: str) -> None:
    """The same prompt, seed and place give the same; another seed or place gives another."""
    assert answer(text, 1, 5) == answer(text, 1, 5)
    assert place_of(text) == place_of(text) != place_of(f"{text} again")
    assert len({place_of(text, before) for before in range(9)}) == 9
    if not text.startswith(KINDS["space"]):  # it is read from the file alone
        assert len({answer(text, seed, 5) for seed in range(9)}) > 1
        assert len({answer(text, 1, place) for place in range(9)}) > 1


@pytest.mark.parametrize("text", prompts())
def test_bad_answers_have_nothing_to_use(text: str) -> None:
    """With `bad-answers` no answer is JSON of the wanted form, or code that parses."""
    for place in range(40):
        said = answer(text, 1, place, BAD)
        if said.startswith("DESCRIPTION"):
            code_of = said.partition("````python\n")[2]
            assert not code_of or "if True print" in code_of
        else:
            with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
                json.loads(said)


def test_the_plan_says_how_good_the_answers_are() -> None:
    """The words of a plan are known, choose the quality, and are no experiments."""
    assert quality(checked_plan([])) == MIXED
    for word in QUALITIES:
        assert quality(checked_plan(["baseline", word])) == word
        first = next(experiments(1, checked_plan([word, "baseline"]), lambda: True))
        assert first == next(experiments(1, checked_plan(["baseline"]), lambda: True))


LINES = st.one_of(
    st.text(max_size=60),
    st.sampled_from(["## Search space", "## Results", "## Setting", "```python", "```", "Target:"]),
    st.dictionaries(
        st.sampled_from(["DEPTH", "MATRIX_LR", "trial", "knobs", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "low", "high", "log", "step", "choices", "DEPTH"]), inner
            ),
            max_leaves=8,
        ),
        max_size=4,
    ).map(json.dumps),
    st.builds(
        lambda low, high, kind, log, step: json.dumps(
            {"K": {"type": kind, "low": low, "high": high, "log": log, "step": step}}
        ),
        st.floats() | st.integers(), st.floats() | st.integers(), st.sampled_from(["int", "float"]),
        st.booleans(), st.none() | st.floats(),
    ),
    st.builds(
        lambda value, knob: json.dumps({"trial": 1, "m": value, "knobs": {"K": knob}}),
        st.floats(), st.floats() | st.text(),
    ),
    st.builds(
        lambda name, value: f"{name} = {value}",
        st.sampled_from(["DEPTH", "MATRIX_LR", "A", "WINDOW_PATTERN", "WEIGHT_DECAY"]),
        st.floats() | st.integers() | st.just("2**99") | st.just("'SSSL'") | st.text(max_size=9),
    ),
)  # fmt: skip


@given(
    heading=st.sampled_from(sorted(HEADINGS)),
    lines=st.lists(LINES, max_size=12),
    quality=st.sampled_from([MIXED, *QUALITIES]),
    place=st.integers(0, 3),
)
def test_any_prompt_has_an_answer(heading: str, lines: list[str], quality: str, place: int) -> None:
    """Whatever stands below a heading, the answer is a text that can be sent."""
    text = "\n".join([heading, *lines])
    assert isinstance(answer(text, 1, place, quality), str)
    assert place_of(text) >= 0
