"""Constants of a train.py: read, rewritten and compared by the syntax tree alone."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.records.layout import ROOT
from trainer import constants
from trainer.constants import ConstantsError

PRISTINE = (ROOT / "trainer" / "train.py").read_text()
NAMES = st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True)
SCALARS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.text(max_size=12),
)
VALUES = st.one_of(SCALARS, st.tuples(SCALARS, SCALARS), st.lists(SCALARS, max_size=3))
COMMENTS = st.sampled_from(["", "  # 2**3 = 8", "  # LR = 0.5; äöü ×"])
LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A text of constants among other lines, and the constants."""
    values = draw(st.dictionaries(NAMES, VALUES, max_size=5))
    end = draw(LINE_ENDS)
    lines = ["# -*- ünicode ☃ -*-", "import os", "def f(x):", "    return x  # f"]
    for name, value in values.items():
        annotation = draw(st.sampled_from(["", ": object"]))
        lines.append(f"{name}{annotation} = {value!a}{draw(COMMENTS)}")
        lines.append(draw(st.sampled_from(["", "lower = 3", "s = 'ä'; t = 2"])))
    return end.join(lines) + draw(st.sampled_from(["", end])), values


@given(texts())
def test_writing_back_what_was_read_changes_no_byte(made: tuple[str, dict[str, Any]]) -> None:
    """`rewrite(read(x)) == x`, whatever the line ends, comments and characters."""
    source, values = made
    assert constants.read(source) == values
    assert constants.rewrite(source, constants.read(source)) == source


@given(texts(), st.data())
def test_a_written_value_is_read_again_and_is_all_that_changed(
    made: tuple[str, dict[str, Any]], data: st.DataObject
) -> None:
    """What is written is found by `read` and by `compare`, and nothing else is."""
    source, values = made
    wanted = {name: data.draw(VALUES) for name in values if data.draw(st.booleans())}
    written = constants.rewrite(source, wanted)
    assert constants.read(written) == {**values, **wanted}
    change = constants.compare(source, written)
    different = {n for n in wanted if repr(wanted[n]) != repr(values[n])}
    zeros = {
        n for n in different if wanted[n] == values[n] and not _types_differ(wanted, values, n)
    }
    assert set(change.knobs) == different - zeros  # 0.0 and -0.0 are one value
    assert not change.other


def _types_differ(left: dict[str, Any], right: dict[str, Any], name: str) -> bool:
    return bool(repr(_typed(left[name])) != repr(_typed(right[name])))


