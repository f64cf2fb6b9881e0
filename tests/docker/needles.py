"""Finds many byte strings in much data, wherever they begin; a trial runs this text as well.

Of each string (a needle), a hash of 64 of its bytes is looked for at every place. Who has only the
hashes can tell where a needle may be, and not what it is. numpy and the standard library alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

WINDOW = 64  # bytes that are hashed, in eight words
BLOCK = 8 << 20
FIRST_BITS = 20  # of a key: from the first word alone
WHOLE_BITS = 64 - FIRST_BITS  # of a key: from the whole window
FACTORS = np.array([pow(0x9E3779B97F4A7C15, 2 * n + 1, 1 << 64) for n in range(8)], np.uint64)

Words = npt.NDArray[np.uint64]


def place_of_window(needle: bytes) -> int:
    """Where the hashed bytes of a needle begin: the first words with the most different bytes."""
    places = range(max(1, len(needle) - WINDOW + 1))
    return max(places, key=lambda place: len(set(needle[place : place + 8])))


def keys_of(needles: list[bytes]) -> Words:
    """A number for each needle, [N]: a hash of its first word, then one of its whole window."""
    windows = [needle[(at := place_of_window(needle)) : at + WINDOW] for needle in needles]
    words = np.frombuffer(b"".join(windows), "<u8").reshape(-1, 8)
    wholes = (words * FACTORS).sum(1, dtype=np.uint64) >> np.uint64(FIRST_BITS)
    keys: Words = first_bits(words[:, 0]) << np.uint64(WHOLE_BITS) | wholes
    return keys


def first_bits(words: Words) -> Words:
    """A hash of each word, of `FIRST_BITS` bits."""
    hashed: Words = words * FACTORS[0] >> np.uint64(WHOLE_BITS)
    return hashed


class Search:
    """Looks for the windows of needles, of which it has the keys alone."""

    def __init__(self, keys: Words) -> None:
        self.wholes = np.unique(keys & np.uint64((1 << WHOLE_BITS) - 1))
        self.table = np.zeros(1 << FIRST_BITS, np.bool_)
        self.table[keys >> np.uint64(WHOLE_BITS)] = True

    def places(self, data: bytes) -> Iterator[int]:
        """Where in the data a window of some needle begins."""
        for start in range(0, len(data), BLOCK):
            block = data[start : start + BLOCK + WINDOW - 1]
            for offset in range(8):
                for place in self._at(block[offset:]):
                    if offset + place < BLOCK:
                        yield start + offset + int(place)

    def in_files(self, files: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bytes, int]]:
        """Where in which file a window begins. Small files are searched together: it is quicker."""
        held: list[tuple[str, bytes]] = []
        size = 0
        for file in files:
            held.append(file)
            size += len(file[1])
            if size >= BLOCK:
                yield from self._in_held(held)
                held, size = [], 0
        yield from self._in_held(held)

    def _in_held(self, held: list[tuple[str, bytes]]) -> Iterator[tuple[str, bytes, int]]:
        starts = np.cumsum([0, *(len(content) for _, content in held)])
        for place in self.places(b"".join(content for _, content in held)):
            which = int(np.searchsorted(starts, place, "right")) - 1
            (name, content), within = held[which], place - int(starts[which])
            if within + WINDOW <= len(content):  # else it is of two files
                yield name, content, within

    def _at(self, data: bytes) -> Words:
        """The places that are multiples of eight."""
        words = np.frombuffer(data, "<u8", len(data) // 8)
        firsts = first_bits(words[: max(0, len(words) - 7)]).view(np.int64)  # indices, uncopied
        chosen = np.flatnonzero(self.table.take(firsts))
        wholes = np.zeros(len(chosen), np.uint64)
        for number, factor in enumerate(FACTORS):
            wholes += words[chosen + number] * factor
        hits = np.isin(wholes >> np.uint64(FIRST_BITS), self.wholes)
        found: Words = 8 * chosen[hits].astype(np.uint64)
        return found
