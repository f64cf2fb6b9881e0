"""Tables as CSV, Markdown and LaTeX, also with names that are made to mislead."""

from __future__ import annotations

import csv
import io
import re

import numpy as np
import pandas as pd
import pytest

from runner.analysis.output.cells import shown
from runner.analysis.output.tables import as_csv, as_latex, as_markdown, latex
from runner.analysis.report import Table
from tests.analysis_rig import HOSTILE

ROWS = pd.DataFrame(
    {
        "contestant": pd.Series(["gpt", "tpe"], dtype="string"),
        "best": [0.123456789, float("nan")],
        "n": pd.Series([3, None], dtype="Int64"),
        "better": pd.Series([True, None], dtype="boolean"),
    }
)
TABLE = Table("best", "Best values", ROWS, ("One note.",))
SPECIAL = re.compile(r"(?<!\\)[$&#%_^~\"]|[<>|]")


def of_names(names: tuple[str, ...]) -> Table:
    return Table("names", names[0], pd.DataFrame({names[0]: list(names), "n": 1}), names)


def test_a_csv_file_has_all_digits() -> None:
    """Numbers are whole, and what is not known is empty."""
    rows = list(csv.reader(io.StringIO(as_csv(TABLE))))
    assert rows == [
        ["contestant", "best", "n", "better"],
        ["gpt", "0.123456789", "3", "True"],
        ["tpe", "", "", ""],
    ]


def test_markdown_is_for_people() -> None:
    """Six digits, words for yes and no, a dash for what is not known, numbers to the right."""
    assert as_markdown(TABLE) == (
        "**Best values**\n\n"
        "| contestant | best | n | better |\n"
        "| --- | ---: | ---: | --- |\n"
        "| gpt | 0.123457 | 3 | yes |\n"
        "| tpe | – | – | – |\n\n"
        "- One note.\n"
    )


def test_latex_needs_no_package() -> None:
    """A tabular with lines of LaTeX's own."""
    assert as_latex(TABLE) == (
        "% Best values\n% One note.\n"
        "\\begin{tabular}{lrrl}\n\\hline\n"
        "\\textbf{contestant} & \\textbf{best} & \\textbf{n} & \\textbf{better} \\\\\n\\hline\n"
        "{}gpt & 0.123457 & 3 & yes \\\\\n"
        "{}tpe & -- & -- & -- \\\\\n"
        "\\hline\n\\end{tabular}\n"
    )


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("-1.5", "$-$1.5"),
        ("gpt-s1", "gpt{-}s1"),
        ("η² ≤ 0.5 ± 1", r"$\eta$$^2$ $\leq$ 0.5 $\pm$ 1"),
        ("é ï ç ñ", r"\'{e} \"{\i} \c{c} \~{n}"),
        ("模", "U+6A21"),
        (r"50 % of $x_1$ {a} \b", r"50 \% of \char36{}x\_1\char36{} \{a\} \textbackslash{}b"),
        ("two\n\nlines", "two lines"),
        ("?` --", "?{`} {-}{-}"),
    ],
)
def test_latex_sets_the_text_itself(text: str, written: str) -> None:
    """Signs of LaTeX are shown and not obeyed; other characters become what it can set."""
    assert latex(text) == written


def test_hostile_names_stay_names_in_latex() -> None:
    """No command of theirs, no unpaired brace, and no character that plain LaTeX lacks."""
    table = of_names(HOSTILE)
    lines = as_latex(table).splitlines()
    assert len([line for line in lines if line.endswith(r"\\")]) == len(HOSTILE) + 1
    for name in HOSTILE:
        text = latex(name)
        assert text.isascii()
        assert SPECIAL.search(text) is None
        bare = re.sub(r"\\[{}]", "", text)
        assert bare.count("{") == bare.count("}")
        commands = set(re.findall(r"\\([a-zA-Z]+)", text))
        assert commands <= {
            "textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater",
            "textbar", "char", "i",
        }  # fmt: skip


def test_hostile_names_stay_cells_in_a_spreadsheet() -> None:
    """No cell and no heading begins as a formula does."""
    rows = list(csv.reader(io.StringIO(as_csv(of_names(("=1+1", "@SUM(A1)", "\t=x", *HOSTILE))))))
    assert len(rows) == len(HOSTILE) + 4
    assert [row for row in rows if row[0][0] in "=+-@\t\r\n"] == []
    assert rows[0][0] == "'=1+1"


def test_hostile_names_stay_cells_in_markdown() -> None:
    """No column more, and no markup."""
    text = as_markdown(of_names(HOSTILE))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == len(HOSTILE) + 2
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {3}
    assert "<script" not in text
    assert "](" not in re.sub(r"\\\[", "", text).replace("c](", "c(")


def test_an_empty_table_is_a_table() -> None:
    """Without rows, and without columns, all three forms can be written."""
    for rows in (ROWS.head(0), pd.DataFrame()):
        table = Table("none", "Nothing", rows)
        assert as_csv(table)
        assert as_markdown(table).startswith("**Nothing**")
        assert as_latex(table).count("\\hline") == 3


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (np.float64(2.5), "2.5"),
        (np.int64(1234567), "1234567"),
        (np.bool_(False), "no"),
        (pd.NaT, "–"),
        (None, "–"),
        (float("inf"), "inf"),
        ("a\u202eb\x00c\ud800", "a\ufffdb\ufffdc\ufffd"),
    ],
)
def test_cells_are_shown_on_one_line(cell: object, text: str) -> None:
    """Values of numpy and pandas are values; what nobody sees is marked."""
    assert shown(cell) == text
