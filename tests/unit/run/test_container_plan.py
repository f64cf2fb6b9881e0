"""What the judge measures on the way is journalled."""

from __future__ import annotations

import math

import pytest

from runner.metrics import VAL_BPB
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.run.container_plan import journal_estimate
from runner.wire.messages import ScoreEstimated


@pytest.mark.parametrize(
    ("fraction", "value", "fields"),
    [
        (0.25, 2.5, [{"trial": 7, "fraction": 0.25, "value": 2.5}]),
        (0.25, math.nan, []),
        (0.25, 1e301, []),
        (math.nan, 2.5, []),
        (-7.0, 2.5, []),
    ],
)
def test_an_estimate_that_can_be_is_journalled(
    run_dir: RunDir, fraction: float, value: float, fields: list[dict[str, float]]
) -> None:
    """What the metric cannot have, and a share that is none, are left out."""
    journal = Journal(run_dir)
    journal_estimate(
        journal, VAL_BPB, {"s-1": 7}.__getitem__, ScoreEstimated("s-1", fraction, value, 1.0)
    )
    assert [event.fields for event in journal.events()] == fields


def test_a_full_disk_ends_no_run_for_an_estimate(run_dir: RunDir) -> None:
    """The ledger will have it at the trial's end."""
    run_dir.events.symlink_to("/dev/full")
    journal_estimate(Journal(run_dir), VAL_BPB, lambda _: 7, ScoreEstimated("s-1", 0.5, 2.5, 1.0))
    assert run_dir.trials.exists() is False
