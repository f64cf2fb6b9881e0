"""Reading `experiments.csv`, whatever an agent made of it."""

from __future__ import annotations

import csv
import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.claims import reader
from runner.claims.claim import Claims
from runner.claims.reader import INLINE_BYTES, READ_SECONDS
from runner.claims.sheet import MAX_BYTES, MAX_CELL, MAX_KEPT, MAX_ROWS, Bounds
from runner.claims.words import columns
from runner.metrics import VAL_BPB, Metric

COLUMNS = columns("val_bpb")
HEADER = ",".join(COLUMNS)
ROW = "1,2026-01-01T00:00:00Z,abc1234,a hotter start,hyperparameter,MATRIX_LR 0.04,2.31,-0.02,keep"


def parse(content: bytes) -> Claims:
    """The rows of an agent's report on a language-model task."""
    return reader.parse(content, "val_bpb")


def read(content: bytes, seconds: float = READ_SECONDS) -> Claims:
    """The same, as a run reads it."""
    return reader.read(content, VAL_BPB, seconds)


def values(found: Claims) -> list[float | None]:
    return [row.value(VAL_BPB) for row in found.rows]


def test_the_protocols_own_form_is_taken_apart() -> None:
    """Every column of the protocol is there and nothing is complained about."""
    found = parse(f"{HEADER}\n{ROW}\n".encode())
    assert found.problems == ()
    assert found.rows[0].cells == dict(zip(COLUMNS, ROW.split(","), strict=True))
    assert found.rows[0].value(VAL_BPB) == 2.31


@pytest.mark.parametrize(
    ("name", "content", "claimed", "complaint"),
    [
        ("CRLF and a BOM", f"\ufeff{HEADER}\r\n{ROW}\r\n", [2.31], None),
        ("semicolons", f"{HEADER}\n{ROW}\n".replace(",", ";"), [2.31], None),
        ("tabs", f"{HEADER}\n{ROW}\n".replace(",", "\t"), [2.31], None),
        ("capitals", f"{HEADER}\n{ROW}\n".replace("val_bpb", " Val BPB "), [2.31], None),
        ("a header again", f"{HEADER}\n{ROW}\n{HEADER}\n{ROW}\n", [2.31, 2.31], None),
        ("blank lines", f"\n{HEADER}\n\n{ROW}\n\n\n", [2.31], None),
        ("a comma at the end", f"{HEADER}\n{ROW},,\n", [2.31], None),
        ("no header", f"{ROW}\n", [2.31], "no header"),
        ("words before it", f"Here is my log:\n{HEADER}\n{ROW}\n", [2.31], "1 of 2 rows"),
        ("bare commas", f"{HEADER}\n{ROW.replace(' ', ',')}\n", [2.31], None),
        ("too few cells", f"{HEADER}\n1,2.31,keep\n", [], "1 of 1 rows"),
        ("cells left off", f"{HEADER},note,lr\n{ROW}\n", [2.31], None),
        ("a comment", f"# lower is better\n{HEADER}\n{ROW}\n", [2.31], "a comment"),
        ("an extra column", f"{HEADER},note\n{ROW},hm\n", [2.31], None),
        ("columns missing", "experiment,val_bpb\n1,2.31\n", [2.31], "no column timestamp, commit"),
        ("prose", "I tried many things.\nNone worked.\n", [], "no header"),
        ("a crash", f"{HEADER}\n{ROW.replace('keep', 'crash')}\n", [None], None),
        ("no number", f"{HEADER}\n{ROW.replace('2.31', 'n/a')}\n", [None], None),
        ("not finite", f"{HEADER}\n{ROW.replace('2.31', 'inf')}\n", [None], None),
        ("below zero", f"{HEADER}\n{ROW.replace('2.31', '-1')}\n", [None], None),
    ],
)
def test_strays_are_kept_with_their_reason(
    name: str, content: str, claimed: list[float | None], complaint: str | None
) -> None:
    """What can be understood is, what cannot is kept raw, and the file's problem has a name."""
    found = parse(content.encode())
    assert values(found) == claimed
    assert (complaint is None) == (found.problems == ())
    assert complaint is None or any(complaint in problem for problem in found.problems)
    assert all(row.cells for row in found.rows)
    assert all(line.raw and line.reason for line in found.unread)


