"""A row an experiment, from runs with texts, with knobs alone, and from imports."""

from __future__ import annotations

import difflib
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from runner.analysis.strategy.experiments import experiments
from tests.unit.analysis.strategy.made_up import frames, searched

PRISTINE = (
    'DEPTH = 8\nWARMUP_RATIO = 0.0\n\n\ndef forward(x):\n    """Docs."""\n    return x + x0\n'
)


def test_a_baseline_is_no_experiment() -> None:
    """The first trial counts only if it changed something; all others count."""
    rows = experiments(frames(searched("a-s1", ["depth 8 to 9", "baseline"], [0.9, 0.8])), 1)
    assert rows["trial"].tolist() == [2, 3]
    assert rows["number"].tolist() == [1, 2]
    changed = frames([{"run": "b-s1", "change": "depth 8 to 9", "value": 1.0}])
    assert experiments(changed, 1)["trial"].tolist() == [1]


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1), ("maximize", -1)])
def test_a_gain_is_over_the_best_before(direction: str, sign: int) -> None:
    """Only a new best has a gain, which is positive whatever the direction."""
    values = [1.0 - sign * 0.1, 1.0 + sign * 0.5, None, 1.0 - sign * 0.3]
    of = frames(searched("a-s1", ["a", "b", "c", "d"], values), direction=direction)
    rows = experiments(of, sign)
    gains = rows["gain"].tolist()
    assert gains == pytest.approx([0.1, math.nan, math.nan, 0.2], nan_ok=True)
    assert rows["failed"].tolist() == [False, False, True, False]
    assert rows["kept"].tolist() == [True, False, False, True]


def test_the_same_change_again_is_a_repeat() -> None:
    """A repeat is of the own run; another run may try the same change for the first time."""
    changes = ["depth 8 to 9", "matrix LR 0.1 to 0.2", "Depth 7 -> 9 (again)"]
    trials = [*searched("a-s1", changes, [0.9, 0.9, 0.9]), *searched("a-s2", changes[:1], [0.9])]
    assert experiments(frames(trials), 1)["repeat"].tolist() == [False, False, True, False]


def test_unknown_changes_are_no_repeats() -> None:
    """Where nothing is known of two changes, they are not the same."""
    rows = experiments(frames(searched("a-s1", ["x", "", ""], [0.9, 0.8, 0.7])), 1)
    assert rows["repeat"].tolist() == [False, False, False]
    assert rows["labels"].tolist()[1:] == [(), ()]


def test_texts_tell_what_constants_do_not(tmp_path: Path) -> None:
    """A trial's text is held against its parent's, whichever came right before."""
    texts = {
        1: PRISTINE,
        2: PRISTINE.replace("x + x0", "x"),
        3: PRISTINE.replace("= 0.0", "= 0.1"),
        4: PRISTINE.replace("= 0.0", "= 0.1").replace("return x + x0", "y = x + x0\n    return y"),
    }
    own = [
        trial(tmp_path, 1, texts[1], None, {}, False),
        trial(tmp_path, 2, texts[2], 1, {}, True, value=2.0),
        trial(tmp_path, 3, texts[3], 1, {"WARMUP_RATIO": (0.0, 0.1)}, False, value=0.9),
        trial(tmp_path, 4, texts[4], 3, {}, True, value=0.8),
    ]
    rows = experiments(frames(own, kind="agent"), 1)
    assert rows["labels"].tolist() == [("architecture",), ("schedule",), ("architecture",)]
    assert rows["read_from"].tolist() == ["text", "knobs", "text"]
    assert rows["step"].tolist()[1] == math.inf


def test_a_first_trial_is_held_against_its_diff(tmp_path: Path) -> None:
    """The pristine text is not kept, so that the first trial's diff gives it."""
    text = PRISTINE.replace("x + x0", "x")
    diff = difflib.unified_diff(PRISTINE.splitlines(True), text.splitlines(True), "a", "b")
    own = trial(tmp_path, 1, text, None, {}, True)
    (tmp_path / "0001/diff.patch").write_text("".join(diff), encoding="utf-8")
    rows = experiments(frames([own], kind="agent"), 1)
    assert rows["labels"].tolist() == [("architecture",)]


def test_a_missing_text_leaves_what_is_known(tmp_path: Path) -> None:
    """Without its text a change is labelled by its constants, or else by its words."""
    first = trial(tmp_path, 1, PRISTINE, None, {}, False)
    gone = trial(tmp_path, 2, PRISTINE, 1, {"DEPTH": (8, 9)}, True) | {"text": "/nowhere/train.py"}
    said = gone | {"trial": 3, "knobs_changed": "no JSON", "change": "longer warmup"}
    rows = experiments(frames([first, gone, said], kind="agent"), 1)
    assert rows["labels"].tolist() == [("architecture",), ("schedule",)]
    assert rows["read_from"].tolist() == ["knobs", "words"]
    assert not rows["small"].any()


def test_an_import_without_words_is_read_by_its_knobs() -> None:
    """A trial's knobs are held against those of the last trial that was kept."""
    depths = [8, 9, 9, 10]
    values = [1.0, 0.9, 1.5, 0.8]
    trials = [{"run": "a-s1", "value": value} for value in values]
    knobs = [
        {"run": "a-s1", "trial": at, "knob": name, "number": number, "text": str(number)}
        for at, depth in enumerate(depths, 1)
        for name, number in (("DEPTH", depth), ("MATRIX_LR", 0.05 if at == 3 else 0.04))
    ]
    rows = experiments(frames(trials, knobs=knobs), 1)
    assert rows["primary"].tolist() == ["architecture", "hyperparameter", "architecture"]
    assert rows["step"].tolist() == pytest.approx([math.log(x) for x in (9 / 8, 1.25, 10 / 9)])


def test_own_labels_are_read() -> None:
    """The contestant's word stands beside our label; an unknown one is empty."""
    trials = searched("a-s1", ["depth 8 to 9", "depth 9 to 8"], [0.9, 0.8])
    trials[1]["category"], trials[2]["category"] = "Arch", "whatever"
    assert experiments(frames(trials), 1)["own"].tolist() == ["architecture", ""]


def test_no_trials_are_no_experiments() -> None:
    """Empty tables give an empty table with its columns."""
    none = experiments(frames([]), 1)
    assert none.empty
    assert "primary" in none
    assert isinstance(none, pd.DataFrame)


def trial(
    folder: Path, number: int, text: str, parent: int | None, knobs: dict[str, Any], other: bool,
    value: float = 1.0,
) -> dict[str, Any]:  # fmt: skip
    """A trial of an own run, with its train.py on disk."""
    path = folder / f"{number:04}" / "train.py"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    return {
        "run": "a-s1", "trial": number, "text": str(path), "parent": parent, "value": value,
        "knobs_changed": json.dumps(knobs), "other_changes": other,
    }  # fmt: skip
