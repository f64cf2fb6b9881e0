"""Packs documents into rows of equal length without padding; each document begins with BOS.

Invariant: every token handed in is in a row, or is counted as cropped, or is counted as left in the
tail that does not fill a last row. With `carry_on`, documents are not cropped.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BUFFER_DOCUMENTS = 1000

Tokens = npt.NDArray[np.uint32]


@dataclass
class Packed:
    """What became of the tokens handed in, with their BOS, and of the bytes that they stand for."""

    rows: int = 0
    documents: int = 0
    tokens_in: int = 0
    tokens_cropped: int = 0
    tokens_left: int = 0
    bytes_in: int = 0
    bytes_lost: int = 0
    # Of held-out rows, those that are training rows too, and those beyond what is scored. Their
    # tokens count as cropped.
    rows_left_out: int = 0
    rows_beyond: int = 0


def pack_best_fit(
    documents: Iterable[Tokens],
    row_tokens: int,
    counts: Packed,
    buffer: int = BUFFER_DOCUMENTS,
    *,
    carry_on: bool = False,
) -> Iterator[Tokens]:
    """Yields rows of exactly `row_tokens`; each begins with a document's BOS.

    A row takes the longest waiting document that fits the space left. If none fits, the shortest
    fills the row; its rest is cropped or, with `carry_on`, waits again behind a BOS of its own.
    The waiting documents are kept sorted, so that a choice takes a bisection and not a scan.

    Args:
        documents: token ids, shape [n] each, BOS first.
        row_tokens: T + 1, so that a row gives T inputs and T targets.
        counts: updated as rows are yielded.
        buffer: how many documents wait to be chosen.
        carry_on: whether a document continues in a later row and is not cropped; its added BOS
            counts among the tokens handed in.

    Source: `make_dataloader` of karpathy/autoresearch, which scans its buffer instead.
    """
    waiting: list[tuple[int, int, Tokens]] = []
    source = iter(documents)
    while True:
        row, filled = np.empty(row_tokens, np.uint32), 0
        while filled < row_tokens:
            _refill(waiting, source, buffer, counts)
            if not waiting:
                counts.tokens_left += filled
                return
            taken, rest = _take(waiting, row_tokens - filled)
            row[filled : filled + len(taken)] = taken
            filled += len(taken)
            if carry_on and len(rest):
                counts.tokens_in += 1
                _wait(waiting, np.concatenate([taken[:1], rest]), counts)
            else:
                counts.tokens_cropped += len(rest)
        counts.rows += 1
        yield row


def _refill(
    waiting: list[tuple[int, int, Tokens]], source: Iterator[Tokens], buffer: int, counts: Packed
) -> None:
    while len(waiting) < buffer:
        document = next(source, None)
        if document is None:
            return
        counts.documents += 1
        counts.tokens_in += len(document)
        _wait(waiting, document, counts)


def _wait(waiting: list[tuple[int, int, Tokens]], document: Tokens, counts: Packed) -> None:
    # Among documents of equal length the earliest comes last and is taken first.
    bisect.insort(waiting, (len(document), -counts.documents, document), key=lambda w: w[:2])


def _take(waiting: list[tuple[int, int, Tokens]], space: int) -> tuple[Tokens, Tokens]:
    """Takes a waiting document; returns the part that fits the space, and the rest."""
    fitting = bisect.bisect_right(waiting, space, key=lambda w: w[0])
    if fitting:
        document = waiting.pop(fitting - 1)[2]
    else:
        shortest = bisect.bisect_right(waiting, waiting[0][0], key=lambda w: w[0]) - 1
        document = waiting.pop(shortest)[2]
    return document[:space], document[space:]
