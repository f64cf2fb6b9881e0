"""Which lines of a train.py differ, and where they stand."""

from __future__ import annotations

import difflib
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.analysis.strategy import texts
from runner.analysis.strategy.texts import NUMBER, Changed, changed_lines, text_before

BEFORE = '''"""Trains."""
DEPTH = 8  # layers

class Muon:
    """Momentum,
    orthogonalised."""

    def step(
        self, lr
    ):
        # one step
        self.x = lr * 0.5
'''


def test_a_changed_number_is_a_pair_with_its_blocks() -> None:
    """A line that replaces another is one change, with the headers of its blocks, nearest first."""
    after = BEFORE.replace("0.5", "0.25")
    changed = Changed("self.x = lr * 0.5", "self.x = lr * 0.25", ("def step(", "class Muon:"))
    assert changed_lines(BEFORE, after) == [changed]
    assert changed.numbers_only
    assert changed.numbers() == [(0.5, 0.25)]


def test_comments_docstrings_and_blank_lines_do_not_count() -> None:
    """What a training does not depend on is no change."""
    after = BEFORE.replace("layers", "of them").replace("Momentum,", "Steps,\n\n    all")
    after = after.replace("# one step", "#").replace('"""Trains."""', '"""Another."""')
    assert changed_lines(BEFORE, after) == []


def test_a_hash_in_a_string_is_no_comment() -> None:
    """A sign within quotes is part of the line."""
    assert changed_lines('x = "#a"\n', 'x = "#b"\n') == [Changed('x = "#a"', 'x = "#b"')]


def test_lines_without_a_partner_are_alone() -> None:
    """An added line and a removed one are changes of their own, and not of numbers alone."""
    added = changed_lines("a = 1\n", "a = 1\nb = 2\n")
    assert added == [Changed("", "b = 2")]
    assert changed_lines("a = 1\nb = 2\n", "a = 1\n") == [Changed("b = 2", "")]
    assert not added[0].numbers_only
    assert added[0].numbers() == []


def test_long_texts_are_compared_without_their_order() -> None:
    """Beyond the limit only lines that one side lacks are changes."""
    lines = [f"a{at} = {at}" for at in range(texts.MAX_COMPARED_LINES + 2)]
    before, after = "\n".join(lines), "\n".join([*lines[:0:-1], "new = 1"])
    assert changed_lines(before, after) == [Changed("a0 = 0", ""), Changed("", "new = 1")]


def test_a_block_that_moved_inwards_is_no_number() -> None:
    """A line that only has another indent is changed, but none of its numbers is."""
    (changed,) = changed_lines("if x:\n  if y: a\n  a = 1\n", "if x:\n  if y: a\n    a = 1\n")
    assert (changed.old, changed.new) == ("a = 1", "a = 1")
    assert not changed.numbers_only


def test_numbers_with_signs_of_python_are_read() -> None:
    """Underscores and exponents belong to a number; digits of a name do not."""
    changed = Changed("x2 = 10_000 + 1e-3", "x2 = 20_000 + 1e-4")
    (old, new), (old_small, new_small) = changed.numbers()
    assert (old, new) == (10_000, 20_000)
    assert math.isclose(old_small / new_small, 10)
    assert not Changed("x2 = 1", "x3 = 1").numbers_only


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "", " c"])), st.lists(st.sampled_from(["a", "b", "d"])))
def test_a_diff_is_undone(before: list[str], after: list[str]) -> None:
    """The text before comes out of the text after and the diff that a run keeps."""
    old, new = "".join(f"{line}\n" for line in before), "".join(f"{line}\n" for line in after)
    patch = "".join(
        difflib.unified_diff(old.splitlines(keepends=True), new.splitlines(keepends=True), "a", "b")
    )
    expected = (old or "\n") if old != new else None
    assert text_before(new, patch) == expected


def test_a_diff_of_another_text_is_refused() -> None:
    """A diff that does not fit gives no text."""
    assert text_before("x\n", "@@ -1 +1 @@\n-a\n+b\n") is None
    assert text_before("x\n", "over 50000 lines: compare train.py yourself\n") is None


@pytest.mark.parametrize("code", ["_from 2 to 3_", "1__0", "x = 3_"])
def test_digits_that_python_would_not_read_are_no_number(code: str) -> None:
    """Each number that is found can be read."""
    for found in NUMBER.findall(code):
        float(found)


def test_an_underscore_between_digits_belongs_to_a_number() -> None:
    """As Python has it."""
    assert NUMBER.findall("LR = 1_000.5e-3") == ["1_000.5e-3"]
