"""Whose turn it is: tables of cases, and what holds in every queue."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runner.devices.names import core_sets, overlap
from runner.devices.queue import Entry, Queue, ahead, in_the_way, in_turn, may_take


def entry(name: str, wants: str, device: str = "", **also: Any) -> Entry:
    """An entry with a short name; `wants` is one letter for each device."""
    return Entry(ticket=ticket(name), wants=tuple(wants), device=device, **also)


def ticket(name: str) -> str:
    return f"{ord(name):032x}"


def queue(text: str) -> Queue:
    """`A:x=x B:x C:xy`: A has x, B waits for x, C waits for any of the two."""
    entries = []
    for word in text.split():
        name, _, rest = word.partition(":")
        wants, _, device = rest.partition("=")
        entries.append(entry(name, wants, device))
    return Queue(entries=tuple(entries))


def tickets(names: str) -> set[str]:
    return {ticket(name) for name in names}


@pytest.mark.parametrize(
    ("entries", "who", "absent", "takes"),
    [
        ("A:x", "A", "", "x"),
        ("A:x B:x", "A", "", "x"),
        ("A:x B:x", "B", "", ""),  # A comes first
        ("A:x=x B:x", "B", "", ""),
        ("A:x=x B:x", "B", "A", ""),  # an absent holder still holds
        ("A:x B:x C:x", "B", "A", "x"),  # an absent waiter is passed over
        ("A:x B:x C:x", "C", "A", ""),  # and the others keep their order
        ("A:x B:x C:x", "C", "AB", "x"),
        ("A:x B:x", "A", "A", "x"),  # whoever looks is there, whatever it thinks of itself
        ("A:x B:y", "B", "", "y"),  # another device is another queue
        ("A:x=x B:x C:y", "C", "", "y"),
        ("A:xy B:x", "A", "", "x"),  # of two free ones the first
        ("A:xy B:x", "B", "", ""),  # which is then A's
        ("A:xy B:y", "B", "", "y"),  # A takes x, and leaves y
        ("A:xy B:xy", "B", "", "y"),
        ("Z:x=x A:xy B:xy", "A", "", "y"),
        ("Z:x=x A:xy B:xy", "B", "", ""),
        ("Z:x=x A:x B:xy C:xy", "B", "", "y"),  # A waits for x alone, and holds up nobody else
        ("Z:x=x A:xy B:y", "B", "A", "y"),
        ("A:x=x", "A", "", ""),  # who has one takes no other
        ("A:x", "B", "", ""),  # nor does who is not there
        ("", "A", "", ""),
        ("A:", "A", "", ""),
    ],
)
def test_whose_turn_it_is(entries: str, who: str, absent: str, takes: str) -> None:
    """The first that is there has the first free device of those that it wants."""
    assert may_take(queue(entries), ticket(who), tickets(absent)) == takes


@pytest.mark.parametrize(
    ("entries", "who", "absent", "holders"),
    [
        ("A:x=x B:x", "B", "A", "A"),
        ("A:x=x B:x", "B", "", ""),  # it is there
        ("A:x=x B:x C:x", "C", "A", ""),  # B's turn comes first
        ("A:x=x B:x C:x", "C", "AB", "A"),
        ("A:x=x B:y", "B", "A", ""),  # nobody waits for that
        ("A:x=x B:y=y C:xy", "C", "AB", "AB"),
        ("A:x=x C:xy", "C", "A", "A"),  # x is more welcome than y
        ("A:y=y C:xy", "C", "A", ""),  # x is free
    ],
)
def test_which_absent_holders_are_in_the_way(
    entries: str, who: str, absent: str, holders: str
) -> None:
    """Only the next one takes a device away, and only one that it would then have."""
    found = in_the_way(queue(entries), ticket(who), tickets(absent))
    assert {each.ticket for each in found} == tickets(holders)


@pytest.mark.parametrize(
    ("entries", "who", "absent", "count"),
    [
        ("A:x B:x C:x", "A", "", 0),
        ("A:x B:x C:x", "C", "", 2),
        ("A:x B:x C:x", "C", "A", 1),
        ("A:y B:x C:x", "C", "", 1),
        ("A:x=x B:x", "B", "", 0),  # a holder is none that waits
        ("A:x", "C", "", 0),
    ],
)
def test_how_many_come_before(entries: str, who: str, absent: str, count: int) -> None:
    """It is by this that those behind look more seldom."""
    assert ahead(queue(entries), ticket(who), tickets(absent)) == count


ENTRIES = st.lists(
    st.tuples(st.lists(st.sampled_from("xyz"), min_size=1, max_size=3, unique=True), st.booleans()),
    max_size=7,
)


@given(ENTRIES)
def test_all_who_may_take_a_device_at_one_time_take_different_ones(
    made: list[tuple[list[str], bool]],
) -> None:
    """Nobody is let in twice, and none that somebody who is there wants stays free."""
    entries = Queue(entries=tuple(
        Entry(ticket=f"{n:032x}", wants=tuple(wants)) for n, (wants, _) in enumerate(made)
    ))  # fmt: skip
    absent = {f"{n:032x}" for n, (_, there) in enumerate(made) if not there}
    taken = {
        each.ticket: may_take(entries, each.ticket, absent)
        for each in entries.entries
        if each.ticket not in absent
    }
    had = [device for device in taken.values() if device]
    assert len(had) == len(set(had))
    for each in entries.entries:
        if each.ticket in taken and not taken[each.ticket]:
            assert set(each.wants) <= set(had)


@given(ENTRIES)
def test_to_take_in_turn_or_at_once_is_the_same(made: list[tuple[list[str], bool]]) -> None:
    """What one may take does not depend on whether those before have taken theirs yet."""
    entries = Queue(entries=tuple(
        Entry(ticket=f"{n:032x}", wants=tuple(wants)) for n, (wants, _) in enumerate(made)
    ))  # fmt: skip
    at_once = [may_take(entries, each.ticket) for each in entries.entries]
    in_turn, now = [], entries
    for each in entries.entries:
        device = may_take(now, each.ticket)
        in_turn.append(device)
        if device:
            now = now.put(each.model_copy(update={"device": device}))
    assert in_turn == at_once


CORES = 6
DIVISIONS = st.lists(
    st.tuples(st.sampled_from((1, 2, 3, 4, 6)), st.sampled_from("abc "), st.booleans()), max_size=9
)


def divided(made: list[tuple[int, str, bool]]) -> tuple[Queue, set[str]]:
    """A queue of entries that each want any set of a division, and who of them is absent."""
    entries = tuple(
        Entry(ticket=f"{n:032x}", wants=core_sets(CORES, sets), run=run.strip())
        for n, (sets, run, _) in enumerate(made)
    )
    return Queue(entries=entries), {
        f"{n:032x}" for n, (_, _, there) in enumerate(made) if not there
    }


@given(DIVISIONS, st.randoms(use_true_random=False))
def test_whatever_the_divisions_no_core_is_held_twice_and_everybody_has_a_turn(
    made: list[tuple[int, str, bool]], chance: Random
) -> None:
    """Holders leave in any order; who is there is served in turn, and nobody waits for ever."""
    now, absent = divided(made)
    there = {each.ticket for each in now.entries} - absent
    served: set[str] = set()
    while there - served:
        order = [each.ticket for each in in_turn(now) if each.ticket in there]
        for ticket_ in chance.sample(order, len(order)):  # they look in any order
            device = may_take(now, ticket_, absent)
            mine = now.of(ticket_)
            if device and mine is not None:
                assert not any(overlap(device, holder.device) for holder in now.holders())
                now = now.put(mine.model_copy(update={"device": device}))
                served.add(ticket_)
        assert now.holders(), "cores are free, somebody waits, and nobody may take any"
        if order and (first := now.of(order[0])) is not None and not first.device:
            blocked = [holder.device for holder in now.holders()]
            assert all(any(overlap(want, it) for it in blocked) for want in first.wants)
        now = now.without(chance.choice(now.holders()).ticket)


def test_who_wants_all_cores_is_not_passed_by_who_wants_a_few() -> None:
    """Its cores are kept for it while the first of the others goes on."""
    few, every = ("cores-0-0", "cores-1-1"), ("cpu",)
    queue = Queue(entries=(
        Entry(ticket=ticket("A"), wants=few, device="cores-0-0", run="a"),
        Entry(ticket=ticket("B"), wants=every, run="b"),
        Entry(ticket=ticket("C"), wants=few, run="c"),
    ))  # fmt: skip
    assert [may_take(queue, ticket(name)) for name in "BC"] == ["", ""]
    assert may_take(queue, ticket("C"), tickets("B")) == "cores-1-1"  # B is not there
    assert may_take(queue.without(ticket("A")), ticket("B")) == "cpu"


def test_a_run_of_many_trials_at_a_time_has_one_turn_in_a_round() -> None:
    """Its second trial comes after the first of each other run, and without a run, each is one."""
    runs = {"A": "a", "B": "a", "C": "a", "D": "b", "E": "", "F": "", "G": "b"}
    queue = Queue(entries=tuple(
        Entry(ticket=ticket(name), wants=("x",), run=run) for name, run in runs.items()
    ))  # fmt: skip
    order = "".join(chr(int(each.ticket, 16)) for each in in_turn(queue))
    assert order == "ADEFBGC"
    held = queue.put(Entry(ticket=ticket("A"), wants=("x",), run="a", device="x"))
    assert "".join(chr(int(each.ticket, 16)) for each in in_turn(held)) == "DEFBGC"
    assert ahead(held, ticket("B")) == 3


def test_of_several_dead_holders_all_that_are_in_the_way_are_named() -> None:
    """Who wants all cores needs both gone; who wants any of two must not wait for one of them."""
    dead = (
        Entry(ticket=ticket("A"), wants=("cores-0-0",), device="cores-0-0"),
        Entry(ticket=ticket("B"), wants=("cores-1-1",), device="cores-1-1"),
    )
    for wants in (("cpu",), ("cores-0-0", "cores-1-1")):
        queue = Queue(entries=(*dead, Entry(ticket=ticket("C"), wants=wants)))
        found = in_the_way(queue, ticket("C"), tickets("AB"))
        assert {each.ticket for each in found} == tickets("AB")
    assert in_the_way(queue, ticket("C"), tickets("B")) == [dead[1]]


def test_an_entry_keeps_its_place_when_it_changes() -> None:
    """What is added to an entry moves nobody in the queue."""
    before = queue("A:x B:x C:x")
    after = before.put(entry("B", "x", container="c1", attached=1))
    assert [each.ticket for each in after.entries] == [each.ticket for each in before.entries]
    assert after.without(ticket("B")) == queue("A:x C:x")


@pytest.mark.parametrize("name", ["", "..", "/etc/passwd", "a" * 33, "\0" * 32, "A" * 32])
def test_a_ticket_is_no_path(name: str) -> None:
    """A foreign queue cannot make anybody touch a file outside of the folder."""
    with pytest.raises(ValidationError):
        Entry(ticket=name, wants=())
