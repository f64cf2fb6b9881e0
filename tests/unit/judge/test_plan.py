"""Which rows a trial is sent: the promises of docs/judge.md, for any seed and sizes."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from images.judge import plan
from images.judge.plan import Sent, Split

LENGTH, VOCABULARY = 16, 12
TOKEN_BYTES = [0] + [2] * (VOCABULARY - 1)


def split_of(count: int, judged: int, estimate: int, seed: int = 0) -> Split:
    """A split of random rows."""
    chance = random.Random(seed)
    rows = [[chance.randrange(VOCABULARY) for _ in range(LENGTH + 1)] for _ in range(count)]
    return plan.divided(rows, TOKEN_BYTES, judged, estimate)


def sizes() -> st.SearchStrategy[tuple[int, int, int, int]]:
    return st.tuples(
        st.integers(1, 120), st.integers(1, 40), st.integers(1, 20), st.integers(1, 50)
    )


@settings(deadline=None, max_examples=60)
@given(sizes(), st.integers(0, 2**32))
def test_every_plan_keeps_its_promises(given_sizes: tuple[int, int, int, int], seed: int) -> None:
    """Whole batches; final rows once; hidden rows once and never with their true token."""
    count, judged, estimate, size = given_sizes
    split = split_of(count, judged, estimate)
    batches = plan.final_batches({"val": split}, size, 0, plan.PROBES, seed)
    assert {len(batch) for batch in batches} == {size}
    sent = [one for batch in batches for one in batch]
    final = [one.row for one in sent if one.use == "final"]
    assert sorted(final) == list(split.final)
    hidden = {one.row: one for one in sent if one.use == "hidden"}
    assert len(hidden) == sum(one.use == "hidden" for one in sent)
    assert set(hidden) <= set(split.pool)
    assert len(hidden) <= max(plan.LEAST_HIDDEN, round(len(final) / 4))
    others = [one for one in sent if one.use != "hidden"]
    for row, one in hidden.items():
        assert split.rows[one.tail][one.cut + 1] != split.rows[row][one.cut + 1]
        assert TOKEN_BYTES[split.rows[row][one.cut + 1]] > 0
    repeated = {(one.row, one.cut, one.tail) for one in hidden.values()}
    for one in others:  # a hidden row comes back only in the batch that is sent again as it was
        assert one.row not in hidden or (one.row, one.cut, one.tail) in repeated
        assert one.tail not in hidden


@settings(deadline=None, max_examples=60)
@given(sizes(), st.integers(0, 2**32))
def test_a_probe_is_in_another_batch(given_sizes: tuple[int, int, int, int], seed: int) -> None:
    """Every probe repeats a final row of another batch, and one batch comes twice as it was."""
    count, judged, estimate, size = given_sizes
    batches = plan.final_batches({"val": split_of(count, judged, estimate)}, size, 0, 8, seed)
    homes = {one.row: n for n, batch in enumerate(batches) for one in batch if one.use == "final"}
    probes = [(n, one) for n, batch in enumerate(batches) for one in batch if one.use == "probe"]
    assert len(probes) == min(8, len(homes))
    assert all(homes[one.row] != n for n, one in probes)
    text = [[(one.row, one.cut, one.tail) for one in batch] for batch in batches]
    (again,) = [n for n, batch in enumerate(batches) if any(one.use == "again" for one in batch)]
    assert text[again] in text[:again]


def test_the_seed_decides_everything() -> None:
    """The same seed gives the same plan, another one another order, and all score the same rows."""
    splits = {"val": split_of(100, 30, 10)}
    one, same, other = (plan.final_batches(splits, 8, 0, 8, seed) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_uses_of_rows_are_fixed_for_a_task() -> None:
    """First the final rows, then those of estimates, then the hidden pool."""
    split = split_of(100, 30, 10)
    assert (split.final, split.estimate, split.pool) == (
        range(30), range(30, 40), range(40, 100),
    )  # fmt: skip
    batches = plan.estimate_batches(split, 4, 9)
    assert Counter(one.row for b in batches for one in b if one.use == "estimate") == Counter(
        range(30, 40)
    )
    assert {one.row for batch in batches for one in batch} == set(range(30, 40))
    assert plan.estimate_batches(split_of(5, 30, 10), 4, 9) == []


@pytest.mark.parametrize(("count", "final", "hidden"), [(6000, 192, 2000), (600, 192, 357)])
def test_the_referee_hides_what_it_is_told(count: int, final: int, hidden: int) -> None:
    """2,000 rows if the split has them, else seven eighths of what is left."""
    base = split_of(count, 1, 1)
    split = plan.divided_for_referee(base.rows, TOKEN_BYTES, 192, 2000)
    assert len(split.final) == final
    batches = plan.final_batches({"val": split}, 16, 2000, 32, 3)
    assert sum(one.use == "hidden" for batch in batches for one in batch) == hidden


def test_places_that_are_compared_lie_before_the_cut() -> None:
    """The last ones before the cut are among them, and both ends choose the same."""
    sent = Sent("val", 3, "probe", cut=100, tail=9)
    places = plan.places_to_keep(sent, 256, 7)
    assert places == plan.places_to_keep(sent, 256, 7)
    assert set(range(93, 101)) <= set(places)
    assert max(places) == 100
    assert len(places) == plan.KEPT_PLACES
    assert max(plan.places_to_keep(Sent("val", 3, "probe"), 256, 7)) == 255
    assert plan.places_to_keep(Sent("val", 3, "probe", cut=0, tail=1), 256, 7) == [0]
