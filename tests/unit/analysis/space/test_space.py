"""The gain inside and outside the search space: parts, shares, order, findings and figures."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from runner import options
from runner.analysis.report import Context, Report, Settings
from runner.analysis.space import report
from runner.analysis.space.kept import kept_changes
from runner.analysis.space.parts import Space, search_space
from runner.analysis.space.report import explorers
from runner.analysis.space.shares import by_run, mean_share, order_test
from runner.options import RunOptions
from runner.spec import Budget, Knob, Proposer
from runner.tasks import load_space, load_task
from tests.unit.analysis.drawn import drawn
from tests.unit.analysis.tables import knob_rows
from tests.unit.analysis.tables_of_runs import context_of, run_rows

SPACE = Space(load_space(load_task("pystdlib")), "the task")
INSIDE = {"knobs_changed": json.dumps({"DEPTH": [4, 2]})}
OUTSIDE = {"knobs_changed": "{}", "other_changes": True}
# Kept inside and outside, and the gain of each in thousandths: the AutoResearch study's three rows.
STUDY = [(15, 2, 990, 10), (16, 11, 770, 230), (12, 19, 570, 430)]


def changed(*pairs: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Fields of a trial that changed these knobs."""
    together = {name: change for pair in pairs for name, change in pair.items()}
    return {"knobs_changed": json.dumps(together), **more}


def kept_of(context: Context, space: Space = SPACE) -> dict[int, dict[str, Any]]:
    """Trial → its kept change."""
    rows = kept_changes(context, space).to_dict("records")
    return {row["trial"]: row for row in rows}


def study() -> Context:
    """Three agents whose ledgers have the published counts and sums."""
    runs = []
    for agent, (inside, outside, gain_in, gain_out) in enumerate(STUDY):
        gains = [gain_in / inside] * inside + [gain_out / outside] * outside
        values = [2.0]
        fields: list[dict[str, Any]] = [{}]
        for number, gain in enumerate(gains):
            values.append(values[-1] - gain / 1000)
            fields.append(INSIDE if number < inside else OUTSIDE)
        runs.append(run_rows(f"agent-{agent}-s1", values, trials=fields))
    return context_of(runs)


def test_the_study_comes_out_of_a_ledger_with_its_sums() -> None:
    """Kept 15/2, 16/11, 12/19 with 99, 77 and 57 % inside: the mean is 78 %."""
    context = study()
    runs = by_run(context, kept_changes(context, SPACE))
    assert list(zip(runs["inside"], runs["outside"], strict=True)) == [(15, 2), (16, 11), (12, 19)]
    assert list(runs["inside share"].round(9)) == [0.99, 0.77, 0.57]
    mean, low, high = mean_share(runs["inside share"], Settings()) or (0.0, 0.0, 0.0)
    assert round(mean, 2) == 0.78
    assert 0.57 <= low < mean < high <= 0.99


def test_a_change_of_both_kinds_is_divided_evenly_among_its_parts() -> None:
    """Two knobs inside, one that the space lacks, and other code: half of the gain is inside."""
    both = changed({"DEPTH": [4, 2], "MATRIX_LR": [0.04, 0.05], "SOFTCAP": [15, 10]})
    both["other_changes"] = True
    kept = kept_of(context_of([run_rows("gpt-s1", [3.0, 2.0], trials=[{}, both])]))
    assert kept[2]["kind"] == "both"
    assert kept[2]["parts inside"] == ("DEPTH", "MATRIX_LR")
    assert kept[2]["parts outside"] == ("SOFTCAP", "other code")
    assert (kept[2]["gain inside"], kept[2]["gain outside"]) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("name", "value", "inside"),
    [
        ("DEPTH", 8, True), ("DEPTH", 9, False), ("DEPTH", 2.5, False), ("DEPTH", True, False),
        ("MATRIX_LR", 0.2, True), ("MATRIX_LR", 0.21, False), ("MATRIX_LR", "fast", False),
        ("WINDOW_PATTERN", "SSLL", True), ("WINDOW_PATTERN", "SSSSL", False),
        ("SOFTCAP", 15, False),
    ],
)  # fmt: skip
def test_a_value_beyond_the_range_is_outside(name: str, value: Any, inside: bool) -> None:
    """No baseline can give a knob a value that its range lacks."""
    assert SPACE.holds(name, value) is inside


def test_gains_are_over_the_best_kept_one_and_sum_to_first_less_best() -> None:
    """A kept change that is worse gains nothing, nor does a crash, nor a best that was reverted."""
    fields = [{}, INSIDE, {**INSIDE, "kept": True}, INSIDE, {**OUTSIDE, "kept": False}, INSIDE]
    values = [3.0, 2.5, 2.7, None, 1.0, 2.0]
    fields[5] = {**INSIDE, "kept": True}
    context = context_of([run_rows("gpt-s1", values, trials=fields)])
    kept = kept_of(context)
    assert {trial: row["gain"] for trial, row in kept.items()} == {2: 0.5, 3: 0.0, 6: 0.5}
    assert any("1 trials were the best so far" in text for text in report(context).left_out)


