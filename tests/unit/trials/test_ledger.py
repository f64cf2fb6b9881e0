"""The ledger: what was measured, the same after it is read again."""

from __future__ import annotations

from typing import Any

from runner.metrics import VAL_BPB, Metric
from runner.records.layout import RunDir
from runner.records.schema import TrialRecord
from runner.trials.ledger import Ledger


def record(trial: int, **fields: Any) -> TrialRecord:
    made = {"source": "agent", "request": f"r-{trial}", "status": "ok", "value": 2.0, **fields}
    return TrialRecord(trial=trial, **made)


def crash(trial: int) -> TrialRecord:
    return record(trial, status="crash", value=None)


def test_a_new_ledger_is_empty(run_dir: RunDir) -> None:
    """Without a trial there is no best, no number and no status."""
    ledger = Ledger(run_dir, VAL_BPB)
    assert ledger.best() is None
    assert ledger.best_measured() is None
    assert ledger.highest_number() == 0
    assert ledger.by_status() == {}
    assert ledger.of_request("r-1") is None


def test_a_ledger_reads_back_as_it_was(run_dir: RunDir) -> None:
    """After a restart the records, the best and the numbers are the same."""
    ledger = Ledger(run_dir, VAL_BPB)
    for made in (record(1, value=2.5), crash(2), record(3, value=2.1), record(4, value=2.1)):
        ledger.append(made)
    again = Ledger(run_dir, VAL_BPB)
    for of in (ledger, again):
        assert [r.trial for r in of.records] == [1, 2, 3, 4]
        best = of.best_measured()
        assert best is not None
        assert (best.trial, best.value) == (3, 2.1)
        assert of.by_status() == {"ok": 3, "crash": 1}
        assert of.highest_number() == 4
    assert again.records == ledger.records
    assert again.of_request("r-2") == crash(2)


def test_a_re_run_by_the_referee_is_nobodys_best(run_dir: RunDir) -> None:
    """The contestant's best is of its own trials."""
    ledger = Ledger(run_dir, VAL_BPB)
    ledger.append(record(1, value=2.5))
    ledger.append(record(2, value=1.0, source="referee"))
    best = ledger.best()
    assert best is not None
    assert best.trial == 1
    assert ledger.highest_number() == 2


def test_the_best_of_a_maximised_metric_is_the_highest(run_dir: RunDir) -> None:
    """Of equals the first counts; 0 and negative values are values."""
    ledger = Ledger(run_dir, Metric(name="reward", direction="maximize"))
    for made in (record(1, value=-2.0), crash(2), record(3, value=0.0), record(4, value=0.0)):
        ledger.append(made)
    best = ledger.best_measured()
    assert best is not None
    assert (best.trial, best.value) == (3, 0.0)


def test_a_trial_that_did_not_end_well_is_nobodys_best(run_dir: RunDir) -> None:
    """A pruned trial has a value, and it is no measurement of the whole training."""
    ledger = Ledger(run_dir, VAL_BPB)
    ledger.append(record(1, value=2.5))
    ledger.append(record(2, value=1.0, status="pruned"))
    best = ledger.best()
    assert best is not None
    assert best.trial == 1


def test_crashes_alone_have_no_best(run_dir: RunDir) -> None:
    """A run in which nothing was measured has no best trial, and that is no error."""
    ledger = Ledger(run_dir, VAL_BPB)
    ledger.append(crash(1))
    assert ledger.best_measured() is None
