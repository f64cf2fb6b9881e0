"""Text is cut into pieces that are its text when joined, and that keep to a limit."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from pieces import cut, short_lines

TEXT = st.text(alphabet=st.sampled_from("ab ä\n\n"), max_size=300)
ANY_TEXT = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(" \n\r\f\u2028é́👩\u200d")),
    max_size=300,
)


@given(text=TEXT, limit=st.integers(1, 80))
def test_cutting_loses_no_character_and_keeps_to_its_limit(text: str, limit: int) -> None:
    """The joined pieces are the text, and only a single line may be longer than the limit."""
    pieces = list(cut(text.splitlines(keepends=True), limit))
    assert "".join(pieces) == text
    for piece in pieces:
        assert piece
        assert len(piece.encode()) <= limit or len(piece.splitlines()) == 1


def test_text_is_cut_after_blank_lines_where_there_are_any() -> None:
    """A text is cut after a blank line that fits, and with a limit of 0 it is not cut."""
    lines = ["one\n", "two\n", "\n", "three\n", "four\n"]
    assert list(cut(lines, 15)) == ["one\ntwo\n\n", "three\nfour\n"]
    assert list(cut(lines, 0)) == ["".join(lines)]


@given(text=ANY_TEXT, limit=st.integers(4, 80), block=st.integers(1, 90))
@example(text="e" + "\u0301" * 50, limit=10, block=7)
def test_no_line_is_too_long_and_no_character_is_lost(text: str, limit: int, block: int) -> None:
    """Lines keep to their limit, are the text when joined, and do not depend on the blocks."""
    lines = list(short_lines([text], limit))
    assert "".join(lines) == text
    assert all(0 < len(line.encode()) <= limit for line in lines)
    blocks = [text[n : n + block] for n in range(0, len(text), block)]
    assert list(short_lines(blocks, limit)) == lines
    assert all(len(piece.encode()) <= limit for piece in cut(lines, limit))


@given(text=TEXT)
def test_ordinary_lines_are_left_as_they_are(text: str) -> None:
    """A line that is shorter than the limit is not divided."""
    assert list(short_lines([text], 1000)) == text.splitlines(keepends=True)


def test_a_long_line_is_divided_where_a_reader_would() -> None:
    """It is divided at other line ends, else after blanks, else between whole characters."""
    assert list(short_lines(["a" * 8 + "\r\n", "b\r\n"], 9)) == ["a" * 8, "\r\n", "b\r\n"]
    assert list(short_lines(["one\rtwo\rthree four five\n"], 9)) == [
        "one\r", "two\r", "three ", "four ", "five\n"
    ]  # fmt: skip
    assert list(short_lines(["日本語日本語"], 8)) == ["日本", "語日", "本語"]
    assert list(short_lines(["abce\u0301fg"], 4)) == ["abc", "e\u0301f", "g"]
