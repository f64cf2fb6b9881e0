"""Imports and analyses with very many names: the time grows with their number, not its square.

Processor seconds are counted, which other load changes little; the bounds are several times what a
usual processor takes, and a fraction of what the square of the number would take.
"""

from __future__ import annotations

import time
from pathlib import Path

from runner.analysis.output.files import file_names
from runner.imports.asked import Asked
from runner.imports.foreign import read_foreign

METRICS, LINES, NAMES = 20_000, 12_000, 100_000
SECONDS = 40.0  # 3 to 4 for the log, 1 to 2 for the chart, under 1 for the names


def test_a_log_may_name_a_metric_every_other_row(tmp_path: Path) -> None:
    """Each of 20,000 metrics has its two values and its own direction."""
    path = tmp_path / "log.csv"
    rows = (f"loss {n // 2},{n % 7 + 0.5},keep\n" for n in range(2 * METRICS))
    path.write_text("metric_name,value,status\n" + "".join(rows))
    began = time.process_time()
    imported, trials = read_foreign(path, Asked())
    assert time.process_time() - began < SECONDS
    assert len(trials) == 2 * METRICS
    assert len({run.metric.name for run in imported.runs}) == METRICS


def test_a_chart_may_show_many_metrics(tmp_path: Path) -> None:
    """A chart of 12,000 lines, each of another metric, has a run a line."""
    path = tmp_path / "chart.csv"
    names = [f"a - loss {n}" for n in range(LINES)]
    header = ["Step", *(name + end for name in names for end in ("", "__MIN", "__MAX"))]
    rows = [",".join([str(step), *["1.5"] * (3 * LINES)]) for step in range(2)]
    path.write_text("\n".join([",".join(header), *rows]) + "\n")
    began = time.process_time()
    imported, trials = read_foreign(path, Asked())
    assert time.process_time() - began < SECONDS
    assert (len(imported.runs), len(trials)) == (LINES, 2 * LINES)


def test_files_of_many_like_names_differ() -> None:
    """Of 100,000 names without a letter that a file's name may have, each has a number."""
    began = time.process_time()
    names = file_names(chr(0x20000 + at) for at in range(NAMES))
    assert time.process_time() - began < SECONDS
    assert len(set(names.values())) == NAMES
