"""Logs in the layouts of strangers become trials; every row is accounted for."""

from __future__ import annotations

import json

import pytest

from runner.errors import UserError
from runner.imports.asked import Asked
from tests.unit.imports.conftest import Read

HEADER = "commit\tval_bpb\tmemory_gb\tstatus\tdescription"
LOG = f"""{HEADER}
aaaaaa1\t1.90\t10.4\tkeep\tbaseline
aaaaaa2\t0.000000\t0.0\tcrash\ttoo wide, OOM
aaaaaa3\t1.95\t10.4\tdiscard\tless decay
aaaaaa4\t1.80\t10.5\tkeep\tmore heads
"""


def test_a_common_log(read: Read) -> None:
    """Values, statuses, what was kept, and the cells that have no place of their own."""
    imported, trials = read(LOG)
    assert [trial.value for trial in trials] == [1.9, None, 1.95, 1.8]
    assert [trial.status for trial in trials] == ["ok", "crash", "ok", "ok"]
    assert [trial.kept for trial in trials] == [True, None, False, True]
    assert [trial.line for trial in trials] == [2, 3, 4, 5]
    assert [trial.trial for trial in trials] == [1, 2, 3, 4]
    assert (trials[3].commit, trials[3].change) == ("aaaaaa4", "more heads")
    assert trials[3].other == {"memory_gb": "10.5"}
    assert trials[1].other["val_bpb"] == "0.000000"
    (run,) = imported.runs
    assert (run.contestant, run.seed, run.run) == ("log", 0, "log-s0")
    assert (run.metric.name, run.metric.direction, run.metric.by) == ("val_bpb", "minimize", "name")
    assert (imported.format, imported.rows, imported.left_out) == ("table with tabs", 4, [])


def test_what_was_assumed_is_said(read: Read) -> None:
    """The column, the direction, the contestant and the seed; nothing that was asked for."""
    imported, _ = read(LOG)
    said = "\n".join(imported.assumed)
    for part in ("'val_bpb': by its name", "lower 'val_bpb'", "is called 'log'", "the seed is 0"):
        assert part in said
    asked = Asked("mine", "val_bpb", "maximize", "me", "glyphs")
    imported, _ = read(LOG, asked)
    assert imported.assumed == ["the seed is 0: no column says it"]
    (run,) = imported.runs
    assert (imported.name, run.contestant, run.task) == ("mine", "me", "glyphs")
    assert (run.metric.direction, run.metric.by) == ("maximize", "asked")


def test_another_column_may_be_asked_for(read: Read) -> None:
    """However it is written; of one that is not there, the known ones are told."""
    imported, trials = read(LOG, Asked(metric="Memory GB"))
    assert [trial.value for trial in trials] == [10.4, None, 10.4, 10.5]
    assert trials[0].other == {"val_bpb": "1.90"}
    assert imported.runs[0].metric.column == "memory_gb"
    with pytest.raises(UserError, match="no column 'val_bbp'") as failed:
        read(LOG, Asked(metric="val_bbp"))
    assert "did you mean val_bpb?" in failed.value.hint


def test_a_zero_that_nobody_kept_is_no_record(read: Read) -> None:
    """Programs write 0 where nothing was measured, whatever the status says."""
    rows = "".join(f"bbbbbb{at}\t{2 - at / 10}\t1\tkeep\tx\n" for at in range(6))
    imported, trials = read(f"{HEADER}\n{rows}ccccccc\t0.0\t0\tdiscard\tstopped early\n")
    assert trials[-1].value is None
    assert any("1 rows have no value but a 0" in each for each in imported.assumed)
    _, trials = read(f"{HEADER}\n{rows}ccccccc\t0.0\t0\tkeep\tperfect\n")
    assert trials[-1].value == 0.0
    for figures in ([at**2 / 100 for at in range(9, 0, -1)], [9, 7, 5, 3, 2]):
        near = "".join(f"bbbbbbb\t{figure}\t1\tkeep\tx\n" for figure in figures)
        _, trials = read(
            f"{HEADER}\n{near}ccccccc\t0\t0\tdiscard\tx\n".replace("val_bpb", "errors")
        )
        assert trials[-1].value == 0.0


