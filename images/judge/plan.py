"""Chooses the rows that a trial is sent, and their order. docs/judge.md says what each is for.

Everything follows from the session's seed. Invariants: a hidden row is sent once, its true token
after the cut never; what follows a cut comes from a row that is no final and no hidden one, as long
as the split has such rows; a probe is never in the batch of the row that it repeats. One whole
batch is sent again as it was: it tells how much of a difference is chance.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

Use = Literal["final", "probe", "again", "hidden", "estimate", "filler"]
LEAST_HIDDEN = 64
HIDDEN_SHARE = 0.25  # of the final rows
PROBES = 8
MOST_AGAIN = 4  # rows of the repeated batch that are compared
REFEREE_PROBES = 32
KEPT_PLACES = 48  # places of a probe whose whole logits are compared
NEAREST_PLACES = 8  # of those, the last ones before the cut
TRIES = 50
TAIL_SHARE = 8  # one in so many rows of the pool is not hidden: its text follows cuts


@dataclass(frozen=True)
class Sent:
    """One row as it is sent.

    Attributes:
        split: val or test.
        row: its number in the split.
        use: what it is sent for.
        cut: the last place that holds its own token; -1 if all do.
        tail: the row whose tokens stand after the cut; -1 for none.
    """

    split: str
    row: int
    use: Use
    cut: int = -1
    tail: int = -1


@dataclass(frozen=True)
class Split:
    """The rows of one split and what they are for.

    Attributes:
        rows: token ids [N, T + 1].
        token_bytes: how many bytes each token stands for; 0 for a special one.
        final: the numbers of the rows that are scored.
        estimate: the numbers of the rows for estimates.
        pool: the numbers of the rows from which hidden ones are drawn.
    """

    rows: Sequence[Sequence[int]]
    token_bytes: Sequence[int]
    final: range
    estimate: range
    pool: range


def divided(rows: Any, token_bytes: Any, judged: int, estimate: int) -> Split:
    """A split of a trial: the first rows are final, the next for estimates, all others hidden.

    Args:
        rows: token ids [N, T + 1].
        token_bytes: bytes of each token, [V].
        judged: how many rows are scored; at least one is.
        estimate: how many rows an estimate has.
    """
    first = min(len(rows), max(1, judged))
    second = min(len(rows), first + max(1, estimate))
    return Split(rows, token_bytes, range(first), range(first, second), range(second, len(rows)))


def divided_for_referee(rows: Any, token_bytes: Any, wanted: int, hidden: int) -> Split:
    """A split of the referee: more rows are final, and all others may be hidden.

    A split that is too small keeps up to half of its rows for the audit.
    """
    spare = min(len(rows) // 2, 2 * hidden)
    final = max(1, min(wanted, len(rows) - spare))
    return Split(rows, token_bytes, range(final), range(0), range(final, len(rows)))


def final_batches(
    splits: Mapping[str, Split], rows: int, hidden: int, probes: int, seed: int
) -> list[list[Sent]]:
    """The batches of a final score, `rows` rows each.

    Args:
        splits: what is scored, by the split's name.
        rows: how many rows a batch has.
        hidden: how many hidden rows are wanted; 0 for the default. The pools may have fewer.
        probes: how many final rows are sent once more.
        seed: decides everything that is random.
    """
    chance = random.Random(seed)
    sent: list[Sent] = []
    left = hidden or max(
        LEAST_HIDDEN, round(HIDDEN_SHARE * sum(len(split.final) for split in splits.values()))
    )
    fillers: list[Sent] = []
    for name, split in splits.items():
        sent += [Sent(name, row, "final") for row in split.final]
        drawn, tails = _drawn(split, left, chance)
        found = [_hidden(name, split, row, tails, chance) for row in drawn]
        sent += [one for one in found if one is not None]
        left -= len(drawn)
        fillers += [Sent(name, row, "filler") for row in tails]
        repeated = chance.sample(split.final, min(len(split.final), -(-probes // len(splits))))
        sent += [
            _probe(name, split, row, tails, chance, changed=bool(number % 2))
            for number, row in enumerate(repeated)
        ]
    chance.shuffle(sent)
    batches = _apart(in_batches(sent, fillers, rows, chance), fillers, chance)
    return _with_one_again(batches, chance)


def estimate_batches(split: Split, rows: int, seed: int) -> list[list[Sent]]:
    """The batches of an estimate; none if the split has no rows for it."""
    chance = random.Random(seed)
    sent = [Sent("val", row, "estimate") for row in split.estimate]
    chance.shuffle(sent)
    fillers = [replace(one, use="filler") for one in sent]
    return in_batches(sent, fillers, rows, chance) if sent else []


def compared(batches: list[list[Sent]]) -> dict[tuple[str, int], Sent]:
    """The rows whose logits are compared, by split and row: as they are sent when repeated."""
    sent = [one for batch in batches for one in batch]
    found = {(one.split, one.row): one for one in sent if one.use == "again"}
    return found | {(one.split, one.row): one for one in sent if one.use == "probe"}


def places_to_keep(sent: Sent, sequence_tokens: int, seed: int) -> list[int]:
    """The places of a probe whose logits are compared: near the cut, far from it, and random."""
    chance = random.Random(f"{seed} {sent.split} {sent.row}")
    last = sent.cut if sent.cut >= 0 else sequence_tokens - 1
    near = {last - back for back in range(NEAREST_PLACES)}
    far = {last - 2**power for power in range(3, 12)}
    found = {place for place in near | far if place >= 0}
    others = [place for place in range(last + 1) if place not in found]
    more = min(len(others), max(0, KEPT_PLACES - len(found)))
    return sorted(found | set(chance.sample(others, more)))


def _drawn(split: Split, wanted: int, chance: random.Random) -> tuple[list[int], list[int]]:
    """The hidden rows, and the rows whose text may follow a cut or fill a batch."""
    pool = chance.sample(split.pool, len(split.pool))
    spare = max(1, len(pool) // TAIL_SHARE)
    hidden = pool[: max(0, min(wanted, len(pool) - spare))]
    return hidden, pool[len(hidden) :] or list(split.final)


def _hidden(
    name: str, split: Split, row: int, tails: list[int], chance: random.Random
) -> Sent | None:
    """A hidden row; None in the unlikely case that no other row's text can follow it."""
    own = split.rows[row]
    for _ in range(TRIES):
        cut, tail = chance.randrange(len(own) - 2), chance.choice(tails)
        true = own[cut + 1]
        if split.token_bytes[true] > 0 and split.rows[tail][cut + 1] != true:
            return Sent(name, row, "hidden", cut, tail)
    return None


