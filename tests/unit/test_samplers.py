"""The host's table of baselines."""

from __future__ import annotations

import ast
import hashlib
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from runner import options, samplers, spec
from runner.configs import as_config
from runner.errors import UserError
from runner.options import RunOptions, proposing
from runner.records.layout import ROOT, RunDir
from runner.space.asked import knob_range
from runner.spec import Budget, Knob, RunSpec
from runner.tasks import load_space, load_task
from runner.wire.messages import Start
from runner.wire.protocol import MAX_LINE_BYTES, encode
from runner.wire.start_config import OptimizerConfig, OwnSampler

TEXT = """
from __future__ import annotations
from optuna.samplers import TPESampler as Tpe

class Factory:
    pass

if True:
    Aliased = Factory

def make(seed): ...
"""


def test_the_samplers_of_the_studies_are_there() -> None:
    """Those that the studies compare, and what else the field would expect."""
    studies = {"random", "tpe", "gp", "cmaes", "smac"}
    assert set(samplers.load()) == studies | {"qmc", "grid", "tpe-independent", "catcma", "nsga2"}
    assert all(row.description for row in samplers.load().values())


def test_a_sampler_is_found_by_name() -> None:
    """The row knows its own name."""
    assert samplers.find("cmaes").name == "cmaes"


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    """The error for a misspelled name suggests the nearest name and lists all."""
    with pytest.raises(UserError) as caught:
        samplers.find("cma-es")
    assert caught.value.hint.startswith("did you mean cmaes?")
    assert "random" in caught.value.hint


def test_the_methods_are_those_of_the_optimizers_image() -> None:
    """Both tables name the same, in the same order."""
    tree = ast.parse((ROOT / "images/optimizer/methods/__init__.py").read_text())
    tables = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and "METHODS" in {it.id for it in ast.walk(node) if isinstance(it, ast.Name)}
        and isinstance(node.value, ast.Dict)
    ]
    (table,) = tables
    keys = [key.value for key in table.keys if isinstance(key, ast.Constant)]
    assert sorted(map(str, keys)) == sorted(samplers.load_methods())


def test_every_prompt_that_a_method_needs_is_there() -> None:
    """Each is a template, and none lies there that no method needs."""
    needed = {name for row in samplers.load_methods().values() for name in row.prompts}
    assert all(prompt.text for prompt in proposing.read_prompts(needed).values())
    assert {path.stem for path in proposing.PROMPTS.glob("*.md")} == needed


def test_a_method_works_with_a_sampler_that_says_what_it_would_suggest() -> None:
    """Its own unless another is asked for; some have none."""
    warm, space = samplers.load_methods()["warm"], samplers.load_methods()["llm-space"]
    assert samplers.find_inner(samplers.load_methods()["llambo"], None) is None
    for asked, found in ((None, "tpe"), ("grid", "grid"), ("gp", "gp")):
        inner = samplers.find_inner(warm, asked)
        assert inner is not None
        assert inner.name == found
    with pytest.raises(UserError, match="grid needs a finite space") as caught:
        samplers.find_inner(space, "grid")
    assert "catcma" not in caught.value.hint


# --- a space that has to have an end --------------------------------------------------------------

DEPTH = Knob(type="int", low=1, high=8, default=4)
RATE = Knob(type="float", low=0.0, high=0.5, default=0.2)


def refused(space: dict[str, Knob], sampler: str = "grid") -> UserError:
    """The error for a space that the sampler cannot search."""
    with pytest.raises(UserError) as caught:
        samplers.check_space(samplers.find(sampler), space)
    return caught.value


def test_a_grid_needs_a_step_in_every_real_knob() -> None:
    """The hint names the knobs without one, and no other."""
    error = refused({"DEPTH": DEPTH, "WEIGHT_DECAY": RATE, "MATRIX_LR": RATE})
    assert "searching with grid: the space has no end" in error.message
    assert error.hint == "give a step, or choices, to WEIGHT_DECAY, MATRIX_LR"


def test_a_grid_that_nobody_could_finish_is_refused() -> None:
    """The hint names the knobs with most values."""
    batch = Knob(type="int", low=1, high=60000, log=True, default=8)
    error = refused({"DEPTH": DEPTH, "BATCH": batch})
    assert "4.8e+05 settings, at most 100000" in error.message
    assert "BATCH (60000), DEPTH (8)" in error.hint


def test_a_finite_space_is_taken_and_others_take_every_space() -> None:
    """Steps, choices and single values make an end; only the grid asks for one."""
    stepped = RATE.model_copy(update={"step": 0.1})
    pattern = Knob(type="categorical", choices=["L", "S"], default="L")
    one = RATE.model_copy(update={"low": 0.2, "high": 0.2})
    space = {"DEPTH": DEPTH, "WEIGHT_DECAY": stepped, "WINDOW_PATTERN": pattern, "ONE": one}
    samplers.check_space(samplers.find("grid"), space)
    for name, row in samplers.load().items():
        if not row.finite:
            samplers.check_space(samplers.find(name), load_space(load_task("pystdlib")))


def test_a_grid_is_refused_before_anything_starts() -> None:
    """The default space has knobs without an end, so `SAMPLER=grid` is an error at once."""
    with pytest.raises(UserError, match="the space has no end"):
        options.baseline_run("grid", RunOptions(), Budget(trials=3))