def test_notes_between_rows_are_left_out_as_no_rows(read: Read) -> None:
    """A comment and a sentence are no rows; a row of too many cells is one."""
    notes = "# the second day\nNOTE: the machine is another one\nzzz\t1\t2\t3\t4\t5\t6\t7\n"
    imported, trials = read(LOG + notes)
    assert (len(trials), imported.rows) == (4, 5)
    assert [(each.line, each.row) for each in imported.left_out] == [
        (6, False),
        (7, False),
        (8, True),
    ]


def test_rows_of_a_second_shape_are_read_where_one_column_varies(read: Read) -> None:
    """Their value is in the only column of numbers with decimals that vary."""
    shapes = "".join(
        f"r{at}\tevo\tdepth_2\tstaged\t{200 + at * 1.25}\tset {at}\tx\n" for at in range(6)
    )
    imported, trials = read(LOG + shapes)
    assert [trial.value for trial in trials[4:]] == [200 + at * 1.25 for at in range(6)]
    assert any("6 rows: 7 cells" in each for each in imported.assumed)
    two = shapes.replace("\tstaged\t", "\t7.125\t").replace("depth_2", "2")
    assert len(read(LOG + two)[1]) == 10
    both = "".join(f"r{at}\ta\tb\t{at * 1.5}\t{at * 2.5}\tset\tx\n" for at in range(6))
    assert len(read(LOG + both)[1]) == 4


def test_a_log_without_a_header(read: Read) -> None:
    """Its columns are told by what they hold."""
    rows = "".join(
        f"HEAD\tbig-model\t{30 + at * 0.75}\t{'keep' if at % 2 else 'discard'}\ttry {at}\n"
        for at in range(8)
    )
    imported, trials = read(rows)
    assert [trial.value for trial in trials] == [30 + at * 0.75 for at in range(8)]
    assert imported.runs[0].metric.column == "column_3"


def test_a_header_alone(read: Read) -> None:
    """There are no trials, and the metric is told by its name."""
    imported, trials = read("id\tcommit\thypothesis\tval_bpb\tstatus\n")
    assert (trials, imported.rows) == ([], 0)
    assert imported.runs[0].metric.name == "val_bpb"
    assert imported.runs[0].metric.direction == "minimize"


def test_a_log_without_figures(read: Read) -> None:
    """Gates that pass or fail are trials without values."""
    imported, trials = read("commit\tstatus\ttests\tdescription\naaaaaa1\tkept\tpass\tx\n" * 1)
    assert (len(trials), trials[0].value, trials[0].kept) == (1, None, True)
    assert "no column holds a metric: the trials have no values" in imported.assumed
    assert imported.runs[0].metric.by == "assumed"


def test_what_is_no_log_has_no_trials(read: Read) -> None:
    """A dump of another table is left out, row by row."""
    imported, trials = read("ID\tANIMAL_ID\tLAB_ID\n12\t3\t5\n13\t4\t5\n")
    assert trials == []
    assert [each.line for each in imported.left_out] == [1, 2, 3]


def test_tables_of_markdown(read: Read) -> None:
    """Tables with the metric's column are read; prose and other tables are left out as no rows."""
    text = """# Log
Direction: minimize
| Exp | Points | What | Result |
|---|---|---|---|
| 0 | 15.5 | baseline | KEEP (baseline) |
| 1 | 13,000.5 | wide | REVERT |
| 2 | FAIL | deep | REVERT |

| Exp | Result | Notes |
|---|---|---|
| 3 | PASS | a rename |

| Kernel | Points | Status |
|---|---|---|
| fused | 12.5 | correct |

| Goal | Who |
|---|---|
| speed | all |
"""
    imported, trials = read(text, name="log.md")
    assert [trial.value for trial in trials] == [15.5, 13000.5, None, 12.5]
    assert [trial.status for trial in trials] == ["ok", "ok", "crash", "ok"]
    assert imported.rows == 4
    assert {each.line for each in imported.left_out} == {1, 2, 11, 17, 19}
    assert (imported.runs[0].metric.direction, imported.runs[0].metric.by) == (
        "minimize",
        "stated",
    )


