"""The dollar cap on a few short random schedules; tests/docker has the long ones."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from .rig import Background
from .schedules import Schedule, play, schedules


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(schedule=schedules(rounds=2, together=4))
def test_no_schedule_spends_more_than_the_cap(
    background: Background, tmp_path_factory: pytest.TempPathFactory, schedule: Schedule
) -> None:
    """Spent plus reserved stays below the cap, and the records match what the provider served."""
    play(schedule, background, tmp_path_factory.mktemp("run"))
