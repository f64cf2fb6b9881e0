"""What the judge measures on the way is journalled; what a model may cost is its gateway's cap."""

from __future__ import annotations

import math

import pytest

from runner.metrics import VAL_BPB
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.run.container_plan import caps_of, journal_estimate
from runner.spec import Budget
from runner.wire.messages import ScoreEstimated
from runner.wire.start_config import Caps


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


@pytest.mark.parametrize(
    ("bounds", "caps"),
    [
        ({"hours": 1.0}, Caps()),
        ({"usd": 2.0, "tokens": 9}, Caps(usd=2.0, tokens=9)),
        ({"total_usd": 3.0}, Caps(usd=3.0)),
        ({"total_usd": 3.0, "usd": 2.0}, Caps(usd=2.0)),
        ({"total_usd": 1.0, "usd": 2.0}, Caps(usd=1.0)),
    ],
)
def test_a_model_may_cost_no_more_than_any_bound_of_dollars(
    bounds: dict[str, float], caps: Caps
) -> None:
    """Before any device was held, all of a common budget is there for the model."""
    assert caps_of(Budget(**bounds)) == caps  # type: ignore[arg-type]