def _typed(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return type(value), [_typed(item) for item in value]
    return type(value)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(source: str) -> None:
    """A text that is no Python is a ConstantsError, and nothing worse."""
    try:
        found = constants.read(source)
    except ConstantsError:
        return
    assert constants.rewrite(source, found) == source


@given(st.binary(max_size=200))
def test_bytes_that_are_no_text_are_refused_in_the_same_way(content: bytes) -> None:
    """Lone surrogates, null bytes and the like, as a lenient decoding leaves them."""
    source = content.decode("utf-8", "surrogateescape")
    try:
        change = constants.compare(source, PRISTINE)
    except ConstantsError:
        return
    assert change.other


def test_the_knobs_of_train_py_are_those_of_the_studies() -> None:
    """The recipe's defaults, ROPE_BASE and ADAM_BETAS included."""
    found = constants.read(PRISTINE)
    knobs = dict(list(found.items())[: list(found).index("FINAL_LR_FRAC") + 1])
    assert knobs == {
        "DEPTH": 8, "ASPECT_RATIO": 64, "HEAD_DIM": 128, "WINDOW_PATTERN": "SSSL",
        "ROPE_BASE": 10_000.0, "TOTAL_BATCH_SIZE": 2**19, "DEVICE_BATCH_SIZE": 128,
        "EMBEDDING_LR": 0.6, "UNEMBEDDING_LR": 0.004, "MATRIX_LR": 0.04, "SCALAR_LR": 0.5,
        "WEIGHT_DECAY": 0.2, "ADAM_BETAS": (0.8, 0.95), "WARMUP_RATIO": 0.0,
        "WARMDOWN_RATIO": 0.5, "FINAL_LR_FRAC": 0.0,
    }  # fmt: skip


def test_a_value_stands_where_the_old_one_stood() -> None:
    """Every other byte stays: the comment, the spaces, the quotes of other lines."""
    source = "A = 2**3  # eight\nB   =   'x'\nC = (\n    1,\n    2,\n)  # two\n"
    written = constants.rewrite(source, {"A": 16, "C": (3, 4)})
    assert written == "A = 16  # eight\nB   =   'x'\nC = (3, 4)  # two\n"


def test_a_comment_or_another_spelling_is_no_change_of_a_knob() -> None:
    """Only what is no code differs, and that is said apart."""
    for other in ("A = 8  # new\n", "A = 2**3\n", "A  = 8\n\n"):
        change = constants.compare("A = 8  # old\n", other)
        assert change.knobs == {}
        assert not change.other
    assert constants.compare("A = 8  # old\n", "A = 8  # new\n").comments


@pytest.mark.parametrize(
    "edited",
    [
        "A = 8\nx = A + 1\n",
        "A = 8\nx = A\ny = 0\n",
        "A = 8\nB = 1\nx = A\n",
        "A = 8 if True else 9\nx = A\n",
        "x = 8\n",
    ],
)
def test_any_other_edit_is_flagged(edited: str) -> None:
    """Other code, a new or lost constant, a constant that became code."""
    assert constants.compare("A = 8\nx = A\n", edited).other


def test_a_changed_knob_and_other_code_are_told_apart() -> None:
    """Both at once are both seen."""
    change = constants.compare("A = 8\nx = A\n", "A = 9\nx = -A\n")
    assert change.knobs == {"A": (8, 9)}
    assert change.other


def test_the_type_of_a_value_counts() -> None:
    """1, 1.0 and True are three values, in tuples too."""
    assert constants.compare("A = 1\n", "A = 1.0\n").knobs == {"A": (1, 1.0)}
    assert constants.compare("A = (1,)\n", "A = (True,)\n").knobs == {"A": ((1,), (True,))}


@pytest.mark.parametrize(
    "source",
    [
        "A = 1\nA = 2\n",
        "A = 1\nA += 1\n",
        "A = 1\nif True:\n    A = 2\n",
        "A = 1\ndef f():\n    global A\n    A = 2\n",
        "A = 1\nfrom m import A\n",
        "A = 1\ndel A\n",
        "A = B = 1\n",
        "A = int('1')\n",
        "A = 10**10**10\n",
        "A = 9**9**9**9\n",
        "A = 1/0\n",
        "A = True + 1\n",
        "a = 1\n",
    ],
)
def test_what_is_bound_again_or_computed_is_no_constant(source: str) -> None:
    """A search that wrote such a name would not change what the program sees."""
    assert "A" not in constants.read(source)
    with pytest.raises(ConstantsError, match="no constant A"):
        constants.rewrite(source, {"A": 3})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, {}, object(), 2**300, 1j])
def test_a_value_that_is_no_literal_is_refused(value: Any) -> None:
    """Nothing is written that would not be read again."""
    with pytest.raises(ConstantsError, match="A"):
        constants.rewrite("A = 1\n", {"A": value})


@pytest.mark.parametrize(
    "source",
    ["def f(:\n", "A = 1\0", "(" * 5000, "x" + "(x" * 500 + ")" * 500, "A = " + "-" * 50_000 + "1"],
)
def test_a_text_that_python_cannot_read_is_one_error(source: str) -> None:
    """Broken, deep beyond all parsers, or with null bytes."""
    with pytest.raises(ConstantsError):
        constants.compare(source, "A = 1\nB = 'not the same'\n")


def test_a_string_that_would_end_early_is_written_whole() -> None:
    """Quotes and newlines in a value cannot add code."""
    nasty = "'\nimport os\n\"\\"
    written = constants.rewrite("A = 'x'\nB = 2\n", {"A": nasty})
    assert constants.read(written) == {"A": nasty, "B": 2}
    assert len(ast.parse(written).body) == 2
