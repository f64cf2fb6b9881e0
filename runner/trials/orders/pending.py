"""Trials that were accepted and have no end: each is kept on the disk first, and found again.

A trial is pending when the journal says that it was queued and the ledger has no line for it: its
runner was killed, or the run was suspended. Of such a trial there is no result, because what the
judge said of it was lost with the runner. So it runs again, from what lies in its folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import ValidationError

from runner.records.files import explained, to_json, write_whole
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.records.schema import Event, KeptOrder, TrialRecord
from runner.trials.ledger import Ledger
from runner.trials.orders.order import TrialOrder
from runner.wire.messages import MAX_TRAIN_PY_BYTES

QUEUED, LOST = "trial.queued", "trial.lost"
MAX_ORDER_BYTES = 1 << 20
MAX_REASON_CHARS = 300
MAX_TOLD = 12  # trials that a prompt names


def keep_order(run_dir: RunDir, journal: Journal, order: TrialOrder) -> None:
    """Write a trial's text and what was asked for into its folder, then the journal's line of it.

    Once this returns, the trial is accepted: whatever ends the runner, it can be run again.

    Raises:
        HostError: the disk is full or the folder is not writable.
    """
    folder = run_dir.trial(order.trial)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "train.py", order.train_py)
    names = KeptOrder.model_fields.keys() - {"schema_version"}
    kept = KeptOrder.model_validate({name: getattr(order, name) for name in names})
    write_whole(folder / "order.json", to_json(kept))
    journal.write(
        QUEUED,
        trial=order.trial,
        request=order.request,
        hypothesis=order.hypothesis,
        knobs_changed={name: list(pair) for name, pair in order.knobs_changed.items()},
        other_changes=order.other_changes,
    )


def pending_orders(run_dir: RunDir, ledger: Ledger, journal: Journal) -> list[TrialOrder]:
    """The orders that were accepted and have no line in the ledger, by number.

    One that cannot be read any more is journalled as `trial.lost`, once, with the reason.
    """
    events = journal.events()
    over = {record.trial for record in ledger.records} | lost_trials(events)
    answered = {record.request for record in ledger.records}
    orders = []
    for trial, request in sorted(_queued(events).items()):
        if trial in over or request in answered:
            continue
        order = _read_order(run_dir, trial, request)
        if isinstance(order, TrialOrder):
            orders.append(order)
        else:
            journal.write(LOST, trial=trial, request=request, reason=order[:MAX_REASON_CHARS])
    return orders


def end_pending(
    ledger: Ledger,
    journal: Journal,
    reason: str,
    *,
    rehearsed: bool,
    priced: Callable[[TrialRecord], TrialRecord] = lambda record: record,
) -> list[TrialRecord]:
    """Record every pending trial as killed, for a run that nobody goes on with.

    Args:
        ledger: gets the records.
        journal: the run's.
        reason: why they are killed.
        rehearsed: whether a scripted model stood behind the run.
        priced: completes a record with what its proposal cost.

    Raises:
        HostError: the disk is full.
    """
    records = [
        priced(order.record(status="killed", reason=reason, rehearsed=rehearsed))
        for order in pending_orders(ledger.run_dir, ledger, journal)
    ]
    for record in records:
        ledger.append(record)
        journal.write(
            "trial.finished", trial=record.trial, status=record.status, value=None,
            train_seconds=0.0, wall_seconds=0.0, reason=reason,
        )  # fmt: skip
    return records


def highest_queued(events: Iterable[Event]) -> int:
    """The highest number that a trial ever got; 0 when there was none."""
    return max(_queued(events), default=0)


def lost_trials(events: Iterable[Event]) -> set[int]:
    """The trials that were accepted, and of which nothing could be read any more."""
    return set(_of_kind(events, LOST))


def cut_trials(events: Iterable[Event]) -> set[int]:
    """The trials of the agent's last turn, if no runner saw how that turn ended."""
    within: list[Event] | None = None
    for event in events:
        if event.event == "turn.started":
            within = []
        elif event.event == "turn.finished":
            within = None
        elif within is not None:
            within.append(event)
    return set(_queued(within or []))


def in_words(trials: Iterable[int], ledger: Ledger, journal: Journal) -> str:
    """What has become of the trials of a turn that was cut off, for the next turn's prompt.

    Args:
        trials: their numbers; of very many, only the last ones are named.
        ledger: how they ended.
        journal: says which of them were lost.
    """
    lost = lost_trials(journal.events())
    ended = {record.trial: record for record in ledger.records}
    lines = []
    for trial in sorted(trials)[-MAX_TOLD:]:
        record = ended.get(trial)
        if record is not None and record.value is not None:
            how = f"{record.status}, {ledger.metric.name} {record.value:.6f}"
        elif record is not None:
            how = record.status
        else:
            how = "lost, so hand it in again" if trial in lost else "not over yet"
        lines.append(f"- trial {trial}: {how}")
    return "\n".join((
        "The run was interrupted and your last turn was cut off. These trials went on without "
        "you; do not hand in again what has ended (`trial list` shows all trials of the run):",
        *lines,
    ))  # fmt: skip


def _queued(events: Iterable[Event]) -> dict[int, str]:
    """The number of each trial that was accepted → the contestant's name for its request."""
    return _of_kind(events, QUEUED)


def _of_kind(events: Iterable[Event], kind: str) -> dict[int, str]:
    """The trials that events of a kind name → the request of each."""
    fields = (event.fields for event in events if event.event == kind)
    return {it["trial"]: str(it.get("request", "")) for it in fields if _is_number(it.get("trial"))}


def _is_number(trial: object) -> bool:
    return isinstance(trial, int) and trial > 0


def _read_order(run_dir: RunDir, trial: int, request: str) -> TrialOrder | str:
    """An order from its folder, or why there is none."""
    folder = run_dir.trial(trial)
    try:
        kept = KeptOrder.model_validate_json(_read(folder / "order.json", MAX_ORDER_BYTES))
        text = _read(folder / "train.py", MAX_TRAIN_PY_BYTES).decode("utf-8")
    except ValidationError:
        return "its order.json is broken"
    except (OSError, ValueError) as error:
        return f"its files cannot be read: {error}"
    if (kept.trial, kept.request) != (trial, request):
        return "its order.json is that of another trial"
    if hashlib.sha256(text.encode()).hexdigest() != kept.sha256:
        return "its train.py is not the one that was handed in"
    fields = kept.model_dump(exclude={"schema_version", "proposal"}) | {"proposal": kept.proposal}
    parent_text = _parent_text(run_dir, kept.parent)
    return TrialOrder(train_py=text, parent_train_py=parent_text or text, **fields)


def _parent_text(run_dir: RunDir, parent: int | None) -> str:
    """The parent's text, "" where it is gone: then only the difference to it is not known."""
    path = run_dir.pristine if parent is None else run_dir.trial(parent) / "train.py"
    try:
        return _read(path, MAX_TRAIN_PY_BYTES).decode("utf-8")
    except (OSError, ValueError):
        return ""


def _read(path: Path, limit: int) -> bytes:
    """A regular file of at most so many bytes.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no regular file, or is larger.
    """
    if path.is_symlink() or not path.is_file():
        raise ValueError(f"{path.name} is not there")
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"{path.name} is too large")
    return content