# --- a user's own ---------------------------------------------------------------------------------


def own_run(path: Path, factory: str = "Factory", seed: int = 1) -> RunSpec:
    """The spec of a run with the sampler of a file."""
    return options.baseline_run(f"{path}:{factory}", RunOptions(seed=seed), Budget(trials=3))


def test_a_sampler_with_a_state_of_its_own_shares_no_study() -> None:
    """The table names those that are asked and told one after the other."""
    asked = RunOptions(storage="postgresql://bakeoff@192.0.2.1/studies")
    with pytest.raises(UserError, match="catcma may have a state"):
        options.baseline_run("catcma", asked, Budget(trials=1))
    assert options.baseline_run("cmaes", asked, Budget(trials=1)).study == "cmaes-s1"


@pytest.mark.parametrize("factory", ["Factory", "Aliased", "make", "Tpe"])
def test_a_users_own_sampler_is_in_the_spec(tmp_path: Path, factory: str) -> None:
    """Its text goes with the run, under the name of its file, and comes back from spec.json."""
    path = tmp_path / "my_sampler.py"
    path.write_text(TEXT)
    made = own_run(path, factory, seed=4)
    assert (made.run_id, made.contestant, made.kind) == ("my_sampler-s4", "my_sampler", "baseline")
    assert made.own_sampler is not None
    assert made.own_sampler.text == TEXT
    assert made.own_sampler.factory == factory
    assert made.own_sampler.sha256 == hashlib.sha256(TEXT.encode()).hexdigest()
    path.unlink()
    folder = RunDir(tmp_path / made.run_id)
    folder.path.mkdir()
    folder.spec.write_text(made.model_dump_json())
    assert spec.read_spec(tmp_path, made.run_id) == made


def test_a_spec_whose_sampler_was_changed_is_not_read(tmp_path: Path) -> None:
    """The text and its hash belong together: a run does not go on with another sampler."""
    path = tmp_path / "my_sampler.py"
    path.write_text(TEXT)
    body = own_run(path).model_dump(mode="json")
    body["own_sampler"]["text"] += "# changed"
    with pytest.raises(ValidationError, match="sha256 is not that of the text"):
        RunSpec.model_validate(body)


@pytest.mark.parametrize(
    ("text", "complaint", "hint"),
    [
        (b"class Other: pass\n", "it has no 'Factory' at its top level", "defines Other"),
        (b"", "it has no 'Factory' at its top level", "no name at all"),
        (b"class Factory(:\n", "it is no Python, line 1", "Python 3.11"),
        (b"def f():\n    class Factory: pass\n", "it has no 'Factory'", "defines f"),
        (b"Factory = '\xff'\n", "it is no text in UTF-8", "./my_sampler.py:Factory"),
        (b"Factory = 1\0\n", "it is no Python", "Python 3.11"),
        (b"class Factory[T]: pass\n", "it is no Python", "Python 3.11"),
        (b"Factory = 1\n#" + b"x" * (128 << 10), "at most 131072", "leave out"),
        (b"Factory = 1\n#" + b"\x01" * (64 << 10), "at most 131072", "leave out"),
    ],
)
def test_a_bad_file_is_an_error_before_anything_starts(
    tmp_path: Path, text: bytes, complaint: str, hint: str
) -> None:
    """The message says what is wrong with the file, and the hint what to do."""
    path = tmp_path / "my_sampler.py"
    path.write_bytes(text)
    with pytest.raises(UserError) as caught:
        own_run(path)
    assert complaint in caught.value.message
    assert hint in caught.value.hint


def test_a_file_that_is_not_there_and_a_name_that_is_missing(tmp_path: Path) -> None:
    """Each is said in its own words."""
    path = tmp_path / "my_sampler.py"
    with pytest.raises(UserError, match="No such file"):
        own_run(path)
    path.mkdir()
    with pytest.raises(UserError, match="Is a directory"):
        own_run(path)
    path.rmdir()
    path.write_text(TEXT)
    with pytest.raises(UserError, match="nothing says what to call") as caught:
        options.baseline_run(str(path), RunOptions(), Budget(trials=1))
    assert "SAMPLER=" in caught.value.hint


@pytest.mark.parametrize("name", ["tpe", "gpt", "My Sampler", "x" * 40, "-s"])
def test_a_file_whose_name_cannot_be_a_contestants(tmp_path: Path, name: str) -> None:
    """Another contestant's name would mix two in one table; others cannot be part of an id."""
    path = tmp_path / f"{name}.py"
    path.write_text(TEXT)
    with pytest.raises(UserError, match=f"naming the sampler of {name}.py"):
        own_run(path)


def test_the_largest_file_fits_into_the_message() -> None:
    """What is taken can also be sent, with everything else that `start` holds."""
    text = "#" * (samplers.MAX_OWN_BYTES - 2)
    space = {name: knob_range(knob) for name, knob in load_space(load_task("tinystories")).items()}
    config = OptimizerConfig("mine", 1, space, 1.0, "minimize", own=OwnSampler("m.py", "F", text))
    assert len(json.dumps(text)) == samplers.MAX_OWN_BYTES
    assert len(encode(Start(as_config(config)))) < MAX_LINE_BYTES
