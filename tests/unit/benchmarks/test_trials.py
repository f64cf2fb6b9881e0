"""What a whole trial costs: how it is read from a run's records."""

from __future__ import annotations

import pytest

from benchmarks.baselines import trial as bench
from runner.records.schema import TrialRecord


def test_the_time_between_two_trials_is_from_an_end_to_a_start() -> None:
    """Each trial but the first has such a gap."""
    moments = [
        ("10:00:00.000", "10:00:09.500"),
        ("10:00:09.750", "10:00:20"),
        ("10:00:21", "10:01"),
    ]
    trials = [
        TrialRecord(
            trial=number, source="sampler", request="", status="ok",
            started_at=f"2026-01-01T{began}Z", ended_at=f"2026-01-01T{ended}Z",
        )
        for number, (began, ended) in enumerate(moments, 1)
    ]  # fmt: skip
    assert bench.gaps(trials) == [pytest.approx(0.25), pytest.approx(1.0)]


def test_the_table_has_a_row_for_each_sampler() -> None:
    """Its figures are seconds with two digits."""
    its = {"between": 0.051, "within": 0.9, "bare": 0.6, "beyond": 0.351}
    assert "| tpe | 0.05 | 0.90 | 0.60 | 0.35 |" in bench.table({"random": its, "tpe": its})