def test_changes_since_the_best_kept_one_are_followed_over_all_parents() -> None:
    """A knob that a reverted parent changed counts, unless it was set back."""
    fields: list[dict[str, Any]] = [
        {},
        changed({"DEPTH": [4, 2], "MATRIX_LR": [0.04, 0.05]}, kept=False),
        changed({"DEPTH": [2, 4], "SCALAR_LR": [0.5, 0.6]}, parent=2),
    ]
    kept = kept_of(context_of([run_rows("gpt-s1", [3.0, 2.5, 2.0], trials=fields)]))
    assert kept[3]["parts inside"] == ("MATRIX_LR", "SCALAR_LR")


def test_imported_settings_are_held_against_the_best_ones() -> None:
    """Without a record of changes, the settings of two trials tell; without settings, nothing."""
    unknown = {"other_changes": None, "parent": None}
    fields = {"kind": "imported", "trials": [unknown] * 3}
    run = run_rows("theirs-s1", [3.0, 2.5, 2.0], **fields)
    settings = knob_rows("theirs-s1", [{"DEPTH": 4, "X": 1}, {"DEPTH": 2, "X": 1}, {}])
    context = context_of([run], settings)
    kept = kept_of(context)
    assert (kept[2]["kind"], kept[2]["parts inside"]) == ("inside", ("DEPTH",))
    assert kept[3]["kind"] == "unknown"
    assert kept[3]["gain unattributed"] == 0.5
    assert any("say" in text and "1 kept" in text for text in report(context).left_out)


def test_an_unchanged_text_that_gains_is_noise_and_in_no_share() -> None:
    """The same code again, and better: the gain is neither inside nor outside."""
    context = context_of([run_rows("gpt-s1", [3.0, 2.0], trials=[{}, {}])])
    assert kept_of(context)[2]["kind"] == "unchanged"
    runs = by_run(context, kept_changes(context, SPACE))
    assert math.isnan(runs["inside share"][0])
    assert any("noise" in text for text in report(context).left_out)


def test_a_maximised_metric_gains_upward() -> None:
    """More is better: 0.5 → 0.7 gains 0.2, and negative values are values."""
    run = run_rows("gpt-s1", [-0.5, 0.7, 0.1], direction="maximize", trials=[{}, INSIDE, INSIDE])
    kept = kept_of(context_of([run]))
    assert {trial: row["gain"] for trial, row in kept.items()} == {2: 1.2}


def test_the_order_within_runs_is_tested() -> None:
    """Six gains inside, then six outside, in three runs: never so by chance; half as r is known."""
    trials = [{}, *[INSIDE] * 6, *[OUTSIDE] * 6]
    values = [float(20 - number) for number in range(13)]
    runs = [run_rows(f"gpt-s{seed}", values, trials=trials) for seed in (1, 2, 3)]
    context = context_of(runs)
    kept = kept_changes(context, SPACE)
    r, p, n = order_test(kept, Settings(resamples=999)) or (0.0, 1.0, 0)
    assert n == 36
    assert r == pytest.approx(-3 / math.sqrt(143 / 12))  # of ranks 1…12 and their upper half
    assert p == pytest.approx(0.001)
    texts = [finding.text for finding in report(context).findings]
    assert any("came earlier than" in text for text in texts)


def test_no_order_is_tested_where_all_changes_are_alike() -> None:
    """Five changes, or changes of one kind only, give no p."""
    few = context_of([run_rows("gpt-s1", [3.0, 2.0, 1.0], trials=[{}, INSIDE, OUTSIDE])])
    alike = context_of(
        [run_rows("gpt-s1", [9.0 - n for n in range(9)], trials=[{}, *[INSIDE] * 8])]
    )
    for context in (few, alike):
        assert order_test(kept_changes(context, SPACE), Settings()) is None
        findings = report(context).findings
        assert [finding.told for finding in findings] == [False, False]
        assert "p =" not in " ".join(finding.text for finding in findings)


def test_a_task_that_is_not_known_has_the_knobs_of_its_baselines() -> None:
    """Their names are the space; without a baseline it cannot be told."""
    theirs = {"task": "somebody's"}
    agent = run_rows("gpt-s1", [3.0, 2.0], trials=[{}, INSIDE], **theirs)
    baseline = run_rows("tpe-s1", [3.0, 2.0], kind="baseline", **theirs)
    known = context_of([agent, baseline], knob_rows("tpe-s1", [{"DEPTH": 4}, {"DEPTH": 70}]))
    space = search_space(known)
    assert space is not None
    assert space.holds("DEPTH", 10_000)
    assert not space.holds("WIDTH", 1)
    unknown = report(context_of([agent]))
    assert [finding.told for finding in unknown.findings] == [False]
    assert unknown.tables == ()
    assert unknown.figures == ()


