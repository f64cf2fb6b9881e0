"""What a model says of a setting becomes a setting of the space, and what was changed is named."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from methods.settings import is_duplicate, random_settings, read_setting, setting_schema
from methods.terms import Past
from space import effective, parse_space
from start_config import Condition, KnobRange

RANGES = {
    "RATE": KnobRange("float", 0.02, low=0.001, high=0.1, log=True),
    "SHARE": KnobRange("float", 0.5, low=0.1, high=0.9, step=0.2),
    "DEPTH": KnobRange("int", 4, low=2, high=8),
    "WIDTH": KnobRange("int", 64, low=32, high=128, step=32),
    "PATTERN": KnobRange("categorical", "L", choices=("L", "SL")),
    "BATCH": KnobRange("categorical", 16, choices=(8, 16, 32)),
    "TIED": KnobRange("categorical", True, choices=(True, False)),
    "NORM": KnobRange("categorical", "layer", choices=("layer", "none")),
    "BETA": KnobRange("float", 0.9, low=0.5, high=1.0, when=Condition("PATTERN", ("SL",))),
}
SPACE = parse_space(RANGES)
DEFAULTS = {knob.name: knob.default for knob in SPACE}
WORDS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("name", "said", "value", "changed"),
    [
        ("RATE", 0.05, 0.05, ""),
        ("RATE", "0.05", 0.05, ""),
        ("RATE", 7, 0.1, "clamped"),
        ("RATE", math.nan, 0.02, "default"),
        ("RATE", math.inf, 0.02, "default"),
        ("RATE", 10**400, 0.02, "default"),
        ("RATE", None, 0.02, "default"),
        ("RATE", [0.05], 0.02, "default"),
        ("SHARE", 0.55, 0.5, "rounded"),
        ("SHARE", 0.7, 0.7, ""),
        ("DEPTH", 5.0, 5, ""),
        ("DEPTH", 5.4, 5, "rounded"),
        ("DEPTH", -3, 2, "clamped"),
        ("DEPTH", "deep", 4, "default"),
        ("DEPTH", True, 4, "default"),
        ("WIDTH", 100, 96, "rounded"),
        ("PATTERN", "sl", "SL", ""),
        ("PATTERN", "SSSS", "L", "default"),
        ("BATCH", "32", 32, ""),
        ("BATCH", 8.0, 8, ""),
        ("BATCH", 9, 16, "default"),
        ("TIED", "False", False, ""),
        ("TIED", 0, True, "default"),
        ("NORM", None, "layer", "default"),
        ("NORM", "None", "none", ""),
        ("NORM", ["none"], "layer", "default"),
    ],
)
def test_a_value_is_made_to_fit(name: str, said: Any, value: Any, changed: str) -> None:
    """A number is clamped and rounded, a word is read as its choice, and nonsense is missing."""
    setting = read_setting({**DEFAULTS, name: said}, SPACE)
    assert setting.knobs[name] == (pytest.approx(value) if isinstance(value, float) else value)
    assert type(setting.knobs[name]) is type(value)
    assert setting.changed.get(name, "") == changed


def test_unknown_knobs_are_left_out_and_named() -> None:
    """A name that the space lacks stands in no setting, and is among the changes."""
    setting = read_setting({**DEFAULTS, "DROPOUT": 0.1}, SPACE)
    assert "DROPOUT" not in setting.knobs
    assert setting.changed == {"DROPOUT": "unknown"}


def test_an_inactive_knob_keeps_its_default() -> None:
    """What is said of a knob that the setting does not use is not run, and that is named."""
    idle = read_setting({**DEFAULTS, "BETA": 0.6}, SPACE)
    assert (idle.knobs["BETA"], idle.changed) == (0.9, {"BETA": "default"})
    alive = read_setting({**DEFAULTS, "PATTERN": "SL", "BETA": 0.6}, SPACE)
    assert (alive.knobs["BETA"], alive.changed) == (0.6, {})


@given(st.dictionaries(st.sampled_from(list(DEFAULTS)) | st.text(), WORDS))
def test_whatever_is_said_the_setting_is_one_of_the_space(said: dict[str, Any]) -> None:
    """Every knob has a value that a sampler could have given it, and its own default if idle."""
    knobs = read_setting(said, SPACE).knobs
    assert list(knobs) == [knob.name for knob in SPACE]
    assert all(knob.holds(knobs[knob.name]) for knob in SPACE)
    assert knobs == effective(SPACE, knobs)


def test_a_setting_is_a_duplicate_of_what_was_run() -> None:
    """Settings that only rounding tells apart are the same."""
    past = [Past(0, {**DEFAULTS, "SHARE": 0.1 + 0.2}, None, "failed")]
    assert is_duplicate({**DEFAULTS, "SHARE": 0.3}, past)
    assert not is_duplicate(DEFAULTS, past)


def test_the_schema_names_every_knob_and_admits_no_other() -> None:
    """A strict mode wants all members required, and the choices of each."""
    schema = setting_schema(SPACE)
    assert schema["required"] == list(DEFAULTS)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["BATCH"] == {"type": "integer", "enum": [8, 16, 32]}
    assert schema["properties"]["DEPTH"] == {"type": "integer"}


def test_random_settings_depend_on_seed_and_number_alone() -> None:
    """The same seed and trial draw the same, another trial draws something else."""
    drawn = random_settings(SPACE, 1, 7, count=3)
    assert drawn == random_settings(SPACE, 1, 7, count=3)
    assert drawn != random_settings(SPACE, 1, 8, count=3)
    assert all(knob.holds(one[knob.name]) for one in drawn for knob in SPACE)
