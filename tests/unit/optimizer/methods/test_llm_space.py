"""A model's search space is held against the text of train.py, kept in the study, and searched."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from methods.fallbacks import GaveUpError
from methods.llm_space import MOST_KNOBS, described, read_space
from models.terms import NoAnswer
from space import parse_space

from tests.guided_runs import CONSTANTS_PY, LARGE, Doubled, opened

VALUES: dict[str, Any] = {
    "RATE": 0.02, "DEPTH": 4, "PATTERN": "L", "TIED": True, "BETAS": (0.8, 0.95), "SEED": 7,
}  # fmt: skip
GOOD = '{"MATRIX_LR": {"type": "float", "low": 0.01, "high": 0.1, "log": true}, "DEPTH": %s}'
TEXTS = st.text(max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.sampled_from(["type", "low", "high", "log", "choices", "step"])
KINDS = st.sampled_from(["int", "float", "categorical"])
RANGES = st.dictionaries(FIELDS, JSON | KINDS, max_size=6)


@pytest.mark.parametrize(
    ("name", "fields", "fault"),
    [
        ("RATE", {"type": "float", "low": 0.001, "high": 0.1, "log": True}, None),
        ("RATE", {"low": "1e-3", "high": "0.1", "log": "true"}, None),
        ("DEPTH", {"type": "int", "low": 2, "high": 8}, None),
        ("DEPTH", {"type": "categorical", "choices": [2, 4, 8.0]}, None),
        ("PATTERN", {"type": "categorical", "choices": ["L", "SL"]}, None),
        ("TIED", {"choices": [True, False]}, None),
        ("MISSING", {"type": "int", "low": 2, "high": 8}, "unknown"),
        ("RATE", {"type": "float", "low": 0.03, "high": 0.1}, "outside"),
        ("RATE", {"type": "float", "low": 0.0, "high": 0.1, "log": True}, "log needs a low"),
        ("RATE", {"type": "int", "low": 0, "high": 1}, "does not fit a float"),
        ("RATE", {"type": "float", "low": 0.001}, "no low or no high"),
        ("DEPTH", {"type": "int", "low": 2.5, "high": 8}, "must be numbers of type int"),
        ("PATTERN", {"type": "categorical", "choices": ["S", "SL"]}, "none of its choices"),
        ("PATTERN", {"type": "categorical", "choices": ["L", 3]}, "is no str"),
        ("PATTERN", {"type": "categorical", "choices": ["L"]}, "no list of 2"),
        ("TIED", {"type": "int", "low": 0, "high": 1}, "does not fit a bool"),
        ("BETAS", {"type": "float", "low": 0, "high": 1}, "it is a tuple"),
        ("RATE", {"low": 0.001, "high": 0.1, "log": 1}, None),
        ("TIED", {"choices": [True, True]}, "no list of 2"),
        ("DEPTH", {"type": "int", "low": 2, "high": 1e19}, "beyond 1e+15"),
        ("DEPTH", {"type": "int", "low": 2, "high": 10**400}, "no low or no high"),
        ("DEPTH", {"type": "int", "low": 4, "high": 4}, "fewer than two values"),
        ("DEPTH", {"choices": [4, 1e300]}, "is no int"),
        ("DEPTH", {"choices": [4, 10**400]}, "is no int"),
        ("RATE", {"low": -1.7e308, "high": 1.7e308}, "beyond 1e+15"),
        ("RATE", {"low": -1.7e308, "high": 1.7e308, "step": 1e300}, "beyond 1e+15"),
        ("RATE", {"low": 0.0, "high": 1.0, "step": 1e-12}, "more than 1e+06 steps"),
        ("RATE", {"low": 0.0, "high": 1.0, "step": 5e-324}, "more than 1e+06 steps"),
        ("RATE", {"low": 0.0, "high": 1.0, "step": -0.01}, "step -0.01 is not above 0"),
        ("RATE", {"low": 0.02, "high": 0.02}, "fewer than two values"),
        ("SEED", {"type": "int", "low": 1, "high": 99}, "a seed is the same"),
        ("DEPTH", [2, 8], "it is no object"),
    ],
)
def test_a_knob_is_held_against_its_constant(name: str, fields: Any, fault: str | None) -> None:
    """A range that does not hold is left out, and why is said."""
    read = read_space({name: fields}, VALUES)
    assert (name in read.space) == (fault is None)
    assert (fault or "") in read.changed.get(name, "")
    assert (name in read.changed) == (fault is not None)
    assert all(one.default == VALUES[key] for key, one in read.space.items())
    assert all(one.log == ("log" in fields) for one in read.space.values())


def test_no_more_knobs_than_can_be_searched() -> None:
    """The first 40 are kept, and the others are named."""
    values = {f"KNOB_{number}": number for number in range(60)}
    said = {name: {"type": "int", "low": 0, "high": 99} for name in values}
    read = read_space(said, values)
    assert list(read.space) == list(values)[:MOST_KNOBS]
    assert len(read.changed) == 20


@given(st.dictionaries(st.sampled_from(list(VALUES)) | TEXTS, RANGES | JSON, max_size=8))
def test_whatever_is_said_the_space_can_be_searched(said: dict[str, Any]) -> None:
    """What is left is a space with the defaults of the text, however strange the words."""
    space = parse_space(read_space(said, VALUES).space)
    assert all(knob.default == VALUES[knob.name] and knob.size() >= 1 for knob in space)
    assert described(space).count(", ") >= len(space) - 1


def test_the_space_is_searched_from_the_defaults_of_the_text(tmp_path: Path) -> None:
    """Trial 0 is the file as it is and names the request; then the sampler searches the ranges."""
    model = Doubled(lambda *_: GOOD % '{"low": 4, "high": 9}, "NOPE": {}')
    one = opened(tmp_path, "llm-space", model)
    assert one.details["space"] == "MATRIX_LR 0.01…0.1 log, DEPTH 4…9"
    asked = [one.search.ask() for _ in range(20)]
    assert asked[0].knobs == {name: LARGE[name].default for name in ("MATRIX_LR", "DEPTH")}
    assert asked[0].proposal["by"] == "default"
    assert asked[0].proposal["requests"] == ["r1"]
    assert asked[0].proposal["changed"] == {"NOPE": "unknown"}
    assert {one.proposal["by"] for one in asked[1:]} == {"tpe"}
    assert all(4 <= one.knobs["DEPTH"] <= 9 for one in asked)
    assert f"```python\n{CONSTANTS_PY}" in model.paid[0].text


def test_a_study_keeps_its_space(tmp_path: Path) -> None:
    """A resumed search asks nobody, and has the same space whatever a model would say now."""
    first = opened(tmp_path, "llm-space", Doubled(lambda *_: GOOD % '{"low": 4, "high": 9}'))
    asked = [first.search.ask(), first.search.ask()]
    other = Doubled(lambda *_: GOOD % '{"low": 1, "high": 12}')
    again = opened(tmp_path, "llm-space", other)
    assert again.search.outstanding() == asked
    assert again.details == first.details
    assert not other.paid


@pytest.mark.parametrize("inner", ["random", "cmaes"])
def test_any_sampler_searches_the_space(inner: str, tmp_path: Path) -> None:
    """The trials after the first are by the sampler's name."""
    model = Doubled(lambda *_: GOOD % '{"low": 4, "high": 9}')
    search = opened(tmp_path, "llm-space", model, inner=inner).search
    assert [search.ask().proposal["by"] for _ in range(3)] == ["default", inner, inner]


def test_a_model_without_a_space_ends_the_search_before_it_begins(tmp_path: Path) -> None:
    """There is no study of another space under its name, and a resumed search asks anew."""
    said: list[str | NoAnswer] = [
        '{"DEPTH": {"low": 4, "high": 9}}', NoAnswer("an outage"),
        GOOD % '{"low": 4, "high": 9}',
    ]  # fmt: skip
    model = Doubled(lambda *_: said.pop(0))
    with pytest.raises(GaveUpError, match="no space that can be searched: an outage"):
        opened(tmp_path, "llm-space", model)
    assert not list(tmp_path.iterdir())
    asked = opened(tmp_path, "llm-space", model).search.ask()
    assert asked.knobs.keys() == {"MATRIX_LR", "DEPTH"}
    assert asked.proposal["requests"] == ["r3"]
