"""Names in figures: on one line, not long, and as they are written."""

from __future__ import annotations

import pytest

from runner.analysis.drawing import LETTERS, label


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("gpt", "gpt"),
        ("two\nlines \t here", "two lines here"),
        ("_hidden", " _hidden"),  # matplotlib leaves labels that begin with _ out of legends
        ("", "?"),
        ("turned \u202e around", "turned \ufffd around"),
        ("a" * 300, "a" * (LETTERS - 1) + "…"),
        (7, "7"),
    ],
)
def test_a_label_is_readable(name: object, shown: str) -> None:
    """Nothing in a name turns, hides or breaks what stands beside it."""
    assert label(name) == shown
