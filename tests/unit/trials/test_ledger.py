"""The ledger: what was measured, the same after it is read again."""

from __future__ import annotations

from typing import Any

from runner.layout import RunDir
from runner.records import TrialRecord
from runner.trials.ledger import Ledger


def record(trial: int, **fields: Any) -> TrialRecord:
    made = {"source": "agent", "request": f"r-{trial}", "status": "ok", "val_bpb": 2.0, **fields}
    return TrialRecord(trial=trial, **made)


def crash(trial: int) -> TrialRecord:
    return record(trial, status="crash", val_bpb=None)


def test_a_new_ledger_is_empty(run_dir: RunDir) -> None:
    """Without a trial there is no best, no number and no status."""
    ledger = Ledger(run_dir)
    assert ledger.best() is None
    assert ledger.best_measured() is None
    assert ledger.highest_number() == 0
    assert ledger.by_status() == {}
    assert ledger.of_request("r-1") is None


def test_a_ledger_reads_back_as_it_was(run_dir: RunDir) -> None:
    """After a restart the records, the best and the numbers are the same."""
    ledger = Ledger(run_dir)
    for made in (record(1, val_bpb=2.5), crash(2), record(3, val_bpb=2.1), record(4, val_bpb=2.1)):
        ledger.append(made)
    again = Ledger(run_dir)
    for of in (ledger, again):
        assert [r.trial for r in of.records] == [1, 2, 3, 4]
        best = of.best_measured()
        assert best is not None
        assert (best.trial, best.val_bpb) == (3, 2.1)
        assert of.by_status() == {"ok": 3, "crash": 1}
        assert of.highest_number() == 4
    assert again.records == ledger.records
    assert again.of_request("r-2") == crash(2)


def test_a_re_run_by_the_referee_is_nobodys_best(run_dir: RunDir) -> None:
    """The contestant's best is of its own trials."""
    ledger = Ledger(run_dir)
    ledger.append(record(1, val_bpb=2.5))
    ledger.append(record(2, val_bpb=1.0, source="referee"))
    best = ledger.best()
    assert best is not None
    assert best.trial == 1
    assert ledger.highest_number() == 2


def test_crashes_alone_have_no_best(run_dir: RunDir) -> None:
    """A run in which nothing was measured has no best trial, and that is no error."""
    ledger = Ledger(run_dir)
    ledger.append(crash(1))
    assert ledger.best_measured() is None
