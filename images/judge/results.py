"""The losses of all rows of a call, and what follows from them: scores and audits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import arithmetic
import audit
import numpy as np
import numpy.typing as npt
from arithmetic import Answer
from plan import Sent, Split

Losses = npt.NDArray[np.float32]


class Collected:
    """What came back, by split and row.

    Args:
        token_bytes: bytes of each token; 0 for a special one; [V].
        rows: the rows of each split, [N, T + 1].
    """

    def __init__(self, token_bytes: npt.NDArray[Any], rows: Mapping[str, npt.NDArray[Any]]) -> None:
        self.token_bytes, self.rows = token_bytes, rows
        self.nats: dict[tuple[str, int], Losses] = {}  # [T], of rows sent as they are
        self.hidden: list[tuple[Sent, float]] = []
        self.originals: dict[tuple[str, int], Any] = {}
        self.probes: list[tuple[Sent, Any]] = []
        self.dtype = "float32"

    def add(self, batch: list[Sent], answer: Answer) -> None:
        """Takes the answer to one batch."""
        self.dtype = answer.dtype
        nats = answer.nats.numpy()
        for slot, one in enumerate(batch):
            place = (one.split, one.row)
            if one.use in ("final", "estimate"):
                self.nats[place] = nats[slot].copy()
                if slot in answer.kept:
                    self.originals[place] = answer.kept[slot]
            elif one.use in ("probe", "again"):
                self.probes.append((one, answer.kept[slot]))
            elif one.use == "hidden":
                self.hidden.append((one, float(nats[slot, one.cut])))

    def bpb(self, split: str, rows: range) -> float:
        """Bits per byte: Σ nats / (ln 2 · Σ bytes) over the targets that stand for bytes."""
        nats, total = 0.0, 0
        for row in rows:
            stands_for = self._bytes(split, row)
            nats += float(self.nats[split, row][stands_for > 0].sum(dtype=np.float64))
            total += int(stands_for.sum())
        return nats / (math.log(2) * total) if total else math.nan

    def tokens(self, split: str, rows: range) -> int:
        """How many targets of the rows stand for bytes."""
        return sum(int((self._bytes(split, row) > 0).sum()) for row in rows)

    def keep(self, descriptors: Mapping[str, int], counts: Mapping[str, int]) -> None:
        """Writes the losses of all rows of each split to a file, float16 [N, T] in nats."""
        for split, descriptor in descriptors.items():
            losses = np.stack([self.nats[split, row] for row in range(counts[split])])
            with open(descriptor, "wb", closefd=False) as file:
                np.save(file, losses.clip(0, 6e4).astype(np.float16))

    def audits(
        self, splits: Mapping[str, Split], references: Mapping[str, npt.NDArray[Any]]
    ) -> dict[str, Any]:
        """The numbers of each audit, by its name."""
        found: dict[str, list[audit.Difference]] = {"changed": [], "unchanged": [], "again": []}
        for one, logits in self.probes:
            kind = "again" if one.use == "again" else "changed" if one.cut >= 0 else "unchanged"
            original = self.originals[one.split, one.row]
            found[kind].append(arithmetic.difference(original, logits))
        audits = audit.probes(**found, dtype=self.dtype)
        for name, split in splits.items():
            hidden = [(one, loss) for one, loss in self.hidden if one.split == name]
            if hidden or name == "val":
                title = "hidden rows" if name == "val" else f"hidden rows of {name}"
                audits[title] = self._hidden(name, split, hidden, references.get(name))
        return audits

    def _hidden(
        self,
        name: str,
        split: Split,
        hidden: list[tuple[Sent, float]],
        reference: npt.NDArray[Any] | None,
    ) -> dict[str, Any]:
        scored = np.stack([self.nats[name, row] for row in split.final]).astype(np.float64)
        counted = np.stack([self._bytes(name, row) > 0 for row in split.final])
        losses = np.array([loss for _, loss in hidden], np.float64)
        cuts = [one.cut for one, _ in hidden]
        if reference is not None:
            scored -= reference[split.final.start : split.final.stop].astype(np.float64)
            own = [float(reference[one.row, one.cut]) for one, _ in hidden]
            losses -= np.array(own, np.float64)
        return audit.hidden_rows(losses, cuts, scored, counted, referenced=reference is not None)

    def _bytes(self, split: str, row: int) -> npt.NDArray[Any]:
        found: npt.NDArray[Any] = self.token_bytes[self.rows[split][row][1:]]
        return found