def test_a_markdown_table_is_a_table_too() -> None:
    """Pipes at both ends and a line of dashes; an escaped pipe stays in its cell."""
    head = f"| {' | '.join(COLUMNS)} |"
    cells = " | ".join(ROW.replace("a hotter", r"a\|b").split(","))
    row = f"| {cells} |"
    found = parse(f"{head}\n|{'---|' * 9}\n{row}\n".encode())
    assert (values(found), found.problems) == ([2.31], ())
    assert found.rows[0].cells["hypothesis"] == "a|b start"


def test_quoted_cells_keep_their_commas_and_lines() -> None:
    """What csv.writer wrote comes back as it was."""
    row = ROW.replace("a hotter start", '"hot, then\n""cool"""')
    found = parse(f"{HEADER}\n{row}\n".encode())
    assert found.rows[0].cells["hypothesis"] == 'hot, then\n"cool"'


def test_a_quote_that_nobody_closed_costs_one_row() -> None:
    """The rows after it are still read."""
    broken = ROW.replace("a hotter start", '"an open quote')
    found = parse("\n".join([HEADER, broken, *[ROW] * 50]).encode())
    assert values(found).count(2.31) == 50
    assert len(found.rows) + len(found.unread) == 51


def test_columns_of_its_own_are_kept_apart() -> None:
    """A column that the protocol does not know is kept under its name."""
    found = parse(f"{HEADER},lr\n{ROW},0.1\n".encode())
    assert found.rows[0].other == {"lr": "0.1"}


def test_the_best_claim_is_the_lowest_and_the_earliest() -> None:
    """Of two equal claims the first counts; a crashed row claims nothing."""
    rows = [ROW.replace("2.31", value) for value in ("2.4", "2.2", "2.2")]
    crashed = ROW.replace("2.31", "1.0").replace("keep", "crash")
    best = parse("\n".join([HEADER, *rows, crashed]).encode()).best(VAL_BPB)
    assert best is not None
    assert (best.row, best.value(VAL_BPB)) == (2, 2.2)
    assert parse(b"").best(VAL_BPB) is None


def test_the_best_claim_of_a_maximised_metric_is_the_highest() -> None:
    """Its column has the metric's name, however it is written; 0 and negative numbers count."""
    reward = Metric(name="mean_reward", direction="maximize")
    header = HEADER.replace("val_bpb", "Mean Reward")
    rows = [ROW.replace("2.31", value) for value in ("-3", "0", "0.0", "nan", "-1")]
    for copies in (1, INLINE_BYTES // len(ROW)):  # read here, and by a child
        found = reader.read("\n".join([header, *rows * copies]).encode(), reward)
        assert found.problems == ()
        best = found.best(reward)
        assert best is not None
        assert (best.row, best.value(reward)) == (2, 0.0)
        assert found.best(VAL_BPB) is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "empty"), (b" \n\t\n", "empty"), (bytes(range(256)) * 40, "not text")],
)
def test_what_is_no_table_has_a_reason_and_no_rows(content: bytes, problem: str) -> None:
    """Empty files and binary garbage give a reason."""
    assert parse(content) == Claims(problems=(problem,))


