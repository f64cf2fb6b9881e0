"""The proposed space: which rule decides, what is left out, and that it can be read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from runner.cli.app import app
from runner.errors import UserError
from runner.records.layout import ROOT
from runner.space.asked import read_space
from runner.space.found import find
from runner.space.rules import RULES, propose
from runner.space.written import proposed_space, toml_of
from runner.spec import Knob
from runner.tasks import load_task, pristine_text, task_names
from trainer import constants
from trainer.constants import ConstantsError

TRAIN_PY = '''\
"""A text of somebody's."""
# --- knobs ---

LR = 0.003
INNER_LR = 1  # a whole number is a count
WEIGHT_DECAY = 0.1
ADAM_EPS = 1e-8  # beside the root
ADAM_BETA2 = 0.95
DROPOUT = 0.0
LABEL_SMOOTHING = 0.0
TEMPERATURE = 1.5
OFFSET = -1.0
BATCH = 2**12
DEPTH = 6
VOCABULARY = 5_000
TIED = True
# relu | gelu | silu: what stands
# between the layers
ACTIVATION = "gelu"
NORM = "rms"  # not "layer": that is slower
INIT = "normal"
OPTIMIZER = "adam"
NAME = "run"  # for 'logs'
BETAS = (0.8, 0.95)
SEED = 1337

# --- fixed: by the judge ---
CONTEXT = 256


def build():
    if OPTIMIZER in ("sgd", "muon") or "lion" == OPTIMIZER:
        return {"normal": 1, "uniform": 2}[INIT]
    match NORM:
        case "layer" | "none":
            return None
