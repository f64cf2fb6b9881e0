"""The tables that describe tasks and search spaces, against train.py itself."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from runner import tasks
from runner.metrics import VAL_BPB
from runner.records.layout import ROOT
from runner.space.asked import knob_range
from trainer import catalog, constants

TRAIN_PY = (ROOT / "trainer" / "train.py").read_text()
SPACES: dict[str, dict[str, dict[str, Any]]] = tomllib.loads(
    (ROOT / "trainer" / "search_space.toml").read_text()
)
STUDIED = {
    "DEPTH", "ASPECT_RATIO", "HEAD_DIM", "DEVICE_BATCH_SIZE", "TOTAL_BATCH_SIZE", "EMBEDDING_LR",
    "UNEMBEDDING_LR", "MATRIX_LR", "SCALAR_LR", "WEIGHT_DECAY", "WARMUP_RATIO", "WARMDOWN_RATIO",
    "FINAL_LR_FRAC", "WINDOW_PATTERN",
}  # fmt: skip


def inside(value: Any, knob: dict[str, Any]) -> bool:
    """Whether a value lies in a knob's range."""
    if knob["type"] == "categorical":
        return value in knob["choices"]
    return bool(knob["low"] <= value <= knob["high"])


def test_the_tasks_are_those_of_the_field_and_two_for_every_machine() -> None:
    """All load, and an unknown one names those that there are."""
    names = ["climbmix", "pystdlib", "text", "tinystories", "tinystories512"]
    assert catalog.task_names() == names
    assert [catalog.named_task(name).name for name in names] == names
    with pytest.raises(catalog.UnknownTaskError, match="climbmix, pystdlib"):
        catalog.named_task("imagenet")


@pytest.mark.parametrize("name", catalog.task_names())
def test_a_task_fits_train_py_and_its_search_space(name: str) -> None:
    """Its knobs are constants of train.py, and the starting text lies in the space searched."""
    task = tasks.load_task(name)
    text = constants.rewrite(TRAIN_PY, task.knobs)
    start = constants.read(text)
    for knob, row in SPACES[task.space].items():
        default = tasks.load_space(task)[knob].default
        assert start[knob] == default, f"{name}: the text starts {knob} elsewhere than the search"
        assert inside(default, row), f"{name}: {knob}={default} is not in {row}"


@pytest.mark.parametrize("name", catalog.task_names())
def test_a_language_model_task_measures_bits_per_byte(name: str) -> None:
    """Every task of today does, under the name that train.py prints."""
    task = tasks.load_task(name)
    assert task.metric == VAL_BPB
    assert f'print(f"{task.metric.name}:' in TRAIN_PY


@pytest.mark.parametrize("name", catalog.task_names())
def test_a_task_says_what_preparing_it_needs(name: str) -> None:
    """Downloads need the network, and nothing else does."""
    task = catalog.named_task(name)
    assert task.network == bool(task.urls)
    assert task.needs_input == (name == "text")
    assert task.estimate_tokens < task.eval_tokens
    assert not task.sha256 or len(task.sha256) == len(task.urls)


def test_the_large_and_cpu_spaces_have_the_fourteen_knobs_of_the_study() -> None:
    """And every section is of knobs that train.py has."""
    assert set(SPACES) == {"large", "small", "cpu"}
    assert set(SPACES["large"]) == set(SPACES["cpu"]) == STUDIED
    known = set(constants.read(TRAIN_PY))
    assert all(set(space) <= known for space in SPACES.values())


def test_the_published_ranges_of_the_large_setting() -> None:
    """As autoresearch-automl gives them, defaults in brackets."""
    large = SPACES["large"]
    assert large["TOTAL_BATCH_SIZE"] == {
        "type": "int", "low": 2**16, "high": 2**21, "log": True, "default": 2**19
    }  # fmt: skip
    assert large["MATRIX_LR"] == {
        "type": "float", "low": 0.005, "high": 0.2, "log": True, "default": 0.04
    }  # fmt: skip
    assert [k["default"] for k in large.values()] == [
        8, 64, 128, 128, 2**19, 0.6, 0.004, 0.04, 0.5, 0.2, 0.0, 0.5, 0.0, "SSSL"
    ]  # fmt: skip


def test_the_published_ranges_of_the_small_setting() -> None:
    """As the final code of autoresearch-hyperopt has the sizes of the model; eleven knobs."""
    small = SPACES["small"]
    assert len(small) == 11
    assert small["DEPTH"] == {"type": "int", "low": 2, "high": 8, "default": 4}
    assert small["ASPECT_RATIO"] == {
        "type": "int", "low": 32, "high": 128, "step": 32, "default": 64
    }  # fmt: skip
    space = tasks.load_space(tasks.load_task("tinystories"))
    assert knob_range(space["ASPECT_RATIO"]).step == 32
    assert knob_range(space["DEPTH"]).step is None


def test_both_variants_of_tinystories_are_scored_on_as_much_text_as_was_published() -> None:
    """The variant for little memory covers 5.24 million tokens, as the study's code does."""
    assert catalog.named_task("tinystories512").eval_tokens == 10 * 2**19


def test_a_table_with_more_than_constants_makes_the_same_task() -> None:
    """`task.json` carries counts and digests beside the constants."""
    task = catalog.named_task("pystdlib")
    fields = {"packed": {}, "files": {}, **vars(task), "urls": list(task.urls)}
    assert catalog.make_task(fields) == task


@pytest.mark.parametrize(("vocabulary", "kind"), [(1024, "<u2"), (65536, "<u2"), (65537, "<u4")])
def test_tokens_take_two_bytes_where_they_fit(vocabulary: int, kind: str) -> None:
    """The largest token is one less than the vocabulary."""
    fields = {**vars(catalog.named_task("pystdlib")), "vocabulary": vocabulary}
    assert catalog.token_type(catalog.make_task(fields)) == kind
