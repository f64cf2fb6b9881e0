"""What a reader is told first: whose values, which conditions, how many, what was left out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from runner.analysis.comparison import Remark, Section
from runner.analysis.output import honesty
from runner.analysis.report import Context, Finding
from runner.records.imported import ForeignMetric, Imported, ImportedRun, LeftOut
from runner.records.schema import SPACE
from tests.analysis_rig import context


def remarks(made: Context, *sections: Section) -> tuple[Remark, ...]:
    return honesty.remarks(made, sections)


def said(made: Context, words: str, *sections: Section) -> Remark | None:
    """The one remark that has these words, if there is one."""
    found = [remark for remark in remarks(made, *sections) if words in remark.text]
    assert len(found) < 2
    return found[0] if found else None


def test_numbers_are_said() -> None:
    """Runs, contestants, trials, values, and the seeds of a contestant."""
    made = context(
        {"run": "tpe-s1"}, {"run": "tpe-s2", "seed": 2}, {"run": "gp-s1", "contestant": "gp"},
        trials=[{"run": "tpe-s1", "trial": 1, "value": 2.0}, {"run": "tpe-s1", "trial": 2}],
    )  # fmt: skip
    texts = [remark.text for remark in remarks(made)]
    assert "3 runs of 2 contestants, with 2 trials, of which 1 has a value." in texts
    assert "Seeds of a contestant (n): between 1 and 2." in texts
    single = said(made, "one seed only")
    assert single is not None
    assert single.serious
    assert single.text.startswith("1 of 2 contestants")


def test_serious_remarks_come_first() -> None:
    """A reader who stops early has read what may change the figures' meaning."""
    order = [remark.serious for remark in remarks(context({"run": "tpe-s1"}))]
    assert order == sorted(order, reverse=True)
    assert set(order) == {True, False}


