"""Text of strangers, on terminals, in logs, in Markdown and in cells of spreadsheets."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from runner.cli.terminal import shown
from runner.records.visible import MAX_MARKS, SIGN, marked, visible, visible_line
from runner.results.markdown import harmless, table_line
from runner.results.tables import safe

# All of Unicode, with much of what hides, turns or begins something.
HIDDEN = (
    "\u200b\u200e\u200f\u061c\u202a\u202e\u2066\u2069\ufeff\u00ad\u3164\x1b\x07\r\t\x85\U000e0041"
)
MARKUP = "@#[](){}<>|\\`'\"!*_~$&:/=+-\uff1d\uff0b\uff0d\uff20 "
TEXTS = st.text(
    st.characters() | st.sampled_from(HIDDEN + MARKUP) | st.sampled_from("aw.h\u0301\u0345")
)
LINKS = st.lists(
    st.sampled_from([
        "@name", "https://x.y", "www.x.y", "WWW.x.y", "a@b.c", "#12", "](x)", "[x", "![", "<b>",
        "&#64;", "`", "|", "\\", "x", " ",
    ])
).map("".join)  # fmt: skip


def test_control_characters_show_as_a_sign() -> None:
    """An escape sequence moves no cursor, and no mark turns the direction of what follows."""
    assert visible("a\x1b[2Jb\u202ec\nd") == "a\ufffd[2Jb\ufffdc d"
    assert shown("[red]\x1b]0;x\x07") == "\\[red]\ufffd]0;x\ufffd"


@pytest.mark.parametrize("char", HIDDEN)
def test_what_nobody_sees_shows_as_a_sign(char: str) -> None:
    """Marks of direction, characters without a width, tags, fillers and controls."""
    assert marked(f"a{char}b") == f"a{SIGN}b"


@given(TEXTS)
def test_a_visible_text_has_nothing_hidden(text: str) -> None:
    """Of any text: one line, every character printable, no format character, no tower."""
    line = visible(text)
    assert line.isprintable()
    assert not any(unicodedata.category(char) in ("Cf", "Cc", "Cs", "Cn", "Co") for char in line)
    assert visible(line) == line
    height = 0
    for char in line:
        height = height + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        assert height <= MAX_MARKS


@given(st.text(st.characters(categories=("L", "N", "P", "S")), max_size=50))
def test_honest_text_stays_as_it_is(text: str) -> None:
    """Letters, digits and signs of all languages, but for the fillers that look like nothing."""
    assert marked(text) == "".join(c if marked(c) == c else SIGN for c in text)
    assert (
        marked("Größe → 0.5 µs, 学習率, né\u0301, ⚠️ ✅") == "Größe → 0.5 µs, 学習率, né\u0301, ⚠️ ✅"
    )


def test_a_line_of_a_log_keeps_its_tabs_and_loses_its_colours() -> None:
    """A colour moves nothing, and honest programs print it; all else is marked."""
    assert visible_line("\x1b[1;31ma\x1b[0m\tb  c") == "a\tb  c"
    assert visible_line("\x1b[2Ja\x1b]0;x\x07") == "\ufffd[2Ja\ufffd]0;x\ufffd"


@pytest.mark.parametrize("piece", ["\0", "a\u0301", "\u0301", "\u202e", "é\t", "\x1b[31m", "\x1b["])
def test_cleaning_takes_linear_time(piece: str) -> None:
    """A line of a megabyte of the worst kinds takes no second."""
    line = piece * ((1 << 20) // len(piece))
    began = time.process_time()
    visible(line), visible_line(line), harmless(line), safe(line)
    assert time.process_time() - began < 10


def test_a_backslash_does_not_free_what_is_escaped() -> None:
    r"""`\[x](…)` would be a link if its backslash were left alone."""
    assert harmless(r"\[x](http://evil)") == r"\\\[x](http:\/\/evil)"


@given(TEXTS | LINKS)
def test_a_cell_is_text_and_nothing_else(text: str) -> None:
    """A renderer of Markdown finds one cell of text: no link, picture, tag or code."""
    page = "\n".join(
        [table_line(["a", "b"]), table_line(["--"] * 2), table_line([harmless(text), "end"])]
    )
    tokens = MarkdownIt("commonmark").enable("table").parse(page)
    cells = [token for token in tokens if token.type == "inline"]
    assert len(cells) == 4
    inside = {child.type for child in cells[2].children or ()}
    assert inside <= {"text", "em_open", "em_close", "strong_open", "strong_close", "text_special"}
    assert cells[3].content == "end"


@given(TEXTS | LINKS)
def test_a_cell_calls_nobody_and_links_nothing(text: str) -> None:
    """No mention, no reference, and no address that a forge makes a link of."""
    cell = harmless(text)
    assert "://" not in cell
    assert "www." not in cell.lower().replace("\\.", "")
    for sign in "@#":
        assert all(not after[:1].strip() for after in cell.split(sign)[1:] if after[:1] not in "@#")


@pytest.mark.parametrize("sign", "=+-@\uff1d\uff0b\uff0d\uff20")
@pytest.mark.parametrize(
    "before",
    [
        "",
        " ",
        "\t",
        "\r",
        "\n",
        '"',
        "'",
        "\u202e",
        "\ufeff",
        "\u200b",
        "\xa0",
        "“",
        "\0",
        '" \ufeff',
    ],
)
def test_a_formula_is_text_whatever_hides_before_it(sign: str, before: str) -> None:
    """Full-width signs too; the apostrophe comes first, and the text stays whole."""
    cell = f"{before}{sign}cmd|' /C calc'!A0"
    assert safe(cell) == f"'{cell}"


@given(TEXTS)
def test_a_cell_that_is_no_formula_begins_with_none(text: str) -> None:
    """Of any text: what comes first, but for blanks and the unseen, begins no formula."""
    cell = safe(text)
    bare = "".join(c for c in cell if c.isprintable()).strip(" \"'")
    assert cell == text or cell == f"'{text}"
    if cell == text and bare:
        assert bare[0] not in "=@\uff1d\uff0b\uff0d\uff20"
        assert bare[0] not in "+-" or float(cell) is not None


@pytest.mark.parametrize("cell", ["-1.5", "+2e-3", "2.5", "keep", "a = b", '{"a": 1}', "", "–"])
def test_numbers_and_words_stay_as_they_are(cell: str) -> None:
    """A negative number is no formula, and neither is a sign within a text."""
    assert safe(cell) == cell
