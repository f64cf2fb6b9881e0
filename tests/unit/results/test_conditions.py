"""Devices, workers and studies of runs: what a spec says, and where runs differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.results import write_results
from runner.results.conditions import differences, setup_of, shares_a_study
from tests.unit.results.runs import Make, trial

BASELINE = {"kind": "baseline", "run_id": "tpe-s1"}
SHARED = {"storage": "postgresql://u@h/d", "study": "night-3"}


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"cpu_sets": 2}, "devices: 2 sets of cores; all cores"),
        ({"gpu": "1"}, "devices: 1 GPU; all cores"),
        ({"gpu": "0", "gpus": ["0", "1"]}, "devices: 2 GPUs; all cores"),
        ({"workers": 4}, "trials at a time: 1; 4"),
        ({"ask_ahead": True}, "asking ahead: no; yes"),
        (SHARED, "study: its own; night-3, a shared one"),
    ],
)
def test_what_differs_is_named(other: dict[str, Any], words: str) -> None:
    """Each condition is compared with a run of an old version, which had the usual one."""
    assert differences([setup_of(BASELINE), setup_of(BASELINE | other)]) == [words]


def test_cores_are_compared_where_they_are_known() -> None:
    """Old runs do not name them, and differ from none; a GPU's number is no difference."""
    four, eight = (
        setup_of(BASELINE | {"versions": {"trains_on": f"{n} processor cores"}}) for n in (4, 8)
    )
    assert differences([four, eight]) == ["cores of a trial: 4 processor cores; 8 processor cores"]
    assert differences([four, setup_of(BASELINE)]) == []
    assert differences([setup_of(BASELINE | {"gpu": gpu}) for gpu in ("0", "1")]) == []


@pytest.mark.parametrize(
    "spec", [{}, {"kind": 3, "gpus": 4, "cpu_sets": [], "workers": "x", "versions": 1, "study": {}}]
)
def test_whatever_a_spec_holds_is_read(spec: dict[str, Any]) -> None:
    """A run without a spec has no conditions, and a torn one costs nothing."""
    assert differences([setup_of(spec), setup_of({})]) == []


def test_a_study_of_its_own_in_a_database_is_not_shared() -> None:
    """The study of a run that names none is named after the run."""
    assert not shares_a_study(setup_of(BASELINE | {"storage": "postgresql://u@h/d"}))
    assert shares_a_study(setup_of(BASELINE | SHARED))
    assert not shares_a_study(setup_of({"kind": "agent"}))


def test_the_page_warns_of_other_devices_and_of_a_shared_study(make: Make, tmp_path: Path) -> None:
    """Even runs that all share one study are named."""
    runs = [make(name, [trial(0, 2.5)]) for name in ("gp-s1", "tpe-s1")]
    for run, workers in zip(runs, (1, 4), strict=True):
        spec = json.loads((run / "spec.json").read_text())
        asked = {"kind": "baseline", "workers": workers} | SHARED
        (run / "spec.json").write_text(json.dumps(spec | asked))
    write_results(runs, tmp_path / "results")
    page = (tmp_path / "results" / "summary.md").read_text()
    assert "**Conditions differ** between these runs: trials at a time: 1; 4." in page
    assert "**A shared study**: others' trials guided gp-s1, tpe-s1." in page