'''

RANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "LR": ("learning rate", {"low": 0.0003, "high": 0.03, "log": True}),
    "INNER_LR": ("count", {"low": 1, "high": 4}),
    "WEIGHT_DECAY": ("decay", {"low": 0.01, "high": 1.0, "log": True}),
    "ADAM_EPS": ("epsilon", {"low": 1e-10, "high": 1e-06, "log": True}),
    "ADAM_BETA2": ("moving average", {"low": 0.0, "high": 0.999}),
    "DROPOUT": ("share", {"low": 0.0, "high": 1.0}),
    "TEMPERATURE": ("scale", {"low": 0.375, "high": 6.0, "log": True}),
    "BATCH": ("power of two", {"choices": [1024, 2048, 4096, 8192, 16384]}),
    "DEPTH": ("count", {"low": 3, "high": 12}),
    "VOCABULARY": ("count", {"low": 1250, "high": 20000, "log": True}),
    "TIED": ("truth value", {"choices": [False, True]}),
    "ACTIVATION": ("named words", {"choices": ["gelu", "relu", "silu"]}),
    "NORM": ("named words", {"choices": ["rms", "layer", "none"]}),
    "INIT": ("named words", {"choices": ["normal", "uniform"]}),
    "OPTIMIZER": ("named words", {"choices": ["adam", "sgd", "muon", "lion"]}),
}
LEFT_OUT = {
    "LABEL_SMOOTHING": "no scale",
    "OFFSET": "no scale",
    "NAME": "named words",
    "BETAS": "several values",
    "SEED": "seed",
    "CONTEXT": "fixed",
}


def test_each_constant_has_the_range_of_its_rule() -> None:
    """Or the reason why it has none; a rule is chosen by name, type and value."""
    proposals = {found.name: propose(found, {}, "") for found in find(TRAIN_PY)}
    assert set(proposals) == set(RANGES) | set(LEFT_OUT)
    for name, (rule, expected) in RANGES.items():
        made = proposals[name]
        assert made.knob is not None, name
        fields = made.knob.model_dump(exclude_defaults=True, exclude={"type", "default"})
        assert (made.rule, fields) == (rule, expected), name
    for name, rule in LEFT_OUT.items():
        assert (proposals[name].rule, proposals[name].knob) == (rule, None), name
        assert proposals[name].reason, name


def test_comments_and_lines_are_those_of_the_text() -> None:
    """The comment behind a constant goes before the lines above it; a heading is no comment."""
    found = {one.name: one for one in find(TRAIN_PY)}
    assert found["ADAM_EPS"].comment == "beside the root"
    assert found["ACTIVATION"].comment == "relu | gelu | silu: what stands between the layers"
    assert (found["LR"].comment, found["LR"].heading) == ("", "knobs")
    for name, one in found.items():
        assert TRAIN_PY.splitlines()[one.line - 1].startswith(f"{name} = ")


@pytest.mark.parametrize("name", task_names())
def test_the_proposal_for_a_task_is_read_back_at_once(name: str, tmp_path: Path) -> None:
    """It is the same each time, names every constant, and has the task's own ranges."""
    task = load_task(name)
    text = pristine_text(task)
    written = proposed_space(task, text, "train.py")
    assert written == proposed_space(task, text, "train.py")
    path = tmp_path / "space.toml"
    path.write_text(written)
    space = read_space(path, text)
    assert {"DEPTH", "MATRIX_LR", "ROPE_BASE"} <= set(space)
    for knob, line in {"DEPTH": "transformer layers", "SOFTCAP": "logits are held"}.items():
        number = constants.lines(text)[knob][0]
        assert f"# line {number}: {line}" in written
    assert all(f"{constant} = " in written for constant in constants.read(text))


def test_a_foreign_text_is_read_back_too(tmp_path: Path) -> None:
    """With the ranges of the rules, which no space of a task has."""
    path = tmp_path / "space.toml"
    path.write_text(proposed_space(load_task("pystdlib"), TRAIN_PY, "theirs.py"))
    space = read_space(path, TRAIN_PY)
    assert set(space) == set(RANGES)
    assert space["ACTIVATION"].choices == ["gelu", "relu", "silu"]


@given(
    st.dictionaries(
        st.from_regex(r"(LR|EPS|BETA|DECAY|RATIO|[A-Z]{1,3})(_[A-Z0-9]{1,3})?", fullmatch=True),
        st.booleans()
        | st.integers(-(2**70), 2**70)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
        | st.tuples(st.integers(0, 9)),
        max_size=6,
    ),
    st.text(max_size=20),
)
def test_any_constants_make_a_space_that_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any], comment: str
) -> None:
    """Whatever values and comments are: the TOML is valid, and no range lacks its default."""
    said = "".join(char for char in comment if char.isprintable())
    text = "".join(f"{name} = {value!a}  # {said}\n" for name, value in values.items())
    path = tmp_path_factory.mktemp("any") / "space.toml"
    path.write_text(proposed_space(load_task("pystdlib"), text, "any.py"), encoding="utf-8")
    proposed = [propose(found, {}, "") for found in find(text)]
    if any(one.knob is not None for one in proposed):
        assert set(read_space(path, text)) <= set(values)


def test_a_condition_and_a_step_are_written_as_they_are_read(tmp_path: Path) -> None:
    """A knob written as TOML comes back as it was."""
    fields = {
        "type": "int", "low": 2, "high": 10, "step": 2, "default": 6,
        "when": {"knob": "TIED", "is": [True]},
    }  # fmt: skip
    tied = Knob(type="categorical", choices=[True, False], default=True)
    knob = Knob.model_validate(fields)
    path = tmp_path / "space.toml"
    path.write_text(f"DEPTH = {toml_of(knob)}\nTIED = {toml_of(tied)}\n")
    assert read_space(path, TRAIN_PY) == {"DEPTH": knob, "TIED": tied}


def test_the_docs_have_every_rule() -> None:
    """A rule that nobody can look up is not written down."""
    page = (ROOT / "docs" / "baselines.md").read_text(encoding="utf-8")
    for rule in RULES:
        assert f"| {rule.name} |" in page, rule.name


def test_the_command_writes_no_file_twice(tmp_path: Path) -> None:
    """What a user has edited stays; without a file the space is printed."""
    out = tmp_path / "space.toml"
    first = CliRunner().invoke(app, ["space", "--task", "tinystories", "--out", str(out)])
    assert first.exit_code == 0, first.output
    printed = CliRunner().invoke(app, ["space", "--task", "tinystories"])
    assert printed.output == out.read_text()
    again = CliRunner().invoke(app, ["space", "--out", str(out)])
    assert isinstance(again.exception, UserError)
    assert "it is there already" in again.exception.message


@pytest.mark.parametrize("text", ["def", None])
def test_a_train_py_that_cannot_be_read_is_named(tmp_path: Path, text: str | None) -> None:
    """One that is no Python, and one that is not there."""
    path = tmp_path / "theirs.py"
    if text is not None:
        path.write_text(text)
    done = CliRunner().invoke(app, ["space", "--train-py", str(path)])
    assert isinstance(done.exception, UserError)
    assert "theirs.py" in done.exception.message
    assert done.exception.hint
    with pytest.raises(ConstantsError):
        find("def")