@pytest.mark.parametrize("line", [ROW + "\n", "x" * 1000 + "\n", ROW.replace("a", '"')])
def test_fifty_megabytes_are_bounded(line: str) -> None:
    """Bytes, rows and cells have a bound, the reason says so, and it takes seconds, not minutes."""
    content = (HEADER + "\n" + line * (50_000_000 // len(line))).encode()
    began = time.monotonic()
    found = parse(content)
    assert time.monotonic() - began < 20
    assert len(found.rows) <= MAX_ROWS
    assert f"longer than {MAX_BYTES >> 20} MiB: the rest was left out" in found.problems
    kept = [text for row in found.rows for text in row.cells.values()]
    kept += [line.raw for line in found.unread]
    assert all(len(text) < MAX_CELL + 40 for text in kept)


LARGE = f"{HEADER}\n{ROW}\n".encode() * (INLINE_BYTES // len(ROW))


def test_a_large_file_is_read_by_a_child_as_by_ourselves() -> None:
    """Rows, cells, other columns and problems come back the same."""
    strays = '1,"2\n\xe9",\u2028\n=cmd\n'.encode() + b"\xff,\x00,,\n"
    for content in (LARGE + strays, LARGE.replace(b"commit", b"note") + strays):
        assert read(content) == parse(content)
        assert read(content).problems


def test_a_file_that_is_not_read_in_time_is_given_up() -> None:
    """It has no rows and its reason; the child is gone."""
    (problem,) = read(LARGE, seconds=0.0).problems
    assert problem == "not read: it takes over 0 s"
    assert read(LARGE, seconds=0.0).rows == ()


def test_what_is_kept_of_many_long_names_is_bounded() -> None:
    """A row of commas costs a byte a cell, and its columns' names a hundred characters each."""
    header = ",".join(["val_bpb", "status", *("n" * 95 + str(at) for at in range(62))])
    found = parse(f"{header}\n".encode() + (b"1" + b"," * 63 + b"\n") * 19_000)
    kept = sum(len(name) for row in found.rows for name in row.other)
    assert kept < MAX_KEPT + 10_000
    assert any("MiB of cells: the rest was left out" in problem for problem in found.problems)


@given(st.binary(max_size=2000))
def test_no_bytes_upset_it(content: bytes) -> None:
    """Anything at all gives rows or a reason."""
    found = parse(content)
    assert found.rows or found.problems


INGREDIENTS = [
    *(
        HEADER,
        ROW,
        "|",
        '"',
        ",",
        ";",
        "\t",
        "\n",
        "\r",
        "---",
        "|--|\n",
        "é",
        "=",
        "#",
        "{",
        "}",
        "[",
    ),
    *(
        "]",
        '{"val_bpb": 2.5, "status": "keep"}',
        "val_bpb|status",
        "keep",
        "crash",
        "2.5",
        "abcdef0",
    ),
]


@given(st.lists(st.sampled_from(INGREDIENTS)))
def test_no_mixture_of_its_own_ingredients_upsets_it(pieces: list[str]) -> None:
    """Headers, rows, quotes and delimiters in any order give rows or a reason, or only headers."""
    found = parse("".join(pieces).encode())
    assert found.rows or found.problems or HEADER in "".join(pieces)
    assert all(len(row.cells) + len(row.other) for row in found.rows)


LETTER = st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="|")
CELL = st.text(LETTER, min_size=1, max_size=9)  # no pipes: lines that begin with one are Markdown


@given(st.lists(st.tuples(*[CELL] * len(COLUMNS)), min_size=1, max_size=8))
def test_what_an_agent_wrote_in_order_comes_back_as_written(rows: list[tuple[str, ...]]) -> None:
    """For any cells without line breaks, written as the protocol asks."""
    text = io.StringIO()
    csv.writer(text).writerows([COLUMNS, *rows])
    found = parse(text.getvalue().encode())
    words = [row for row in rows if len(set(row) & set(COLUMNS)) < 2]
    assert [tuple(row.cells.values()) for row in found.rows] == words


def test_two_columns_of_one_name_are_kept_apart() -> None:
    """The second one has a number behind its name."""
    found = parse(f"{HEADER},note,Note\n{ROW},a,b\n".encode())
    assert found.rows[0].other == {"note": "a", "note_2": "b"}
    found = parse(b'{"val_bpb": 2.5, "status": "keep", "A B": 1, "a_b": 2}\n')
    assert found.rows[0].other == {"a_b": "1", "a_b_2": "2"}


def test_the_logs_own_names_of_columns_are_told() -> None:
    """By the column of the protocol."""
    found = parse(b"exp\tval_bpb\tverdict\tnotes\n1\t2.5\tkeep\tx\n")
    assert found.columns == {
        "exp": "experiment", "val_bpb": "value", "verdict": "status", "notes": "change"
    }  # fmt: skip


def test_other_bounds() -> None:
    """More cells of a row, longer cells, and a table whose names nobody knows."""
    wide = ",".join(["val_bpb", "status", *(f"n{at}" for at in range(100))])
    row = ",".join(["2.5", "keep", *["y" * 5000] * 100])
    found = reader.parse(f"{wide}\n{row}\n".encode(), "val_bpb", Bounds(cells=200, cell=6000))
    assert found.rows[0].other["n99"] == "y" * 5000
    named = b"method,seed,latency\nours,1,2.5\n"
    assert parse(named).rows == ()
    (row_of,) = reader.parse(named, "metric", Bounds(trusted=True)).rows
    assert row_of.other == {"method": "ours", "seed": "1", "latency": "2.5"}


def test_a_file_with_more_rows_may_be_left_unread() -> None:
    """Where part of it is worth nothing."""
    content = f"{HEADER}\n{ROW}\n{ROW}\n{ROW}\n".encode()
    assert len(reader.parse(content, "val_bpb", Bounds(rows=3)).rows) == 2
    found = reader.parse(content, "val_bpb", Bounds(rows=3, whole=True))
    assert (found.rows, found.problems) == ((), ("more than 3 rows: the rest was left out",))