def test_a_run_that_tried_every_setting_is_no_unfinished_one() -> None:
    """It cannot use its budget, and that is said in other words."""
    made = context({"ended_by": SPACE, "budget_share": 0.1})
    assert said(made, "used less than") is None
    tried = said(made, "1 run tried every setting of the search space")
    assert tried is not None
    assert not tried.serious


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ({"rehearsed": True}, {}, "1 of 2 runs rehearsed"),
        ({"unsafe": True}, {}, "1 of 2 runs went on although their lock was not shown to hold"),
        ({"judged": False}, {}, "The values of 1 run are unjudged"),
        ({"trial_seconds": 5.0}, {}, "The training time of a trial differs: 5, 60 seconds"),
        ({"budget": '{"usd": 2.0}'}, {}, "The budgets differ: 2 usd; 3 trials"),
        ({"budget_share": 0.5}, {}, "1 run used less than 99% of each budget: a-s1"),
        ({"best": None}, {}, "1 run measured nothing: a-s1"),
        ({}, {"run": "b-s1", "seed": 1}, "Several runs have the same contestant and seed"),
        ({"path": "RUN-a"}, {"path": "RUN-b"}, "The runs had 2 machines."),
    ],
)
def test_what_is_unequal_is_said(
    tmp_path: Path, one: dict[str, Any], other: dict[str, Any], words: str
) -> None:
    """Each kind of inequality is a serious remark, and equal runs have none of it."""
    for name in ("RUN-a", "RUN-b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "spec.json").write_text(json.dumps({"versions": {"machine": name}}))

    def placed(run: dict[str, Any]) -> dict[str, Any]:
        return run | ({"path": str(tmp_path / run["path"])} if "path" in run else {})

    base = {"run": "b-s2", "seed": 2}
    unequal = said(context(placed({"run": "a-s1"} | one), placed(base | other)), words)
    assert unequal is not None
    assert unequal.serious
    assert said(context({"run": "a-s1"}, base), words) is None


@pytest.mark.parametrize("spec", ["", "{", "[]", '{"versions": 3}', '{"versions": {"images": []}}'])
def test_a_broken_spec_says_nothing(tmp_path: Path, spec: str) -> None:
    """Conditions that are not known are not said to differ."""
    (tmp_path / "spec.json").write_text(spec)
    made = context({"run": "a-s1", "path": str(tmp_path)}, {"run": "a-s2", "seed": 2})
    assert said(made, "The runs had") is None


def test_a_small_gap_is_held_against_the_noise() -> None:
    """0.004 at a σ of 0.01 is 0.4 σ, which is serious; 0.04 is not."""
    for best, words, serious in ((2.004, "0.4 σ", True), (2.04, "4.0 σ", False)):
        runs = [
            {"run": "tpe-s1", "noise_sd": 0.01, "best": 2.0},
            {"run": "gp-s1", "contestant": "gp", "noise_sd": 0.01, "best": best},
        ]
        gap = said(context(*runs), "of the seed noise")
        assert gap is not None
        assert words in gap.text
        assert gap.serious is serious
        assert said(context(*runs), "noise floor") is None


def test_a_maximised_metric_has_its_gap_from_above() -> None:
    """The two highest values are the best two."""
    runs = [
        {"run": f"c{value}-s1", "contestant": f"c{value}", "noise_sd": 1.0, "best": float(value),
         "direction": "maximize"}
        for value in (1, 5, 9)
    ]  # fmt: skip
    gap = said(context(*runs), "of the seed noise")
    assert gap is not None
    assert gap.text == (
        "The best values of c9 and c5 differ by 4: 4.0 σ of the seed noise (z = 2.8, as both "
        "values have noise)."
    )


def test_a_model_without_a_price_is_said() -> None:
    """Its requests count as nothing, so that the dollars of its runs are too few."""
    made = context({"run": "gpt-s1"}, {"run": "tpe-s1"})
    assert said(made, "price is not known") is None
    requests = pd.DataFrame({"run": ["gpt-s1"], "tokens": [7], "usd": [0.0]})
    found = said(replace(made, frames=replace(made.frames, requests=requests)), "price is not")
    assert found is not None
    assert found.serious
    assert found.text.startswith("1 run asked a model")
    assert found.text.endswith("gpt-s1.")


def test_an_unknown_noise_is_said() -> None:
    """With the command that measures it; nothing here measures that of an import."""
    for kind, measurable in (("baseline", True), ("imported", False)):
        unknown = said(context({"run": "tpe-s1", "kind": kind}), "noise floor")
        assert unknown is not None
        assert ("`make noise`" in unknown.text) is measurable


def test_an_import_says_what_was_assumed_and_left_out(tmp_path: Path) -> None:
    """Where it comes from, what was taken to be so, and the reasons by number."""
    imported = Imported(
        name="theirs", source="results.tsv", sha256="0", format="tsv", rows=5,
        runs=[ImportedRun(
            run="a", contestant="a", metric=ForeignMetric(name="acc", direction="maximize", by="")
        )],
        assumed=["more is better"],
        left_out=[
            *(LeftOut(line=n, raw="x", reason="no value") for n in (2, 3)),
            LeftOut(line=1, raw="# a remark", reason="a remark", row=False),
        ],
    )  # fmt: skip
    (tmp_path / "import.json").write_text(imported.model_dump_json())
    made = context({"run": "theirs/a", "kind": "imported", "path": str(tmp_path), "judged": False})
    texts = [remark.text for remark in remarks(made)]
    assert "Imported from results.tsv (tsv, 5 rows, 2 left out)" in texts[1]
    assert "theirs: assumed: more is better" in texts
    assert "theirs: 2 rows left out: no value." in texts
    assert said(made, "unjudged") is None


def test_reports_say_what_they_left_out() -> None:
    """And the number of findings stands beside the warning of chance."""
    section = Section(
        "seeds", "Many seeds", findings=(Finding("a", "t", 3),), left_out=("tpe: two seeds",)
    )
    made = context({"run": "tpe-s1"})
    assert said(made, "Many seeds: left out: tpe: two seeds", section) is not None
    assert said(made, "among 1 finding, some small p-values", section) is not None


def test_many_names_are_counted() -> None:
    """A sentence names six runs at most."""
    many = [{"run": f"r{n}", "seed": n, "rehearsed": True} for n in range(9)]
    remark = said(context(*many), "rehearsed")
    assert remark is not None
    assert remark.text.endswith("r0, r1, r2, r3, r4, r5 and 3 more.")


def test_other_devices_and_a_shared_study_are_said(tmp_path: Path) -> None:
    """They are read from the specs of the runs."""
    for name, more in (("a-s1", {"cpu_sets": 2}), ("b-s1", {"study": "night-3"})):
        (tmp_path / name).mkdir()
        spec = {"kind": "baseline", "run_id": name} | more
        (tmp_path / name / "spec.json").write_text(json.dumps(spec))
    made = context(*({"run": run, "path": str(tmp_path / run)} for run in ("a-s1", "b-s1")))
    for words in ("differ in devices: 2 sets of cores; all cores.", "1 run took part in a shared"):
        remark = said(made, words)
        assert remark is not None
        assert remark.serious
