"""A user's own sampler in the optimizer: what it is given, and what is said of a bad one."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import re
import traceback
from pathlib import Path
from typing import Any

import pytest
from samplers.own import OwnSamplerError
from samplers.replay import BadSuggestionError, NotRepeatableError
from search import Search
from space import parse_space
from start_config import KnobRange, OwnSampler

SPACE = parse_space({"DEPTH": KnobRange("int", 4, low=2, high=8)})


def search(state: Path, text: str, seed: int = 1) -> Any:
    """The study of a sampler whose text is given; its factory is `Mine`."""
    return Search(state, "mine", seed, "minimize", SPACE, OwnSampler("mine.py", "Mine", text))


def asked(state: Path, text: str, trials: int = 2) -> list[Any]:
    """The depths of its first trials."""
    study, found = search(state, text), []
    for number in range(trials):
        found.append(study.ask().knobs["DEPTH"])
        study.tell(number, "ok", 1.0, {})
    return found


ASK = "    def tell(self, number, knobs, value): pass\n    def ask(self, number):"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Other = 1", "mine.py has no Mine that can be called"),
        ("Mine = 1", "mine.py has no Mine that can be called"),
        ("def Mine(): return 7", "made a int, which is no sampler of Optuna's"),
        ("class Mine:\n def __init__(self, seed, size): pass", "Mine of mine.py needs size"),
    ],
)
def test_a_file_that_makes_no_sampler_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    """The error says what the file lacks."""
    with pytest.raises(OwnSamplerError, match=re.escape(complaint)):
        search(tmp_path, text)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("{'DEPTH': 9}", "DEPTH=9: not in its range"),
        ("{'DEPTH': 'deep'}", "DEPTH='deep': not in its range"),
        ("{'DEPTH': float('nan')}", "not in its range"),
        ("{}", "not a value for each of DEPTH"),
        ("None", "not a value for each of DEPTH"),
    ],
)
def test_a_setting_outside_the_space_is_an_error(
    tmp_path: Path, value: str, complaint: str
) -> None:
    """What an algorithm suggests is checked before a trial is made of it."""
    with pytest.raises(BadSuggestionError, match=re.escape(complaint)):
        asked(tmp_path, f"class Mine:\n{ASK} return {value}\n")


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    """An int64 or a whole float for an int knob is that int."""
    text = f"import numpy\nclass Mine:\n{ASK} return {{'DEPTH': numpy.float64(5)}}\n"
    found = asked(tmp_path, text)
    assert found == [4, 5]
    assert type(found[1]) is int


def test_an_algorithm_that_does_not_repeat_itself_is_found_out(tmp_path: Path) -> None:
    """After a restart it asks for something else than before: the run does not go on with that."""
    text = (
        f"from pathlib import Path\nASKS = Path({str(tmp_path / 'asks')!r})\nclass Mine:\n"
        "    def tell(self, number, knobs, value): pass\n"
        "    def ask(self, number):\n"
        "        asks = int(ASKS.read_text()) + 1 if ASKS.exists() else 1\n"
        "        ASKS.write_text(str(asks))\n"
        "        return {'DEPTH': asks + 1}\n"
    )
    study = search(tmp_path, text)
    assert [study.ask().knobs["DEPTH"] for _ in range(3)] == [4, 2, 3]
    with pytest.raises(
        NotRepeatableError, match=r"setting 1 is \{'DEPTH': 4\}.*was \{'DEPTH': 2\}"
    ):
        search(tmp_path, text).ask()


def test_another_text_is_another_search(tmp_path: Path) -> None:
    """A study is not continued with a file that was changed."""
    text = f"class Mine:\n{ASK} return {{'DEPTH': 3}}\n"
    assert asked(tmp_path, text) == [4, 3]
    with pytest.raises(Exception, match="the journal is of another search"):
        search(tmp_path, text + "# changed\n")


def test_its_errors_show_its_lines(tmp_path: Path) -> None:
    """A traceback out of the user's file has the file's name and the line."""
    text = f"class Mine:\n{ASK} return 1 / 0  # here\n"
    with pytest.raises(ZeroDivisionError) as caught:
        asked(tmp_path, text)
    shown = "".join(traceback.format_exception(caught.value))
    assert 'File "mine.py", line 3' in shown
    assert "return 1 / 0  # here" in shown
