"""Which texts of a run the referee runs again."""

from __future__ import annotations

from pathlib import Path

from runner.metrics import VAL_BPB
from runner.records.layout import RunDir
from runner.records.schema import TrialRecord
from runner.spec import Texts
from runner.trials.terms import Terms
from runner.verification import texts

LEDGER = [(1, 2.0), (2, 2.1), (3, 1.9), (4, None), (5, 1.95), (6, 1.7), (7, 1.7)]


def trial(number: int, value: float | None, *, judged: bool = True) -> TrialRecord:
    return TrialRecord(
        trial=number, source="agent", request=f"r{number}", value=value, judged=judged,
        status="crash" if value is None else "ok",
    )  # fmt: skip


def numbers(which: Texts, trials: list[TrialRecord]) -> list[int]:
    return [one.trial for one in texts.chosen(trials, VAL_BPB, which)]


def test_the_best_or_the_kept() -> None:
    """Kept are the trials that were better than all before them; the best one comes first."""
    ledger = [trial(number, value) for number, value in LEDGER]
    assert numbers("best", ledger) == [6]
    assert numbers("kept", ledger) == [6, 3, 1]
    assert numbers("best", [trial(1, None)]) == []
    assert numbers("kept", []) == []


def test_values_that_no_judge_measured_are_not_verified() -> None:
    """A run of an earlier version has nothing to compare with."""
    assert numbers("kept", [trial(1, 2.0, judged=False), trial(2, 1.9, judged=False)]) == []


def test_the_order_has_the_very_text(tmp_path: Path) -> None:
    """Line ends and all, under the referee's name, so that it counts for no budget."""
    run_dir = RunDir(tmp_path)
    folder = run_dir.trial(6)
    folder.mkdir(parents=True)
    (folder / "train.py").write_bytes("a = 'é'\r\nb\r".encode())
    terms = Terms("referee", seed=7)
    order = texts.order(run_dir, trial(6, 1.7), 2, 7, terms)
    assert order.train_py == "a = 'é'\r\nb\r"
    assert (order.source, order.request, order.trial) == ("referee", "referee-6-7", 2)
    assert order.terms == terms
