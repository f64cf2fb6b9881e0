"""JSON in a model's answer: what is mended, what is refused, and that nothing is guessed."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
import math
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models.answers import MAX_ANSWER_BYTES, BadAnswerError, Found, read_json

SETTING = {"LR": 0.1, "DEPTH": 8, "SCHEDULE": "cosine"}
PLAIN = json.dumps(SETTING)
SECONDS = 10.0

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
) | st.text()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
tables = st.dictionaries(st.text(), values, min_size=1, max_size=5)
prose = st.text(st.characters(exclude_characters="{}[]`<>", exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("text", "repairs"),
    [
        (PLAIN, ()),
        (f"\n {PLAIN}\n", ()),
        (f"```json\n{PLAIN}\n```", ("fence",)),
        (f"```\n{PLAIN}\n```", ("fence",)),
        (f"```json {PLAIN}```", ("fence",)),
        (f"```json\n{PLAIN}", ("fence",)),
        (f"I suggest:\n```json\n{PLAIN}\n```\nIt is deeper.", ("fence", "prose")),
        (f"I suggest {PLAIN}, which is deeper.", ("prose",)),
        (f"Of the set {{x, y}} and [0, 1) I take {PLAIN}", ("prose",)),
        (f"A setting {{}} is empty; mine is {PLAIN}", ("prose",)),
        (f"{{{PLAIN}}}", ("prose",)),
        (f"<think>Perhaps {{'LR': 1}}?</think>\n{PLAIN}", ("thinking",)),
        (f"Perhaps {{'LR': 1}}?\n</think>\n{PLAIN}", ("thinking",)),
        (f"<thinking>{{'LR': 9}}</thinking>{PLAIN}", ("thinking",)),
        (f"Perhaps {{'LR': 1}}?\n</thinking>\n{PLAIN}", ("thinking",)),
        (f"First {{'LR': 1}}. Final: {PLAIN}", ("prose", "several objects")),
        (f"I said {PLAIN}: {PLAIN}, not {{}}", ("prose",)),
        (f'```\n{{"LR": 1}}\n{PLAIN}\n```', ("fence", "prose", "several objects")),
        (f"[{PLAIN}]", ("list",)),
        ('{"LR": 0.1, "DEPTH": 8, "SCHEDULE": "cosine",}', ("trailing comma",)),
        ('{"LR": 0.1, // deeper\n"DEPTH": 8, /* , */ "SCHEDULE": "cosine" # end\n}', ("comment",)),
        ("{'LR': 0.1, 'DEPTH': 8, 'SCHEDULE': 'cosine'}", ("single quotes",)),
        ('{"LR": .1, "DEPTH": +8, "SCHEDULE": "cosine"}', ("number",)),
        ('{"LR": 1, "LR": 0.1, "DEPTH": 8, "SCHEDULE": "cosine"}', ("repeated key",)),
    ],
)
def test_each_repair_is_named(text: str, repairs: tuple[str, ...]) -> None:
    """The setting is read, and what had to be mended is said."""
    assert read_json(text) == Found(SETTING, repairs)


@pytest.mark.parametrize(
    ("text", "value", "repairs"),
    [
        ('{"a": True, "b": [None, False,],}', {"a": True, "b": [None, False]}, 2),
        ("""{'it\\'s "so"': "it's"}""", {'it\'s "so"': "it's"}, 1),
        ('{"a": "two\nlines"}', {"a": "two\nlines"}, 1),
        ('{"a": 1_000_000, "b": 5., "c": -1e-3}', {"a": 1_000_000, "b": 5.0, "c": -0.001}, 1),
        ('{"a": "\\u00e9 \\ud83d\\ude00 //no comment", }', {"a": "é 😀 //no comment"}, 1),
        ("{}", {}, 0),
        ("None fits: {}", {}, 1),
    ],
)
def test_values_are_those_that_were_meant(text: str, value: Any, repairs: int) -> None:
    """Python's words, quotes and numbers have their meaning."""
    found = read_json(text)
    assert (found.value, len(found.repairs)) == (value, repairs)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the answer is empty"),
        (" \n\t", "the answer is empty"),
        ("I would rather not.", "no JSON object"),
        ("[]", "one list, and one object is wanted"),
        (f"[{PLAIN}, {PLAIN}]", "one list, and one object is wanted"),
        ("0.1", "one single value"),
        ('{"LR": NaN}', "'NaN' is no finite number"),
        ('{"LR": -Infinity}', "'-Infinity' is no finite number"),
        ('{"LR": nan,}', "'nan' is no finite number"),
        ('{"LR": 1e999}', "'1e999' is no finite number"),
        ('{"LR": ' + "9" * 350 + "}", "is no finite number"),
        ('{"LR": 2**-3}', "cannot be read at '**-3}'"),
        ('{"LR": 0.1 "DEPTH": 8}', "a comma or } is wanted"),
        ('{"LR": 0.1,, "DEPTH": 8}', "a key in quotes is wanted"),
        ('{"LR": lots}', "a value is wanted"),
        ('{"LR": "\\x"}', "cannot be read"),
        ("<think>{'LR': 1}", "in the middle of the model's thoughts"),
        ('{"a" ' * 20_000, "brackets that may begin its JSON"),
        ("x" * (MAX_ANSWER_BYTES + 1), "longer than 1024 KiB"),
        ("é" * (MAX_ANSWER_BYTES // 2 + 1), "longer than 1024 KiB"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, why: str) -> None:
    """There is one sentence on what is wrong, and no value."""
    with pytest.raises(BadAnswerError) as caught:
        read_json(text)
    assert why in str(caught.value)


@given(setting=tables, indent=st.none() | st.integers(0, 3), data=st.data())
def test_a_cut_answer_is_never_guessed(
    setting: dict[str, Any], indent: int | None, data: st.DataObject
) -> None:
    """Whatever is missing at the end of an object, none of what is in it is taken for it."""
    whole = json.dumps(setting, indent=indent)
    cut = whole[: data.draw(st.integers(1, len(whole) - 1))]
    with pytest.raises(BadAnswerError):
        read_json(cut)


@settings(max_examples=25)
@given(drafts=st.lists(tables, min_size=1, max_size=4), value=tables, words=prose)
def test_of_several_objects_in_prose_the_last_counts(
    drafts: list[dict[str, Any]], value: dict[str, Any], words: str
) -> None:
    """Drafts and echoes of the prompt come before the answer, and are named where they differ."""
    before = " then ".join(json.dumps(draft) for draft in drafts)
    found = read_json(f"{before} {words} {json.dumps(value)}")
    assert found.value == value
    differ = any(one != other for one in (*drafts, value) for other in (*drafts, value))
    assert ("several objects" in found.repairs) == differ


def test_a_cut_final_answer_is_not_replaced_by_the_draft() -> None:
    """What is cut may be the answer, so what came before it is none."""
    with pytest.raises(BadAnswerError, match="in the middle of its JSON"):
        read_json(f'First {PLAIN}. Final: {{"LR": 0.3')


def test_of_a_draft_and_a_final_answer_the_last_fence_counts() -> None:
    """Fences come before prose, and fences without an object are passed over."""
    text = f'Not {{"LR": 2}}.\n```json\n{{"LR": 1}}\n```\n```\n{PLAIN}\n```\n```sh\nmake\n```'
    assert read_json(text).value == SETTING


def test_a_broken_final_answer_is_not_replaced_by_the_draft() -> None:
    """If the last fence with an object cannot be read, nothing is."""
    with pytest.raises(BadAnswerError, match="NaN"):
        read_json(f'```json\n{PLAIN}\n```\nFinal:\n```json\n{{"LR": NaN}}\n```')


def test_an_object_that_cannot_be_read_is_not_replaced_by_one_inside() -> None:
    """The setting of an inner object is no setting, and neither is the one that follows."""
    for text in ('{"a": NaN, "b": {"LR": 1}}', '{"a": oops}, {"LR": 1}', '[{"a": NaN}, {"LR": 1}]'):
        with pytest.raises(BadAnswerError):
            read_json(text)


def test_a_list_is_read_where_one_is_wanted() -> None:
    """Brackets in prose are passed over, and an object is none."""
    assert read_json("As in [see 1] and [so on]: [1, 2,]", list).value == [1, 2]
    with pytest.raises(BadAnswerError, match="one object, and one list is wanted"):
        read_json("{}", list)
    with pytest.raises(ValueError, match="neither dict nor list"):
        read_json("1", int)


@given(value=tables, before=prose, after=prose, label=st.sampled_from(["json", "", "JSON5"]))
def test_any_object_in_a_fence_comes_back_the_same(
    value: dict[str, Any], before: str, after: str, label: str
) -> None:
    """Whatever is in it, and whatever words are around it."""
    text = f"{before}\n```{label}\n{json.dumps(value, indent=2)}\n```\n{after}"
    found = read_json(text)
    assert found.value == value
    assert "fence" in found.repairs


@given(value=tables, before=prose, after=prose)
def test_any_object_in_prose_comes_back_the_same(
    value: dict[str, Any], before: str, after: str
) -> None:
    """Whatever is in it, and whatever words are around it."""
    assert read_json(f"{before} {json.dumps(value)} {after}").value == value


@given(value=tables)
def test_any_object_with_trailing_commas_comes_back_the_same(value: dict[str, Any]) -> None:
    """A comma before each closing bracket is left out, and nothing else."""
    found = read_json(with_commas(value))
    assert found == Found(value, ("trailing comma",))


@given(value=tables)
def test_any_object_as_python_writes_it_comes_back_the_same(value: dict[str, Any]) -> None:
    """`repr` differs from JSON in quotes and words; escapes that JSON lacks are no guess."""
    try:
        found = read_json(repr(value))
    except BadAnswerError:
        assert "\\x" in repr(value) or "\\U" in repr(value)
    else:
        assert found.value == value


def with_commas(value: Any) -> str:
    """The value as JSON with a comma after every element."""
    if isinstance(value, dict) and value:
        pairs = (f"{json.dumps(key)}: {with_commas(one)}," for key, one in value.items())
        return f"{{{' '.join(pairs)}}}"
    if isinstance(value, list) and value:
        return f"[{' '.join(f'{with_commas(one)},' for one in value)}]"
    return json.dumps(value)


@given(text=st.text() | st.text(alphabet="{}[]\"':,/*#`\n \\tn1.eE-+_aN"))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but BadAnswerError comes of it, and every number that is read is finite."""
    for wanted in (dict, list):
        try:
            found = read_json(text, wanted)
        except BadAnswerError:
            continue
        assert isinstance(found.value, wanted)
        assert finite(found.value)


def finite(value: Any) -> bool:
    """Whether every number in the value is finite."""
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, list):
        return all(map(finite, value))
    return not isinstance(value, float) or math.isfinite(value)


@pytest.mark.parametrize(
    ("unit", "wanted"),
    [(unit, dict) for unit in (
        "{", "[", "{[", '{"a":', '{"a" ', "{'\"", "{/*", "{//", "{#", "```\n", '{"\\"', "{}",
        '{"', "{ ", "<think>", "\\", "{'a',", '{"a":1}',
    )] + [(unit, list) for unit in ("[", "[1,", "[,", "[]", "[{'a' ")],
)  # fmt: skip
def test_a_model_that_repeats_itself_costs_little_time(unit: str, wanted: type) -> None:
    """A mebibyte of any brackets, quotes or comments is read in linear time."""
    began = time.process_time()
    with suppress(BadAnswerError):  # empty brackets alone are an answer
        read_json(unit * (MAX_ANSWER_BYTES // len(unit)), wanted)
    assert time.process_time() - began < SECONDS


def test_many_trailing_commas_cost_little_time() -> None:
    """Fifty thousand lists that each end in a comma are read; as many commas alone are refused."""
    began = time.process_time()
    found = read_json('{"a": [' + "[1,]," * 50_000 + "],}")
    assert len(found.value["a"]) == 50_000
    with pytest.raises(BadAnswerError):
        read_json('{"a": [1' + "," * 50_000 + "]}")
    assert time.process_time() - began < SECONDS
