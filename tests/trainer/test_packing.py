"""Packing fills rows without padding and counts every token."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from packing import Packed, pack_best_fit

LENGTHS = st.lists(st.integers(1, 40), max_size=60)


def documents(lengths: list[int]) -> list[np.ndarray]:
    """Documents of those lengths in which no token occurs twice."""
    starts = np.cumsum([0, *lengths])
    return [np.arange(a, b, dtype=np.uint32) for a, b in itertools.pairwise(starts)]


@given(lengths=LENGTHS, row_tokens=st.integers(2, 30), buffer=st.integers(1, 12))
def test_no_token_is_lost_but_what_is_cropped_and_counted(
    lengths: list[int], row_tokens: int, buffer: int
) -> None:
    """No token is in two places, and the counts add up to the tokens handed in."""
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
    """Each row consists of documents from their first token, and only the last may be cropped."""
    texts = documents(lengths)
    by_first = {int(text[0]): text for text in texts}
    for row in pack_best_fit(texts, row_tokens, Packed(), 10):
        place = 0
        while place < row_tokens:
            text = by_first[int(row[place])]
            part = row[place : place + len(text)]
            assert part.tolist() == text[: len(part)].tolist()
            place += len(text)


@given(lengths=LENGTHS, row_tokens=st.integers(2, 30), buffer=st.integers(1, 12))
def test_carried_on_no_token_is_cropped(lengths: list[int], row_tokens: int, buffer: int) -> None:
    """With `carry_on`, no token is cropped, and less than a row of tokens is left at the end."""
    counts = Packed()
    texts = documents(lengths)
    rows = list(pack_best_fit(texts, row_tokens, counts, buffer, carry_on=True))
    packed = np.concatenate([*rows, np.empty(0, np.uint32)])
    assert counts.tokens_cropped == 0
    assert counts.tokens_in == len(packed) + counts.tokens_left
    assert counts.tokens_left < row_tokens
    assert sum(lengths) - len(set(packed.tolist())) <= counts.tokens_left
    firsts = {int(text[0]) for text in texts}
    assert all(int(row[0]) in firsts for row in rows)


def test_the_longest_that_fits_is_taken_and_else_the_shortest_cropped() -> None:
    """A row of ten takes 7 and 3; the next takes 6, and 4 of a document of 5."""
    counts = Packed()
    rows = list(pack_best_fit(documents([3, 6, 5, 7, 5]), 10, counts, 10))
    starts = np.cumsum([0, 3, 6, 5, 7])
    assert rows[0].tolist() == [*range(starts[3], starts[3] + 7), *range(3)]
    assert rows[1].tolist() == [*range(starts[1], starts[1] + 6), *range(starts[2], starts[2] + 4)]
    assert (counts.tokens_cropped, counts.tokens_left) == (1, 5)


def test_it_keeps_up_with_any_device() -> None:
    """The waiting documents are not scanned: on average each is looked at under ten times."""
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
