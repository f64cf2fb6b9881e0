"""Numbers as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.claims.number import Number, read_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2.310000", Number(2.31, 6)),
        (" -0.5 ", Number(-0.5, 1)),
        ("−0.5", Number(-0.5, 1)),
        ("+3", Number(3.0, 0)),
        (".5", Number(0.5, 1)),
        ("1e-3", Number(0.001, 3)),
        ("1.5e2", Number(150.0, -1)),
        ("1,271", Number(1271.0, 0)),
        ("1,260.5", Number(1260.5, 1)),
        ("2,31", Number(2.31, 2)),
        ("68.6%", Number(68.6, 1, percent=True)),
        ("9.3s", Number(9.3, 1)),
        ("9.3 ms", Number(9.3, 1)),
        ("5.07x", Number(5.07, 2)),
        ("3.7/5", Number(3.7, 1)),
        ("~0.91", Number(0.91, 2)),
        ("**2.31**", Number(2.31, 2)),
        ("1.31 (best of 3)", Number(1.31, 2)),
        ("1223.2 tps@6streams", Number(1223.2, 1)),
    ],
)
def test_what_dresses_a_number_is_taken_off(text: str, number: Number) -> None:
    """Units, signs, thousands and markup go; the digits that were written are known."""
    assert read_number(text) == number


@pytest.mark.parametrize(
    "text",
    [
        *("", "-", "n/a", "nan", "inf", "2.31 or 2.4", "2.31 → 2.30", "83-88", "v1", "a1b2c3d"),
        *("970K", "2026-01-31", "09:15", "1,2,3", "0.5.1", "1e999", "0e999", "12ab34", "9" * 61),
    ],
)
def test_what_is_no_number_has_no_value(text: str) -> None:
    """A range, two numbers, a date, a version, a hash, a thousandfold: no value is made of them."""
    assert read_number(text) is None


@given(st.text(max_size=70))
def test_no_text_upsets_it(text: str) -> None:
    """Any text is a finite number or none."""
    found = read_number(text)
    assert found is None or abs(found.value) < float("inf")


@given(st.floats(-1e6, 1e6), st.integers(0, 8))
def test_a_plain_number_comes_back(value: float, decimals: int) -> None:
    """What Python writes with some decimals is read with as many."""
    text = f"{value:.{decimals}f}"
    assert read_number(text) == Number(float(text), decimals)
