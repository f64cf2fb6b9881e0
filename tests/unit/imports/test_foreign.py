"""Whatever a file holds: trials with every row accounted for, or an error with a hint."""

from __future__ import annotations

import csv
import io
import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.errors import UserError
from runner.imports import source
from runner.imports.asked import Asked
from runner.imports.foreign import name_of, read_foreign
from tests.unit.imports.conftest import Read

ANY_TIME = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b" \n\t\n", "it is empty"),
        (bytes(range(256)) * 40, "it is not text"),
        (b"PK\x03\x04" + b"\0" * 50, "a ZIP archive or a spreadsheet"),
        (b"PAR1" + b"\0" * 50, "a Parquet file"),
        (b"\x1f\x8b" + b"\0" * 50, "a gzip archive"),
    ],
)
def test_what_is_no_log_is_refused(read: Read, content: bytes, message: str) -> None:
    """The message says what it is, the hint what to do."""
    with pytest.raises(UserError, match=message) as failed:
        read(content)
    assert failed.value.hint


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A folder, a path to nothing, a pipe and a name with a NUL."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(UserError, match="it is no file"):
            read_foreign(path, Asked())
    with pytest.raises(UserError, match="there is no such file"):
        read_foreign(tmp_path / "nothing.csv", Asked())
    with pytest.raises(UserError, match="importing"):
        read_foreign(tmp_path / "a\0b", Asked())


def test_a_gigabyte_is_refused_without_being_read(tmp_path: Path) -> None:
    """The file's size is enough."""
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    began = time.monotonic()
    with pytest.raises(UserError, match="1,024 MiB, and the bound is 64 MiB"):
        read_foreign(path, Asked())
    assert time.monotonic() - began < 10


def test_a_million_rows_are_refused_whole(read: Read) -> None:
    """Part of somebody's results would be taken for all of them."""
    content = b"iteration,loss,status\n" + b"1,2.5,keep\n" * 1_000_000
    with pytest.raises(UserError, match=f"more than {source.MAX_ROWS} rows"):
        read(content, name="rows.csv")


def test_ten_thousand_rows_are_all_read(read: Read) -> None:
    """In seconds."""
    content = "iteration,loss,status\n" + "".join(f"{at},{at}.5,keep\n" for at in range(10_469))
    began = time.monotonic()
    _, trials = read(content, name="rows.csv")
    assert (len(trials), trials[-1].value) == (10_469, 10468.5)
    assert time.monotonic() - began < 20


def test_an_import_is_named_by_its_file() -> None:
    """With the signs that a folder's name may have."""
    assert name_of(Path("a/results (2).tsv")) == "results-2"
    assert name_of(Path("日本.csv")) == "results"


@ANY_TIME
@given(content=st.binary(max_size=2000))
def test_no_bytes_upset_it(read: Read, content: bytes) -> None:
    """Anything at all is read, or refused with a reason."""
    try:
        imported, trials = read(content)
    except UserError:
        return
    assert {trial.run for trial in trials} <= {run.run for run in imported.runs}


INGREDIENTS = [
    *("commit\tval_bpb\tstatus\tdescription", "aaaaaa1\t2.5\tkeep\tx"),
    *("method,seed,loss", "a,1,2.5"),
    *("|", '"', ",", ";", "\t", "\n", "\r\n", "---", "|--|\n", "é", "=", "#", "{", "}", "[", "]"),
    '{"type":"config","metricName":"x","bestDirection":"lower"}',
    *('{"loss": 2.5, "status": "keep"}', '{"metric": 0, "best": 1}', "| 1 | 2.5 | keep |\n"),
    *("| Exp | Score | Status |\n|---|---|---|\n", '"Step","a - l","a - l__MIN","a - l__MAX"\n'),
    *("keep", "crash", "2.5", "0", "nan", "-", "1,2,3,4"),
]  # fmt: skip


@ANY_TIME
@given(pieces=st.lists(st.sampled_from(INGREDIENTS)))
def test_no_mixture_of_logs_upsets_it(read: Read, pieces: list[str]) -> None:
    """Headers, rows, quotes and objects in any order are read, or refused with a reason."""
    try:
        imported, trials = read("".join(pieces))
    except UserError:
        return
    assert {trial.run for trial in trials} <= {run.run for run in imported.runs}


VALUE = st.floats(-1e9, 1e9, allow_nan=False).filter(lambda value: abs(value) > 1e-200)


@ANY_TIME
@given(values=st.lists(VALUE, min_size=1, max_size=30), delimiter=st.sampled_from(",;\t"))
def test_all_values_of_a_written_log_come_back(
    read: Read, values: list[float], delimiter: str
) -> None:
    """For any figures, to the last digit and in their order."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(["iteration", "loss", "status", "description"])
    writer.writerows([at, repr(value), "keep", "x, y"] for at, value in enumerate(values))
    _, trials = read(out.getvalue())
    assert [trial.value for trial in trials] == values