CONFIG = '{"type":"config","metricName":"solve_s","bestDirection":"lower"}'


def _json_row(run: int, metric: float, status: str = "keep") -> str:
    return json.dumps({"run": run, "metric": metric, "status": status, "description": "x",
                       "timestamp": 1767225600000 + run, "metrics": {"total_s": 9.5}})  # fmt: skip


def test_json_lines_with_a_line_of_settings(read: Read) -> None:
    """The settings name the metric and its direction, and are no row."""
    lines = [CONFIG, _json_row(1, 11.5), _json_row(2, 0, "crash"), _json_row(3, 10.25)]
    imported, trials = read("\n".join(lines), name="log.jsonl")
    assert [trial.value for trial in trials] == [11.5, None, 10.25]
    metric = imported.runs[0].metric
    assert (metric.name, metric.column, metric.direction, metric.by) == (
        *("solve_s", "metric", "minimize", "stated"),
    )
    assert [(each.line, each.row) for each in imported.left_out] == [(1, False)]
    assert trials[0].at.startswith("2026-01-01T00:00:00")
    assert trials[0].other["metrics.total_s"] == "9.5"


def test_a_metric_that_changes_midway_makes_another_run(read: Read) -> None:
    """Values of two metrics do not compare; each has its own direction."""
    other = CONFIG.replace("solve_s", "hits").replace("lower", "higher")
    lines = [CONFIG, _json_row(1, 11.5), _json_row(2, 11.0), other, _json_row(3, 70)]
    imported, trials = read("\n".join(lines), name="log.jsonl")
    assert [(run.metric.name, run.metric.direction) for run in imported.runs] == [
        ("solve_s", "minimize"),
        ("hits", "maximize"),
    ]
    assert [trial.run for trial in trials].count(imported.runs[1].run) == 1
    assert [trial.trial for trial in trials] == [1, 2, 1]


def test_a_column_that_names_the_metric_of_each_row(read: Read) -> None:
    """Each name makes a run of its own."""
    rows = [("coverage", "86%")] * 3 + [("tests", "50/50"), ("tests", "60/60"), ("tests", "70/70")]
    text = "commit\tmetric\tvalue\tstatus\n" + "".join(f"a\t{m}\t{v}\tkeep\n" for m, v in rows)
    imported, trials = read(text)
    assert [run.metric.name for run in imported.runs] == ["coverage", "tests"]
    assert [trial.value for trial in trials] == [86, 86, 86, 50, 60, 70]


def test_objects_over_many_lines_and_an_objective(read: Read) -> None:
    """The objective names a nested figure; an infinity is no figure."""
    items = [
        {"exp_id": f"e{at}", "objective": "recall", "status": "keep",
         "metrics": {"latency_ms": 20.5, "recall": at / 10, "cost": float("inf")}}
        for at in range(4)
    ]  # fmt: skip
    text = "\n".join(json.dumps(item, indent=2) for item in items)
    imported, trials = read(text, name="log.jsonl")
    assert [trial.value for trial in trials] == [0.0, 0.1, 0.2, 0.3]
    assert imported.runs[0].metric.column == "metrics.recall"
    assert imported.runs[0].metric.direction == "maximize"


def test_a_document_that_holds_its_trials_in_a_list(read: Read) -> None:
    """What stands beside the list says what is measured."""
    own = [{"trial": at, "loss": 3 - at, "params": {"lr": 0.1}} for at in (0, 1)]
    whole = {"metric": "loss", "direction": "minimize", "trials": own}
    imported, trials = read(json.dumps(whole), name="all.json")
    assert [trial.value for trial in trials] == [3.0, 2.0]
    assert trials[0].knobs == {"lr": 0.1}
    assert imported.runs[0].metric.by == "stated"
    more = {**whole, "baselines": [{"trial": 9, "loss": 4.0}]}
    _, trials = read(json.dumps(more), name="more.json")
    assert [trial.value for trial in trials] == [3.0, 2.0, 4.0]


