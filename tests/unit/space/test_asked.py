"""A search space of the user's: what is read, and what is refused before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner import options
from runner.errors import UserError
from runner.options import RunOptions
from runner.space.asked import knob_range, read_space
from runner.spec import Budget, RunSpec
from runner.tasks import load_space, load_task, pristine_text, searched_space
from runner.wire import start_config

TRAIN_PY = """\
DEPTH = 4
WIDTH = 2**6
RATE = 0.04
OPTIMIZER = "muon"
MOMENTUM = 0.9
TIED = False
BETAS = (0.8, 0.95)
WHOLE = 10_000.0
"""


def read(tmp_path: Path, text: str) -> dict[str, start_config.KnobRange]:
    """The space in a file with this text, as the optimizer is told it."""
    path = tmp_path / "my_space.toml"
    path.write_text(text, encoding="utf-8")
    return {name: knob_range(knob) for name, knob in read_space(path, TRAIN_PY).items()}


def test_knobs_of_all_types_are_read_in_their_order(tmp_path: Path) -> None:
    """A default may be left out, and is then what train.py has."""
    space = read(
        tmp_path,
        """
        RATE = { type = "float", low = 0.004, high = 0.4, log = true }
        MOMENTUM = { type = "float", low = 0.5, high = 1.0, step = 0.1, when = { knob = "OPTIMIZER", is = ["muon"] } }
        DEPTH = { type = "int", low = 2, high = 8, step = 2, default = 4 }
        OPTIMIZER = { type = "categorical", choices = ["muon", "adam"] }
        [TIED]
        type = "categorical"
        choices = [true, false]
        [WHOLE]
        type = "categorical"
        choices = [1000, 10000.0]
        """,  # noqa: E501
    )
    muon = start_config.Condition("OPTIMIZER", ("muon",))
    assert list(space.items()) == [
        ("RATE", start_config.KnobRange("float", 0.04, 0.004, 0.4, log=True)),
        ("MOMENTUM", start_config.KnobRange("float", 0.9, 0.5, 1.0, step=0.1, when=muon)),
        ("DEPTH", start_config.KnobRange("int", 4, 2, 8, step=2)),
        ("OPTIMIZER", start_config.KnobRange("categorical", "muon", choices=("muon", "adam"))),
        ("TIED", start_config.KnobRange("categorical", False, choices=(True, False))),
        ("WHOLE", start_config.KnobRange("categorical", 10000.0, choices=(1000, 10000.0))),
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "it has no knob"),
        ("DEPHT = { type = 'int', low = 1, high = 8 }", "DEPHT: train.py has no such constant"),
        ("DEPTH = 4", "DEPTH: it is no table"),
        ("DEPTH = { low = 1, high = 8 }", "DEPTH: type is missing"),
        ("DEPTH = { type = 'whole', low = 1, high = 8 }", "DEPTH: type is 'whole'"),
        ("DEPTH = { type = 'int', lo = 1, high = 8 }", "DEPTH: lo is no field of a knob"),
        ("DEPTH = { type = 'int', low = 1 }", "DEPTH: has no low or no high"),
        ("DEPTH = { type = 'int', low = '1', high = 8 }", "DEPTH: low is '1'"),
        ("DEPTH = { type = 'int', low = 1.5, high = 8 }", "must be numbers of type int"),
        ("DEPTH = { type = 'int', low = 5, high = 8 }", "DEPTH: default 4 is outside 5.0 to 8.0"),
        ("DEPTH = { type = 'int', low = 1, high = 8, step = 2 }", "not on the grid of step 2"),
        ("DEPTH = { type = 'int', low = 1, high = 8, default = 5 }", "DEPTH: default 5 is not 4"),
        ("DEPTH = { type = 'float', low = 1, high = 8 }", "train.py, which has the int 4"),
        ("RATE = { type = 'int', low = 0, high = 1, default = 0 }", "which has the float 0.04"),
        ("RATE = { type = 'float', low = 0, high = 1, log = true }", "log needs a low above 0"),
        ("RATE = { type = 'float', low = nan, high = 1 }", "must be numbers of type float"),
        ("OPTIMIZER = { type = 'categorical' }", "OPTIMIZER: has no choices"),
        ("OPTIMIZER = { type = 'categorical', choices = ['muon', 'muon'] }", "a choice twice"),
        ("OPTIMIZER = { type = 'categorical', choices = ['adam'] }", "is none of its choices"),
        ("OPTIMIZER = { type = 'categorical', choices = ['muon', 1] }", "which has the str muon"),
        ("OPTIMIZER = { type = 'categorical', choices = ['muon', []] }", "OPTIMIZER: choices is"),
        ("TIED = { type = 'int', low = 0, high = 1 }", "TIED"),
        ("BETAS = { type = 'float', low = 0, high = 1 }", "BETAS: it is a tuple in train.py"),
        ("DEPTH = { type = 'int', low = 1, high = 8, when = 'RATE' }", "DEPTH: when is 'RATE'"),
        (
            "DEPTH = { type = 'int', low = 1, high = 8, when = { knob = 'A' } }",
            "when.is is missing",
        ),
        (
            "DEPTH = { type = 'int', low = 1, high = 8, when = { knob = 'TIED', is = [true] } }",
            "DEPTH: when names TIED, which the space lacks",
        ),
        ("DEPTH = { type = 'int', low = 1, high = 8 }\nDEPTH = 3", "overwrite"),
        ("DEPTH = {", "my_space.toml: "),
        ("A = " + "[" * 9999, "my_space.toml: "),
        ("#" * 300_000, "more than 262144 bytes"),
    ],
)
def test_what_cannot_be_searched_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    """The error names the file, the knob and what is wrong, and the hint says what to do."""
    with pytest.raises(UserError) as caught:
        read(tmp_path, text)
    assert caught.value.message.startswith(f"reading the search space {tmp_path}/my_space.toml: ")
    assert complaint in caught.value.message
    assert caught.value.hint
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    """One that is not there, and one that is no text."""
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"mine\.toml") as caught:
        read_space(path, TRAIN_PY)
    assert "make space" in caught.value.hint


def test_a_run_keeps_its_space(tmp_path: Path) -> None:
    """The spec on disk holds it, conditions included, so that a resume needs no file."""
    path = tmp_path / "mine.toml"
    path.write_text(
        'MATRIX_LR = { type = "float", low = 0.01, high = 0.1, log = true,'
        ' when = { knob = "WINDOW_PATTERN", is = ["L"] } }\n'
        'WINDOW_PATTERN = { type = "categorical", choices = ["SSSL", "L"] }\n'
    )
    asked = RunOptions(space=str(path))
    made = options.baseline_run("tpe", asked, Budget(trials=3))
    path.unlink()
    kept = RunSpec.model_validate_json(made.model_dump_json())
    assert kept == made
    space = searched_space(kept)
    assert list(space) == ["MATRIX_LR", "WINDOW_PATTERN"]
    assert space["MATRIX_LR"].when == made.space["MATRIX_LR"].when  # type: ignore[index]
    assert space["WINDOW_PATTERN"].default == "SSSL"


def test_a_run_without_a_space_searches_that_of_its_task() -> None:
    """So does a run of an earlier version, whose spec has no such field."""
    made = options.baseline_run("tpe", RunOptions(task="pystdlib"), Budget(trials=3))
    assert made.space is None
    assert searched_space(made) == load_space(load_task("pystdlib"))


def test_a_knob_that_train_py_lacks_starts_nothing(tmp_path: Path) -> None:
    """The options are refused: no engine was asked, and no directory made."""
    path = tmp_path / "mine.toml"
    path.write_text("DROPOUT = { type = 'float', low = 0, high = 1, default = 0.0 }")
    with pytest.raises(UserError, match=r"knob DROPOUT: train\.py has no such constant"):
        options.baseline_run("tpe", RunOptions(space=str(path)), Budget(trials=3))
    assert "DROPOUT" not in pristine_text(load_task("pystdlib"))
