"""On which cores a session is scored."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from images.judge.scorer import stay_on


@pytest.fixture
def own() -> Iterator[list[int]]:
    """The cores of this process, which it has again afterwards."""
    before = os.sched_getaffinity(0)
    yield sorted(before)
    os.sched_setaffinity(0, before)


def test_what_scores_a_trial_stays_on_its_cores(own: list[int]) -> None:
    """The last core alone, and of a set that is larger than the machine, what there is."""
    assert stay_on(f"{own[-1]}-{own[-1]}") == 1
    assert os.sched_getaffinity(0) == {own[-1]}
    os.sched_setaffinity(0, own)
    assert stay_on(f"0-{own[-1] + 7}") == len(own)


@pytest.mark.parametrize("cores", ["", "0", "x-y", "-", "9999-9999", "3-2"])
def test_without_cores_that_it_can_have_it_has_all(own: list[int], cores: str) -> None:
    """An earlier runner names none; a judge scores in any case."""
    assert stay_on(cores) == len(own)
    assert sorted(os.sched_getaffinity(0)) == own
