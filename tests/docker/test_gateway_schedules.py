"""The dollar cap on many long random schedules, with restarts in between."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from tests.unit.gateway.rig import Background
from tests.unit.gateway.schedules import Schedule, play, schedules


@pytest.fixture(scope="module")
def background() -> Iterator[Background]:
    made = Background()
    yield made
    made.close()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(schedule=schedules(rounds=4, together=8))
def test_no_long_schedule_spends_more_than_the_cap(
    background: Background, tmp_path_factory: pytest.TempPathFactory, schedule: Schedule
) -> None:
    """Spent plus reserved stays below the cap, and the records match what the provider served."""
    play(schedule, background, tmp_path_factory.mktemp("run"))
