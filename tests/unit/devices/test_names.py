"""The names of devices: which cores they stand for, and which of them overlap."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.devices.names import core_sets, cores_left, cpuset_of, gpu_of, overlap
from runner.errors import UserError


def cores_of(device: str, cores: int) -> set[int]:
    """The cores that a name stands for on a machine with so many."""
    if device == "cpu":
        return set(range(cores))
    first, last = map(int, device.removeprefix("cores-").split("-"))
    return set(range(first, last + 1))


@given(st.integers(1, 300), st.data())
def test_sets_of_one_division_are_equal_and_share_nothing(cores: int, data: st.DataObject) -> None:
    """All cores but those that are left over are in exactly one set."""
    sets = data.draw(st.integers(1, cores))
    names = core_sets(cores, sets)
    found = [cores_of(name, cores) for name in names]
    assert {len(each) for each in found} == {cores // sets}
    assert sum(map(len, found)) == len(set().union(*found)) == cores - cores_left(cores, sets)


@given(st.integers(1, 64), st.data())
def test_names_overlap_exactly_where_their_cores_do(cores: int, data: st.DataObject) -> None:
    """Whatever the two divisions are, on one engine; on two engines nothing overlaps."""
    divisions = data.draw(st.lists(st.integers(1, cores), min_size=2, max_size=2))
    names = [name for sets in divisions for name in core_sets(cores, sets)]
    for one, other in itertools.product(names, names):
        share = bool(cores_of(one, cores) & cores_of(other, cores))
        assert overlap(f"e/{one}", f"e/{other}") is share
        assert not overlap(f"e/{one}", f"f/{other}")


@pytest.mark.parametrize("other", ["gpu-1", "cpu", "cores-0-3", "cores-0-0"])
def test_a_gpu_overlaps_with_nothing_but_itself(other: str) -> None:
    """A training on a GPU and one on cores are let in beside each other."""
    assert overlap("e/gpu-0", "e/gpu-0")
    assert not overlap("e/gpu-0", f"e/{other}")
    assert not overlap(f"e/{other}", "e/gpu-0")


def test_more_sets_than_cores_are_refused() -> None:
    """The error names both numbers."""
    with pytest.raises(UserError, match="CPU_SETS is 3, and the engine's machine has 2 cores"):
        core_sets(2, 3)


@pytest.mark.parametrize(
    ("device", "gpu", "cpuset"),
    [
        ("gpu-0", "0", None), ("gpu-GPU-a1", "GPU-a1", None), ("cpu", None, None),
        ("cores-4-7", None, "4-7"), ("cores-4-7x", None, None), ("cores-٤-7", None, None),
    ],
)  # fmt: skip
def test_what_a_container_is_given(device: str, gpu: str | None, cpuset: str | None) -> None:
    """A GPU by its number, or a set of cores; for all cores there is nothing to be said."""
    assert (gpu_of(device), cpuset_of(device)) == (gpu, cpuset)