def _probe(
    name: str, split: Split, row: int, tails: list[int], chance: random.Random, *, changed: bool
) -> Sent:
    others = [tail for tail in tails if tail != row]
    if not changed or not others:
        return Sent(name, row, "probe")
    cut = chance.randrange(len(split.rows[row]) - 2)
    return Sent(name, row, "probe", cut, chance.choice(others))


def in_batches(
    sent: list[Sent], fillers: list[Sent], rows: int, chance: random.Random
) -> list[list[Sent]]:
    """Whole batches; the last one is filled up."""
    batches = [sent[start : start + rows] for start in range(0, len(sent), rows)]
    batches[-1] += [chance.choice(fillers) for _ in range(rows - len(batches[-1]))]
    return batches


def _apart(
    batches: list[list[Sent]], fillers: list[Sent], chance: random.Random
) -> list[list[Sent]]:
    """The same rows, every probe in another batch than the row that it repeats."""
    rows = len(batches[0])
    home = {(one.split, one.row): n for n, b in enumerate(batches) for one in b if _final(one)}
    moved: list[Sent] = []
    for number, batch in enumerate(batches):
        for slot, one in enumerate(batch):
            if one.use == "probe" and home[one.split, one.row] == number:
                batch[slot] = chance.choice(fillers)
                moved.append(one)
    chance.shuffle(moved)
    for one in moved:
        free = [
            (batch, slot)
            for number, batch in enumerate(batches)
            if home[one.split, one.row] != number
            for slot, other in enumerate(batch)
            if other.use == "filler"
        ]
        if not free:
            batches.append([chance.choice(fillers) for _ in range(rows)])
            free = [(batches[-1], slot) for slot in range(rows)]
        batch, slot = chance.choice(free)
        batch[slot] = one
    return batches


def _with_one_again(batches: list[list[Sent]], chance: random.Random) -> list[list[Sent]]:
    """The same, and one batch that holds final rows once more, row for row, at a later place."""
    number = chance.choice([n for n, batch in enumerate(batches) if any(map(_final, batch))])
    final = [slot for slot, one in enumerate(batches[number]) if _final(one)]
    compared = set(chance.sample(final, min(len(final), MOST_AGAIN)))
    again = [
        replace(one, use="again" if slot in compared else "filler")
        for slot, one in enumerate(batches[number])
    ]
    batches.insert(chance.randrange(number + 1, len(batches) + 1), again)
    return batches


def _final(sent: Sent) -> bool:
    return sent.use == "final"
