"""The file in a model's answer: its fence, its description, and what is no file."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from messages import MAX_TRAIN_PY_BYTES
from models.answers import BadAnswerError, Code, read_code

FILE = 'import math\n\nLR = 0.1  # {"LR": 0.2}\n'
ANSWER = f"DESCRIPTION: halve the rate\n```python\n{FILE}```\n"
SECONDS = 10.0


@pytest.mark.parametrize(
    ("text", "repairs"),
    [
        (ANSWER, ()),
        (f"Sure.\n\n{ANSWER}\nGood luck.", ()),
        (ANSWER.replace("python", "py"), ()),
        (ANSWER.replace("python", ""), ("unlabelled fence",)),
        (ANSWER.replace("DESCRIPTION:", "**Description**:"), ()),
        (ANSWER.replace("```", "````"), ()),
        (f"```python\n{FILE}```\nDESCRIPTION: halve the rate", ()),
        (f"DESCRIPTION: halve the rate\n\n{FILE}", ("no fence",)),
        (f"<think>\n```python\nLR = 1\n```\n</think>\n{ANSWER}", ("thinking",)),
        (f"{ANSWER}```sh\nmake\n```", ()),
        (f"```python\nLR = 1\n```\n{ANSWER}", ("several fences",)),
        (f"{ANSWER}The change is:\n```python\nLR = 1\n```\n", ("several fences",)),
        (f"{ANSWER}Again:\n{ANSWER}", ("several fences",)),
        (f"{ANSWER}```\n", ()),
    ],
)
def test_a_file_is_found_with_its_description(text: str, repairs: tuple[str, ...]) -> None:
    """Whatever is around it, excerpts included, the file is in a Python fence, byte for byte."""
    assert read_code(text) == Code("halve the rate", FILE, repairs)


def test_a_missing_description_is_a_repair() -> None:
    """The file is taken all the same, and a comment of the file is no description."""
    code = read_code(f"```python\n# DESCRIPTION: of the file\n{FILE}```")
    assert code == Code("", f"# DESCRIPTION: of the file\n{FILE}", ("no description",))
    whole = read_code(f"import os\n# DESCRIPTION: of the file\n{FILE}")
    assert whole.repairs == ("no description", "no fence")
    assert "# DESCRIPTION: of the file" in whole.text


def test_a_description_is_one_bounded_line() -> None:
    """However long the model makes it."""
    code = read_code(ANSWER.replace("halve", "halve \t" * 500))
    assert len(code.description) == 500
    assert "\t" not in code.description


def test_what_is_in_a_fence_need_not_be_python() -> None:
    """Whether the file can be parsed is the caller's check, which has its own words for it."""
    assert read_code("DESCRIPTION: x\n```python\ndef (:\n```").text == "def (:\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the answer is empty"),
        ("Sorry", "the answer as a whole is not Python"),
        ("I can not rewrite this file.", "the answer as a whole is not Python"),
        ("DESCRIPTION: nothing yet", "the answer as a whole is not Python"),
        ("DESCRIPTION: x\n```python\n```", "there is no code fence"),
        (f"DESCRIPTION: x\n```python\n{FILE}", "the code fence is not closed"),
        (f"{ANSWER}```python\nLR = ", "the code fence is not closed"),
        (f"{ANSWER}Better:\n{ANSWER.replace('0.1', '0.05')}", "several code fences differ"),
        (f"{ANSWER}```python\nDEPTH = 8\nSTEPS = 5\n```", "several code fences differ"),
        (f"```python\nLR = 1\n```\n```python\n{'(' * 100}\n```", "several code fences differ"),
        ("<think>\n" + ANSWER, "in the middle of the model's thoughts"),
        (f"```python\n{'#' * MAX_TRAIN_PY_BYTES}\n```", "the file is longer than 1024 KiB"),
        ("x = 1\n" * 2_000_000, "the answer is longer than 1088 KiB"),
        ("```python\nx = '\udc00'\n```", "half of a character"),
        ("(" * 10_000, "the answer as a whole is not Python"),
        ("x = 1\n" * 50_000, "without one a file is read up to 256 KiB"),
        ("x = 1\0", "the answer as a whole is not Python"),
    ],
)
def test_what_is_no_file_says_why(text: str, why: str) -> None:
    """There is one sentence on what is wrong, and no file."""
    with pytest.raises(BadAnswerError) as caught:
        read_code(text)
    assert why in str(caught.value)


lines = st.text(st.characters(exclude_characters="`", exclude_categories=["Cs"]))


@given(file=lines.filter(str.strip), words=lines)
def test_any_file_in_a_fence_comes_back_the_same(file: str, words: str) -> None:
    """Byte for byte, with any words before and after it."""
    text = f"{words}\n```python\n{file}\n```\n{words}"
    if "<think>" not in words and "</think>" not in words + file:
        assert read_code(text).text == f"{file}\n"


@given(text=st.text() | st.text(alphabet="`~\n pythonDESCRIPTION:x=1()#<>/"))
def test_any_text_is_a_file_or_refused(text: str) -> None:
    """Nothing but BadAnswerError comes of it, and a file can be written as UTF-8."""
    try:
        code = read_code(text)
    except BadAnswerError:
        return
    assert code.text.encode()


@pytest.mark.parametrize("unit", ["```\n", "```python\n", "DESCRIPTION:", "(", "-", "a,", "x=1\n"])
def test_a_model_that_repeats_itself_costs_little_time(unit: str) -> None:
    """A mebibyte of anything that is no file is refused in bounded time."""
    began = time.process_time()
    with pytest.raises(BadAnswerError):
        read_code(unit * (MAX_TRAIN_PY_BYTES // len(unit)))
    assert time.process_time() - began < SECONDS
