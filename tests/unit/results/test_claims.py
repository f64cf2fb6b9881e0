"""Reading `experiments.csv`, whatever an agent made of it."""

from __future__ import annotations

import csv
import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.results.claims import COLUMNS, MAX_BYTES, MAX_CELL, MAX_ROWS, Claims, parse

HEADER = ",".join(COLUMNS)
ROW = "1,2026-01-01T00:00:00Z,abc1234,a hotter start,hyperparameter,MATRIX_LR 0.04,2.31,-0.02,keep"


def bests(claims: Claims) -> list[float | None]:
    return [row.val_bpb for row in claims.rows]


def test_the_protocols_own_form_is_taken_apart() -> None:
    """Every column of the protocol is there and nothing is complained about."""
    claims = parse(f"{HEADER}\n{ROW}\n".encode())
    assert claims.problems == ()
    assert claims.rows[0].cells == dict(zip(COLUMNS, ROW.split(","), strict=True))
    assert claims.rows[0].val_bpb == 2.31


@pytest.mark.parametrize(
    ("name", "content", "values", "complaint"),
    [
        ("CRLF and a BOM", f"\ufeff{HEADER}\r\n{ROW}\r\n", [2.31], None),
        ("semicolons", f"{HEADER}\n{ROW}\n".replace(",", ";"), [2.31], None),
        ("tabs", f"{HEADER}\n{ROW}\n".replace(",", "\t"), [2.31], None),
        ("capitals", f"{HEADER}\n{ROW}\n".replace("val_bpb", " Val BPB "), [2.31], None),
        ("a header again", f"{HEADER}\n{ROW}\n{HEADER}\n{ROW}\n", [2.31, 2.31], None),
        ("blank lines", f"\n{HEADER}\n\n{ROW}\n\n\n", [2.31], None),
        ("a comma at the end", f"{HEADER}\n{ROW},,\n", [2.31], None),
        ("no header", f"{ROW}\n", [2.31], "no header"),
        ("words before it", f"Here is my log:\n{HEADER}\n{ROW}\n", [None, 2.31], "1 of 2 rows"),
        ("a bare comma", f"{HEADER}\n{ROW.replace(' ', ',')}\n", [None], "1 of 1 rows"),
        ("too few cells", f"{HEADER}\n1,2.31,keep\n", [None], "1 of 1 rows"),
        ("an extra column", f"{HEADER},note\n{ROW},hm\n", [2.31], None),
        ("columns missing", "experiment,val_bpb\n1,2.31\n", [2.31], "no column timestamp, commit"),
        ("prose", "I tried many things.\nNone worked.\n", [None, None], "no header"),
        ("a crash", f"{HEADER}\n{ROW.replace('keep', 'crash')}\n", [None], None),
        ("no number", f"{HEADER}\n{ROW.replace('2.31', 'n/a')}\n", [None], None),
        ("not finite", f"{HEADER}\n{ROW.replace('2.31', 'inf')}\n", [None], None),
        ("below zero", f"{HEADER}\n{ROW.replace('2.31', '-1')}\n", [None], None),
    ],
)
def test_strays_are_kept_with_their_reason(
    name: str, content: str, values: list[float | None], complaint: str | None
) -> None:
    """What can be understood is, what cannot is kept raw, and the file's problem has a name."""
    claims = parse(content.encode())
    assert bests(claims) == values
    assert (complaint is None) == (claims.problems == ())
    assert complaint is None or any(complaint in problem for problem in claims.problems)
    assert all(row.cells or (row.raw and row.problem) for row in claims.rows)


def test_a_markdown_table_is_a_table_too() -> None:
    """Pipes at both ends and a line of dashes; an escaped pipe stays in its cell."""
    head = f"| {' | '.join(COLUMNS)} |"
    cells = " | ".join(ROW.replace("a hotter", r"a\|b").split(","))
    row = f"| {cells} |"
    claims = parse(f"{head}\n|{'---|' * 9}\n{row}\n".encode())
    assert (bests(claims), claims.problems) == ([2.31], ())
    assert claims.rows[0].cells["hypothesis"] == "a|b start"


def test_quoted_cells_keep_their_commas_and_lines() -> None:
    """What csv.writer wrote comes back as it was."""
    row = ROW.replace("a hotter start", '"hot, then\n""cool"""')
    claims = parse(f"{HEADER}\n{row}\n".encode())
    assert claims.rows[0].cells["hypothesis"] == 'hot, then\n"cool"'


def test_a_quote_that_nobody_closed_costs_one_row() -> None:
    """The rows after it are still read."""
    broken = ROW.replace("a hotter start", '"an open quote')
    claims = parse("\n".join([HEADER, broken, *[ROW] * 50]).encode())
    assert bests(claims).count(2.31) == 50
    assert len(claims.rows) == 51


def test_columns_of_its_own_are_kept_apart() -> None:
    """A column that the protocol does not know is kept under its name."""
    claims = parse(f"{HEADER},lr\n{ROW},0.1\n".encode())
    assert claims.rows[0].other == {"lr": "0.1"}


def test_the_best_claim_is_the_lowest_and_the_earliest() -> None:
    """Of two equal claims the first counts; a crashed row claims nothing."""
    rows = [ROW.replace("2.31", value) for value in ("2.4", "2.2", "2.2")]
    crashed = ROW.replace("2.31", "1.0").replace("keep", "crash")
    best = parse("\n".join([HEADER, *rows, crashed]).encode()).best()
    assert best is not None
    assert (best.row, best.val_bpb) == (2, 2.2)
    assert parse(b"").best() is None


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
    claims = parse(content)
    assert time.monotonic() - began < 20
    assert len(claims.rows) <= MAX_ROWS
    assert f"longer than {MAX_BYTES >> 20} MiB: the rest was left out" in claims.problems
    kept = [text for row in claims.rows for text in (row.raw, *row.cells.values())]
    assert all(len(text) < MAX_CELL + 40 for text in kept)


@given(st.binary(max_size=2000))
def test_no_bytes_upset_it(content: bytes) -> None:
    """Anything at all gives rows or a reason."""
    claims = parse(content)
    assert claims.rows or claims.problems


@given(st.lists(st.sampled_from([HEADER, ROW, "|", '"', ",", ";", "\n", "\r", "---", "é", "="])))
def test_no_mixture_of_its_own_ingredients_upsets_it(pieces: list[str]) -> None:
    """Headers, rows, quotes and delimiters in any order give rows or a reason, or only headers."""
    claims = parse("".join(pieces).encode())
    assert claims.rows or claims.problems or HEADER in "".join(pieces)
    assert all(len(row.cells) + len(row.other) or row.raw for row in claims.rows)


LETTER = st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="|")
CELL = st.text(LETTER, min_size=1, max_size=9)  # no pipes: lines that begin with one are Markdown


@given(st.lists(st.tuples(*[CELL] * len(COLUMNS)), min_size=1, max_size=8))
def test_what_an_agent_wrote_in_order_comes_back_as_written(rows: list[tuple[str, ...]]) -> None:
    """For any cells without line breaks, written as the protocol asks."""
    text = io.StringIO()
    csv.writer(text).writerows([COLUMNS, *rows])
    claims = parse(text.getvalue().encode())
    words = [row for row in rows if len(set(row) & set(COLUMNS)) < 2]
    assert [tuple(row.cells.values()) for row in claims.rows] == words
