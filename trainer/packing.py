"""Documents into rows of equal length, behind BOS, without padding.

Invariant: every token handed in is either in a row, cropped and counted, or left in the tail that
did not fill a last row and counted too.
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
    """What became of the tokens handed in, BOS included."""

    rows: int = 0
    documents: int = 0
    tokens_in: int = 0
    tokens_cropped: int = 0
    tokens_left: int = 0


def pack_best_fit(
    documents: Iterable[Tokens], row_tokens: int, counts: Packed, buffer: int = BUFFER_DOCUMENTS
) -> Iterator[Tokens]:
    """Rows of exactly `row_tokens`, each beginning with a document's BOS.

    A row takes the longest waiting document that fits what is left of it; when none fits, the
    shortest is cropped to fill it. The waiting ones are kept sorted, so that a choice costs a
    bisection rather than a scan.

    Args:
        documents: token ids, shape [n] each, BOS first.
        row_tokens: T + 1, so that a row gives T inputs and T targets.
        counts: filled in as rows come out.
        buffer: documents that wait to be chosen.

    Source: `make_dataloader` of karpathy/autoresearch, which scans its buffer.
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
            taken = _take(waiting, row_tokens - filled, counts)
            row[filled : filled + len(taken)] = taken
            filled += len(taken)
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
        # Among equals the earliest stands last, and is taken first.
        bisect.insort(waiting, (len(document), -counts.documents, document), key=lambda w: w[:2])


def _take(waiting: list[tuple[int, int, Tokens]], space: int, counts: Packed) -> Tokens:
    fitting = bisect.bisect_right(waiting, space, key=lambda w: w[0])
    if fitting:
        return waiting.pop(fitting - 1)[2]
    shortest = bisect.bisect_right(waiting, waiting[0][0], key=lambda w: w[0]) - 1
    length, _, document = waiting.pop(shortest)
    counts.tokens_cropped += length - space
    return document[:space]
