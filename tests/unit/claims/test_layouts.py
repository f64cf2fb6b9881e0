"""Logs as agents and people write them, each with a small likeness of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from runner.claims.claim import Claims
from runner.claims.reader import parse
from runner.metrics import Metric

BPB = Metric(name="val_bpb", direction="minimize", above=0.0, below=100.0)
SCORE = Metric(name="accuracy", direction="maximize")


@dataclass(frozen=True)
class Log:
    """A log, and what a person reads in it."""

    text: str
    values: list[float | None]
    outcomes: list[str]
    column: str = "val_bpb"
    unread: list[str] = field(default_factory=list)
    metric: Metric = BPB


LOGS = {
    "five columns of its own": Log(
        "commit\tval_bpb\tmemory_gb\tstatus\tdescription\n"
        "a1b2c3d\t1.250000\t11.2\tkeep\tas it came\n"
        "b2c3d4e\t0.000000\t0.0\tcrash\twider, out of memory\n"
        "c3d4e5f\t1.310000\t11.2\tdiscard\tno warm-up\n",
        [1.25, None, 1.31],
        ["keep", "crash", "revert"],
    ),
    "a metric of another name": Log(
        "exp_id\tsha\tscore\tbest_score\tkept\tnotes\n"
        "1\ta1b2c3d\t71.5\t71.5\tTrue\tstart\n"
        "2\tb2c3d4e\t70.25\t71.5\tFalse\twider\n",
        [71.5, 70.25],
        ["keep", "revert"],
        "score",
        metric=SCORE,
    ),
    "a metric whose name says nothing": Log(
        "id,commit,tok_s,mem_gb,decision\n1,a1b2c3d,9.3,4.0,KEPT\n2,b2c3d4e,9.1,4.0,REVERTED\n",
        [9.3, 9.1],
        ["keep", "revert"],
        "tok_s",
        metric=SCORE,
    ),
    "before and after": Log(
        "iteration,fitness_before,fitness_after,accepted\n1,0.5,0.61,1\n2,0.61,0.6,0\n",
        [0.61, 0.6],
        ["keep", "revert"],
        "fitness_after",
        metric=SCORE,
    ),
    "the metric's last word": Log(
        "experiment,final BPB,train_loss,status\n1,2.31,1.4,keep\n", [2.31], ["keep"], "final_bpb"
    ),
    "dressed numbers": Log(
        "exp;accuracy;status\n1;68.6%;KEEP (+7.1)\n2;1,271;keep\n3;3.7/5;NEW_BEST\n"
        "4;~0.5;reverted\n5;9.3s;keep\n6;**0.7**;ok\n",
        [68.6, 1271.0, 3.7, 0.5, 9.3, 0.7],
        ["keep", "keep", "keep", "revert", "keep", "keep"],
        "accuracy",
        metric=SCORE,
    ),
    "what is no value": Log(
        "exp,val_bpb,status\n1,-,OOM\n2,n/a,skip\n3,inf,keep\n4,2.5,skipped\n5,about 2 or 3,keep\n",
        [None] * 5,
        ["crash", "skip", "keep", "skip", "keep"],
    ),
    "notes between rows": Log(
        "# lower is better\n"
        "iter\tval_bpb\tstatus\tdescription\n"
        "1\t2.5\tbaseline\tstart\n"
        "NOTE: from here on with a longer warm-up\n"
        "2\t2.4\tkeep\twarm-up\n"
        "SUMMARY: it helped\n",
        [2.5, 2.4],
        ["keep", "keep"],
        unread=["a comment", "1 cells for 4 columns", "1 cells for 4 columns"],
    ),
    "a surplus in the last column": Log(
        "time\tstatus\tval_bpb\tlr\tdescription\n"
        "2026-01-01\tKEEP\t2.5\t0.1\tstart\n"
        "2026-01-02\tDISCARD\t2.6\t0.2\twider\tand deeper\n",
        [2.5, 2.6],
        ["keep", "revert"],
    ),
    "cells of another kind": Log(
        "commit,val_bpb,memory,status,description\n"
        "a1b2c3d,2.5,1.0,keep,start\n"
        "run_7,spsa,d2_e128,warm,eps1e-2,2.4,overfits\n",
        [2.5],
        ["keep"],
        unread=["7 cells for 5 columns"],
    ),
    "two headers": Log(
        "exp,val_bpb,status\n1,2.5,keep\nexp,status,val_bpb\n2,keep,2.4\n",
        [2.5, 2.4],
        ["keep", "keep"],
    ),
    "Markdown tables among prose": Log(
        "# My work\n\nI began with the code as it came.\n\n"
        "| Exp | Commit | val_bpb | Status |\n|----:|:---|---|---|\n"
        "| 1 | a1b2c3d | 2.5 | keep |\n| 2 | `b2c3d4e` | **2.4** | keep |\n\n"
        "| GPU | Memory |\n|---|---|\n| one | 80 |\n\nThen more:\n\n"
        "| Exp | Commit | val_bpb | Status |\n|---|---|---|---|\n| 3 | c3d4e5f | — | crash |\n",
        [2.5, 2.4, None],
        ["keep", "keep", "crash"],
        unread=[
            *["outside a table"] * 2,
            "the header of a table of other things",
            "in a table of other things",
            "outside a table",
        ],
    ),
    "JSON lines": Log(
        '{"type": "config", "metricName": "val_bpb", "bestDirection": "lower"}\n'
        '{"run": 1, "commit": "a1b2c3d", "metric": 2.5, "metrics": {"gb": 3}, "status": "keep"}\n'
        '{"run": 2, "commit": "b2c3d4e", "metric": 0, "metrics": {}, "status": "crash"}\n'
        '{"run": 3, "commit": "c3d4e5f", "metr\n',
        [2.5, None],
        ["keep", "crash"],
        "metric",
        unread=["an object that is no experiment", "no JSON object"],
    ),
    "JSON objects over many lines": Log(
        '{\n  "exp": 1,\n  "metrics": {\n    "val_bpb": 2.5\n  },\n  "status": "keep"\n}\n'
        '{\n  "exp": 2,\n  "metrics": {\n    "val_bpb": Infinity\n  },\n  "status": "crash"\n}\n',
        [2.5, None],
        ["keep", "crash"],
        "metrics.val_bpb",
    ),
    "a JSON list": Log(
        '[\n{"val_bpb": 2.5, "kept": true},\n{"val_bpb": 2.6, "kept": false}\n]\n',
        [2.5, 2.6],
        ["keep", "revert"],
    ),
    "no header, in the protocol's order": Log(
        "1,2026-01-01T09:00:00Z,a1b2c3d,h,other,c,2.5,,keep\n"
        "2,2026-01-01T09:10:00Z,b2c3d4e,h,other,c,,,crash\n",
        [2.5, None],
        ["keep", "crash"],
    ),
    "no header, in an order of its own": Log(
        "a1b2c3d\tbase\t17\t2.5\tkeep\nb2c3d4e\tbase\t17\t2.4\tkeep\nc3d4e5f\tbase\t17\t2.6\tdiscard\n",
        [2.5, 2.4, 2.6],
        ["keep", "keep", "revert"],
        "column_4",
    ),
    "nine cells of other things": Log(
        "one,two,three,four,five,six,2.31,0.5,nine\n" * 3,
        [],
        [],
        "",
        unread=["no header, and its cells do not show what they are"] * 3,
    ),
    "no header and two columns that may be the value": Log(
        "a1b2c3d\t2.5\t1.4\tkeep\nb2c3d4e\t2.4\t1.3\tkeep\n", [None, None], ["keep", "keep"], ""
    ),
    "a table of other things": Log(
        "ID,ANIMAL_ID,PLATFORM_ID\n293,1,18\n",
        [],
        [],
        "",
        unread=["no header, and its cells do not show what they are"] * 2,
    ),
    "unquoted commas in a text": Log(
        "experiment,timestamp,commit,hypothesis,category,change,val_bpb,delta,status\n"
        "1,2026-01-01,a1b2c3d,wider, and deeper, at once,other,WIDTH 2 -> 3,2.5,-0.1,keep\n",
        [2.5],
        ["keep"],
    ),
    "an unquoted comma that could be two things": Log(
        "commit,change,val_bpb,note,status\na1b2c3d,wider,2.5,2.4,keep,keep\n",
        [],
        [],
        unread=["6 cells for 5 columns"],
    ),
}


def read(log: Log) -> Claims:
    return parse(log.text.encode(), log.metric.name)


@pytest.mark.parametrize("name", LOGS)
def test_a_log_is_read_as_a_person_reads_it(name: str) -> None:
    """Its values, its statuses, the metric's column, and what was left unread with the reason."""
    log = LOGS[name]
    found = read(log)
    assert [row.value(log.metric) for row in found.rows] == log.values
    assert [row.outcome for row in found.rows] == log.outcomes
    assert found.value_column == log.column
    assert [line.reason for line in found.unread] == log.unread
    assert [row.row for row in found.rows] == list(range(1, len(found.rows) + 1))


