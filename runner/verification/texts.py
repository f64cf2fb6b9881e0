"""Which texts of a run are verified, and the orders of the referee's own trials of them."""

from __future__ import annotations

from collections.abc import Iterable

from runner.metrics import Metric
from runner.records.best import best_trial, measured_value, own_trials
from runner.records.layout import RunDir
from runner.records.schema import TrialRecord, now
from runner.spec import Texts
from runner.trials.orders.order import TrialOrder
from runner.trials.terms import Terms


def chosen(trials: Iterable[TrialRecord], metric: Metric, which: Texts) -> list[TrialRecord]:
    """The contestant's trials whose texts are verified, the best one first.

    Args:
        trials: the ledger.
        metric: what the run measures.
        which: best (the best trial) or kept (every trial that was better than all before it, as a
            careful agent keeps them).
    """
    own = list(own_trials(trials))
    if which == "best":
        best = best_trial(own, metric)
        return [best] if best is not None else []
    kept: list[TrialRecord] = []
    for trial in sorted(own, key=lambda one: one.trial):
        value = measured_value(trial, metric)
        before = measured_value(kept[0], metric) if kept else None
        if value is not None and trial.judged and (before is None or metric.better(value, before)):
            kept.insert(0, trial)
    return kept


def order(run_dir: RunDir, trial: TrialRecord, number: int, seed: int, terms: Terms) -> TrialOrder:
    """The order of a referee's trial of the text of a contestant's trial.

    Args:
        run_dir: the run, which has the text.
        trial: the contestant's trial.
        number: the referee's trial, from 1.
        seed: its training seed, for its name.
        terms: how it runs and is scored.

    Raises:
        OSError: the text is gone.
        UnicodeDecodeError: it is not the text that a trial had.
    """
    text = (run_dir.trial(trial.trial) / "train.py").read_bytes().decode("utf-8")
    return TrialOrder(
        trial=number,
        source="referee",
        request=request(trial.trial, seed),
        train_py=text,
        parent=trial.trial,
        parent_train_py=text,
        sha256=trial.sha256,
        queued_at=now(),
        terms=terms,
    )


def request(trial: int, seed: int) -> str:
    """The name of a referee's trial: of which contestant's trial, and with which training seed."""
    return f"referee-{trial}-{seed}"