def test_the_best_so_far_tells_the_metric_and_its_direction(read: Read) -> None:
    """Of two figures that nobody knows by name, the one whose best stands in another column."""
    values, best, text = [5.5, 4.5, 6.5, 3.5, 7.5], 99.0, "iter,alpha,beta,best,kept\n"
    for at, value in enumerate(values):
        keep = value < best
        best = min(best, value)
        text += f"{at},{at * 1.25},{value},{best},{keep}\n"
    imported, trials = read(text, name="log.csv")
    metric = imported.runs[0].metric
    assert (metric.column, metric.direction, metric.by) == ("beta", "minimize", "best so far")
    assert [trial.value for trial in trials] == values


def test_settings_as_json_in_a_cell(read: Read) -> None:
    """They are the trial's knobs."""
    text = 'experiment\tscore\tkept\tparams\n1\t75.5\tTrue\t{"min_df": 2, "norm": "l2"}\n'
    _, trials = read(text)
    assert trials[0].knobs == {"min_df": 2, "norm": "l2"}


def test_wide_rows_lose_no_cell(read: Read) -> None:
    """Three hundred columns, two of them with one name."""
    names = [f"figure_{at}" for at in range(300)]
    header = "\t".join(["experiment", "score", "status", *names, "figure_0"])
    row = "\t".join(["1", "0.5", "keep", *map(str, range(300)), "again"])
    _, trials = read(f"{header}\n{row}\n")
    assert trials[0].other["figure_299"] == "299"
    assert trials[0].other["figure_0_2"] == "again"


def test_hostile_names_stay_text(read: Read) -> None:
    """Markup, formulas and other scripts come back as they were."""
    text = "method,seed,val_loss\n<script>alert(1)</script>,0,1.5\n=cmd|x,0,2.5\n$x$ 模型,0,3.5\n"
    imported, _ = read(text, name="finals.csv")
    assert [run.contestant for run in imported.runs] == [
        *("<script>alert(1)</script>", "=cmd|x", "$x$ 模型"),
    ]
    assert all("/" not in run.run and "<" not in run.run for run in imported.runs)


def test_a_spreadsheets_utf_16(read: Read) -> None:
    """It is read as the same text in UTF-8."""
    _, trials = read(LOG.encode("utf-16"))
    assert [trial.value for trial in trials] == [1.9, None, 1.95, 1.8]


@pytest.mark.parametrize(
    ("header", "column", "direction"),
    [
        ("experiment,latency (lower is better),status", "latency", "minimize"),
        ("experiment,bits ↓,status", "bits_↓", "minimize"),
        ("experiment,points ↑,status", "points_↑", "maximize"),
        ("lr,loss,status", "loss", "minimize"),
        ("lr,loss,Kept?", "loss", "minimize"),
        ("实验,指标,状态", "指标", "maximize"),
    ],
)
def test_headers_of_other_kinds(read: Read, header: str, column: str, direction: str) -> None:
    """Arrows, remarks, question marks and other languages; a count of rows is no metric."""
    imported, trials = read(f"{header}\n1,2.5,keep\n2,2.75,keep\n", name="log.csv")
    assert [trial.value for trial in trials] == [2.5, 2.75]
    metric = imported.runs[0].metric
    assert (metric.column, metric.direction) == (column, direction)


def test_a_table_of_models_in_markdown(read: Read) -> None:
    """A list of finals whose columns a log of experiments does not have."""
    rows = "| small | 2.5 | 3m |\n| **big** | **2.3** | 9m |\n"
    text = f"Text.\n\n| Model | Val Loss | Time |\n|---|---:|---|\n{rows}"
    imported, trials = read(text, name="table.md")
    assert [run.contestant for run in imported.runs] == ["small", "big"]
    assert [trial.value for trial in trials] == [2.5, 2.3]
    assert imported.format == "Markdown"
