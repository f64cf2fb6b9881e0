"""Packing: rows without padding, and an account of every token."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from packing import Packed, pack_best_fit

LENGTHS = st.lists(st.integers(1, 40), max_size=60)


def documents(lengths: list[int]) -> list[np.ndarray]:
    """Documents of those lengths in which every token is a different one."""
    starts = np.cumsum([0, *lengths])
    return [np.arange(a, b, dtype=np.uint32) for a, b in itertools.pairwise(starts)]


@given(lengths=LENGTHS, row_tokens=st.integers(2, 30), buffer=st.integers(1, 12))
def test_no_token_is_lost_but_what_is_cropped_and_counted(
    lengths: list[int], row_tokens: int, buffer: int
) -> None:
    """Rows hold different tokens, in their order; the counts add up to what came in."""
    counts = Packed()
    texts = documents(lengths)
    rows = list(pack_best_fit(texts, row_tokens, counts, buffer))
    assert all(len(row) == row_tokens for row in rows)
    packed = np.concatenate([*rows, np.empty(0, np.uint32)])
    assert len(set(packed.tolist())) == len(packed)
    assert counts.rows == len(rows)
    assert counts.documents == len(lengths)
    assert counts.tokens_in == sum(lengths)
    assert counts.tokens_in == len(packed) + counts.tokens_cropped + counts.tokens_left


@given(lengths=LENGTHS, row_tokens=st.integers(2, 30))
def test_every_row_is_beginnings_of_documents(lengths: list[int], row_tokens: int) -> None:
    """Each begins with a document's first token, and only the last piece may be cropped."""
    texts = documents(lengths)
    by_first = {int(text[0]): text for text in texts}
    for row in pack_best_fit(texts, row_tokens, Packed(), 10):
        place = 0
        while place < row_tokens:
            text = by_first[int(row[place])]
            part = row[place : place + len(text)]
            assert part.tolist() == text[: len(part)].tolist()
            place += len(text)


def test_the_longest_that_fits_is_taken_and_else_the_shortest_cropped() -> None:
    """Ten tokens a row: 7, then 3 exactly; then 6, and of 5 and 5 one cropped to 4."""
    counts = Packed()
    rows = list(pack_best_fit(documents([3, 6, 5, 7, 5]), 10, counts, 10))
    starts = np.cumsum([0, 3, 6, 5, 7])
    assert rows[0].tolist() == [*range(starts[3], starts[3] + 7), *range(3)]
    assert rows[1].tolist() == [*range(starts[1], starts[1] + 6), *range(starts[2], starts[2] + 4)]
    assert (counts.tokens_cropped, counts.tokens_left) == (1, 5)


def test_it_keeps_up_with_any_device() -> None:
    """Twenty thousand documents wait sorted, not scanned: each is looked at few times."""
    looked_at = 0

    class Counted(np.ndarray):
        def __len__(self) -> int:
            nonlocal looked_at
            looked_at += 1
            return super().__len__()

    texts = [text.view(Counted) for text in documents([5 + i * 7919 % 90 for i in range(20_000)])]
    rows = sum(1 for _ in pack_best_fit(texts, 100, Packed()))
    assert rows > 8000
    assert looked_at < 10 * len(texts)
