"""The comparison of a model with itself, served by containers that share no memory.

Each call comes from a container of its own. The first one is sent some final rows, the next ones
the same rows with another row's text after a place that differs from row to row, and the last one
the first batch again as it was. Up to the place, all logits must be equal; the last batch tells how
much of a difference is chance, as in a model that is scored with dropout.
"""

from __future__ import annotations

import random
from typing import Any

import arithmetic
import audit
import plan
from arithmetic import Answer, FaultError
from audit import Difference
from judge_terms import WITHOUT_MEMORY
from plan import Sent, Split
from torch import Tensor

MAX_ROWS = 64  # of a batch


class Comparison:
    """The calls of one session.

    Args:
        split: the validation split.
        rows: how many rows each batch has.
        calls: how many calls there will be; three at least.
        sequence_tokens: T.
        seed: decides rows, places and other text.
    """

    def __init__(
        self, split: Split, rows: int, calls: int, sequence_tokens: int, seed: int
    ) -> None:
        chance = random.Random(seed)
        numbers = chance.sample(split.final, min(rows, len(split.final)))
        first = [Sent("val", row, "final") for row in numbers]
        first += [chance.choice(first) for _ in range(rows - len(first))]
        tails = list(split.pool) or list(split.final)
        changed = [
            [
                Sent("val", one.row, "probe", chance.randrange(sequence_tokens - 1), tail)
                for one in first
                for tail in [chance.choice(tails)]
            ]
            for _ in range(max(1, calls - 2))
        ]
        self.batches = [first, *changed, first]
        self.places = [
            sorted(
                {
                    place
                    for batch in changed
                    for place in plan.places_to_keep(batch[slot], sequence_tokens, seed)
                }
            )
            for slot in range(rows)
        ]
        self.kept: list[dict[int, Tensor]] = []
        self.dtype = "float32"

    @property
    def complete(self) -> bool:
        """Whether every call has been answered."""
        return len(self.kept) == len(self.batches)

    def next(self) -> tuple[list[Sent], dict[int, list[int]]]:
        """The rows of the next call, and the places of each slot whose logits are wanted.

        Raises:
            FaultError: there were enough calls.
        """
        if self.complete:
            raise FaultError("too many calls")
        return self.batches[len(self.kept)], dict(enumerate(self.places))

    def add(self, answer: Answer) -> None:
        """Take the answer to the call."""
        self.dtype = answer.dtype
        self.kept.append(answer.kept)

    def audit(self) -> dict[str, Any]:
        """The numbers of the comparison, under its name."""
        first, *changed, again = self.kept
        differing = [
            found
            for batch, kept in zip(self.batches[1:-1], changed, strict=True)
            for slot, one in enumerate(batch)
            if (found := self._difference(slot, one.cut, first[slot], kept[slot])) is not None
        ]
        same = [arithmetic.difference(first[slot], again[slot]) for slot in again]
        numbers = audit.probes(differing, [], same, self.dtype)["look-ahead"]
        return {WITHOUT_MEMORY: {**numbers, "containers": len(self.batches)}}

    def _difference(self, slot: int, cut: int, first: Tensor, then: Tensor) -> Difference | None:
        """How the logits of a row up to the cut differ from the first call's."""
        count = sum(place <= cut for place in self.places[slot])
        return arithmetic.difference(first[:count], then[:count]) if count else None
