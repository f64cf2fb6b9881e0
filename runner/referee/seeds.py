"""Training seeds: the referee's, by which no contestant could choose its text, and the noise's."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from itertools import count, islice

LARGEST_SEED = 2**31


def held_out_seeds(drawn: Sequence[int], number: int, known: int) -> list[int]:
    """Different seeds, none of them the known one. New ones are drawn by the system's randomness.

    A seed that follows from something a contestant can read is none that it could not train with.

    Args:
        drawn: those that were drawn before; they come first.
        number: how many seeds.
        known: the task's own seed, which contestants train with.
    """
    seeds = list(drawn)[:number]
    while len(seeds) < number:
        seed = secrets.randbelow(LARGEST_SEED)
        if seed != known and seed not in seeds:
            seeds.append(seed)
    return seeds


def derived_seeds(name: str, number: int, known: int) -> list[int]:
    """Different seeds, the same for every call with this name, none of them the known one.

    Args:
        name: what they are derived from.
        number: how many seeds.
        known: the task's own seed.
    """
    return list(islice(_seeds(name, known), number))


def _seeds(name: str, known: int) -> Iterator[int]:
    seen = {known}
    for place in count():
        digest = hashlib.sha256(f"{name}/{place}".encode()).digest()
        seed = int.from_bytes(digest[:4], "big") % LARGEST_SEED
        if seed not in seen:
            seen.add(seed)
            yield seed