def test_a_space_that_all_baselines_were_given_goes_before_the_tasks(tmp_path: Path) -> None:
    """Theirs has a knob that the task's lacks; beside a baseline with the task's it counts not."""
    knob = Knob(type="float", low=1e3, high=1e5, default=1e4)
    runs = []
    for name, space in (("tpe-s1", {"ROPE_BASE": knob}), ("gp-s1", None)):
        spec = options.baseline_run(name.partition("-")[0], RunOptions(), Budget(trials=2))
        (tmp_path / name).mkdir()
        (tmp_path / name / "spec.json").write_text(
            spec.model_copy(update={"space": space}).model_dump_json()
        )
        runs.append(run_rows(name, [3.0, 2.0], kind="baseline", path=str(tmp_path / name)))
    agent = run_rows("gpt-s1", [3.0, 2.0], trials=[{}, INSIDE])
    given = search_space(context_of([agent, runs[0]]))
    assert given is not None
    assert "SPACE" in given.source
    assert given.holds("ROPE_BASE", 2e4)
    assert not given.holds("DEPTH", 4)
    mixed = search_space(context_of([agent, *runs]))
    assert mixed is not None
    assert "search_space.toml" in mixed.source
    assert mixed.holds("DEPTH", 4)


def hostile() -> Context:
    """Names that mean something to a browser, to TeX and to a spreadsheet."""
    names = ["<script>", "$x$", "=cmd()", "_hidden", "Ωmega ü"]
    runs = [run_rows(f"{n}-s1", [3.0, 2.0, 1.5], trials=[{}, INSIDE, OUTSIDE]) for n in names]
    return context_of(runs)


def crowd() -> Context:
    """200 contestants."""
    return context_of(
        [run_rows(f"c{n}-s1", [3.0, 2.0 - n / 1000], trials=[{}, INSIDE]) for n in range(200)]
    )


def test_a_baseline_that_is_given_no_space_can_leave_it(tmp_path: Path) -> None:
    """One that rewrites texts or proposes its space; the space is that of the others."""
    knobs = load_space(load_task("pystdlib")) | {"SOFTCAP": Knob(type="int", default=3)}
    runs = []
    for method in ("tpe", "llm-code", "llm-space", "centaur"):
        asked = Proposer(method=method, provider="openai", model="m")
        spec = options.baseline_run("tpe", RunOptions(), Budget(trials=2))
        is_sampler, takes_space = method == "tpe", method in ("tpe", "centaur")
        spec = spec.model_copy(
            update={
                "proposer": None if is_sampler else asked,
                "space": knobs if takes_space else None,
            }
        )
        folder = tmp_path / f"{method}-s1"
        folder.mkdir()
        (folder / "spec.json").write_text(spec.model_dump_json())
        trials = [{}, OUTSIDE]
        runs.append(
            run_rows(folder.name, [3.0, 2.0], kind="baseline", path=str(folder), trials=trials)
        )
    context = context_of(runs)
    assert sorted(explorers(context)) == ["llm-code", "llm-space"]
    space = search_space(context)
    assert space is not None
    assert "SOFTCAP" in space.knobs


CONTEXTS = {
    "one trial": lambda: context_of([run_rows("gpt-s1", [3.0])]),
    "all failed": lambda: context_of([run_rows("gpt-s1", [None, None])]),
    "all equal": lambda: context_of([run_rows("gpt-s1", [3.0] * 9, trials=[INSIDE] * 9)]),
    "baselines only": lambda: context_of([run_rows("tpe-s1", [3.0, 2.0], kind="baseline")]),
    "unreadable changes": lambda: context_of(
        [run_rows("gpt-s1", [3.0, 2.0], trials=[{}, {"knobs_changed": "[1]"}])]
    ),
    "hostile names": hostile,
    "a crowd": crowd,
}


@cache
def reported(name: str) -> Report:
    """The report on one of these contexts, made once for all tests; its figures are drawn."""
    return drawn(report, CONTEXTS[name]())


@pytest.mark.parametrize("name", CONTEXTS)
def test_every_context_gives_a_report_that_can_be_drawn(name: str) -> None:
    """Whatever the runs are, there are findings, and each figure can be drawn."""
    found = reported(name)
    assert found.findings
    assert all(figure.text and figure.caption for figure in found.figures)
    assert {table.name for table in found.tables} >= {finding.source for finding in found.findings}


def test_a_crowd_is_cut_to_the_best_twelve() -> None:
    """The figure shows twelve, and its caption says so."""
    shares, over_time = reported("a crowd").figures
    assert len(shares.drawn.axes[0].get_yticks()) == 12
    assert "The best 12 of 200 contestants are shown." in shares.caption
    assert "c199" in shares.text
    assert "The best 12 of 200" in over_time.caption


def test_findings_say_how_much_is_inside() -> None:
    """Three runs give a mean with its interval; fewer give what was seen, and no claim."""
    trials = [{}, INSIDE, OUTSIDE]
    runs = [run_rows(f"gpt-s{n}", [3.0, 2.0, 1.0 + n / 10], trials=trials) for n in (1, 2, 3)]
    told, *_ = report(context_of(runs)).findings
    assert told.told
    assert told.n == 3
    assert told.text.startswith("gpt: 56 % of the gain".replace(" %", "%"))
    untold, *_ = report(context_of(runs[:2])).findings
    assert not untold.told
    assert "53% and 56%" in untold.text