@pytest.mark.parametrize("name", [name for name, log in LOGS.items() if log.unread])
def test_what_was_not_read_is_counted_with_its_reason(name: str) -> None:
    """The file's problems say how many rows, and why; each such line is kept with its place."""
    found = read(LOGS[name])
    (said,) = [problem for problem in found.problems if "were not read" in problem]
    assert said.startswith(f"{len(found.unread)} of ")
    lines = LOGS[name].text.splitlines()
    assert all(lines[each.line - 1].strip() for each in found.unread)


def test_a_column_of_another_name_is_named() -> None:
    """Who reads the comparison learns which column was taken for the metric."""
    found = read(LOGS["a metric whose name says nothing"])
    assert "'tok_s' was read as accuracy" in found.problems


def test_other_names_stand_under_the_protocols_columns() -> None:
    """`sha` is the commit, `exp_id` the experiment, `notes` the change; the rest stays apart."""
    row = read(LOGS["a metric of another name"]).rows[0]
    assert row.cells == {
        "experiment": "1", "commit": "a1b2c3d", "change": "start", "accuracy": "71.5",
        "status": "True",
    }  # fmt: skip
    assert row.other == {"best_score": "71.5"}
    assert row.line == 2


def test_a_running_best_is_never_the_value() -> None:
    """A log that holds the best so far alone claims no values."""
    found = parse(b"exp,best_val_bpb,status\n1,2.5,keep\n", "val_bpb")
    assert [row.value(BPB) for row in found.rows] == [None]
    assert found.value_column == ""
