"""Readers of a stranger's text, each at one size and at four times that: the time grows as much.

Processor time is counted, and the best of three counts, so that a busy machine fails none. A reader
that takes quadratic time takes sixteen times as long.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest

from runner.analysis.strategy.categories import rules
from runner.analysis.strategy.texts import Changed
from runner.claims import reader as claims
from runner.claims.sheet import apart
from runner.claims.words import columns
from runner.imports.direction import stated_in
from runner.imports.fields import seconds_of
from runner.records.visible import visible
from runner.results.markdown import harmless
from runner.results.tables import safe
from runner.space.found import find
from runner.trials.output import LONGEST_LINE, TrialOutput

MOST_TIMES_LONGER = 10.0  # for four times the text
SHORT_SECONDS = 0.05  # what is below that is never too long
HEADER = ",".join(columns("val_bpb"))
ROW = "1,2026-01-01,abcdef0,h,c,x,2.5,,keep"


def printed(text: str) -> None:
    """Read a trial's output of such lines, none longer than one that can mean something."""
    output = TrialOutput()
    for start in range(0, len(text), LONGEST_LINE):
        output.read_line(text[start : start + LONGEST_LINE])


def numbers(text: str) -> None:
    """Compare a changed line of code."""
    Changed(text, f"{text} ").numbers()


# name: (reader, text of a size, the smaller size)
CASES: dict[str, tuple[Callable[[str], object], Callable[[int], str], int]] = {
    "commas behind a header": (
        lambda text: claims.parse(text.encode(), "val_bpb"),
        lambda n: f"{HEADER}{',' * n}\n{ROW}\n", 50_000,
    ),
    "commas behind a row": (
        lambda text: claims.parse(text.encode(), "val_bpb"),
        lambda n: f"{HEADER}\n{ROW}{',' * n}\n", 50_000,
    ),
    "commas in a JSON list": (
        lambda text: claims.parse(text.encode(), "val_bpb"),
        lambda n: '[{"val_bpb": 1}' + "," * n + "]", 50_000,
    ),
    "digits in cells": (
        lambda text: claims.parse(text.encode(), "val_bpb"),
        lambda n: f"{HEADER}\n" + ("1" * 58 + "!,") * (n // 60), 60_000,
    ),
    "columns of one name": (lambda text: apart(text.split(",")), lambda n: "," * n, 5_000),
    "columns that are numbered": (
        lambda text: apart(text.split(",")),
        lambda n: ",".join([*(f"x_{at}" for at in range(n)), *["x"] * n]), 2_000,
    ),
    "digits in a line of code": (numbers, lambda n: "1" * n + "x", 5_000),
    "points in a line of code": (numbers, lambda n: "1." * n, 5_000),
    "a hypothesis of digits": (rules().of_words, lambda n: "1" * n, 500),
    "a hypothesis of commas": (rules().of_words, lambda n: "1," * (n // 2), 500),
    "progress without a value": (
        printed, lambda n: ("progress:" + "a" * 1991) * (n // 2000), 40_000,
    ),
    "a heading of blanks": (find, lambda n: f"# --{' ' * n}x\nX = 1\n", 5_000),
    "comments above a constant": (find, lambda n: "# a\n" * n + "X = 1\n", 5_000),
    "headings and constants": (
        find, lambda n: "".join(f"# --- a\nX{at} = 1\n" for at in range(n)), 500,
    ),
    "better, after blanks": (lambda t: stated_in([t]), lambda n: f"lower{' ' * n}x", 5_000),
    "a goal, after blanks": (lambda t: stated_in([t]), lambda n: f"goal:{' ' * n}x", 5_000),
    "a duration of digits": (lambda t: seconds_of("seconds", t), lambda n: "1" * n, 5_000),
    "marks on a letter": (visible, lambda n: "\u0301" * n, 20_000),
    "escapes in a cell": (harmless, lambda n: "\\[@#" * n, 10_000),
    "blanks before a formula": (safe, lambda n: "\u202e " * n + "=1", 20_000),
}  # fmt: skip


def best_of_three(read: Callable[[str], object], text: str) -> float:
    """Processor seconds."""
    taken = []
    for _ in range(3):
        began = time.process_time()
        with contextlib.suppress(ValueError):
            read(text)
        taken.append(time.process_time() - began)
    return min(taken)


@pytest.mark.parametrize("case", CASES)
def test_four_times_the_text_takes_no_sixteen_times_as_long(case: str) -> None:
    """The worst text of its kind, at two sizes."""
    read, text, size = CASES[case]
    small = best_of_three(read, text(size))
    large = best_of_three(read, text(4 * size))
    assert large <= max(MOST_TIMES_LONGER * small, SHORT_SECONDS), (small, large)
