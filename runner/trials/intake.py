"""From a contestant's request to an order that the executor can run, or to a refusal.

Everything in a request is a stranger's: the text is fetched from the contestant's own container,
bounded, and taken only when its digest is the one that was asked for.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from runner.engine import Engine
from runner.layout import RunDir
from runner.protocol import MAX_LINE_BYTES, MAX_TRAIN_PY_BYTES, TrialRequested
from runner.records import TrialSource, now
from runner.trials.executor import TrialOrder, packed
from runner.trials.ledger import Ledger
from trainer import constants

CATEGORIES = ("hyperparameter", "architecture", "optimizer", "schedule", "data", "other")
MAX_WORDS = 2000
MAX_COMPARED_CHARS = 256 * 1024
MAX_INT_BITS = 256
MAX_VALUE_CHARS = 200
ROOM_BYTES = 4096  # of a line, for what stands beside the text


@dataclass(frozen=True)
class Refusal:
    """Why a request became no trial, and what the contestant can do."""

    reason: str
    hint: str = ""


class Intake:
    """Makes orders from requests.

    Args:
        engine: where the contestant's container is.
        run_dir: where earlier trials' texts lie.
        ledger: the trials so far; a new one's parent is the best of them.
        pristine: the task's own train.py, the parent of the first trial.
        source: who asks.
    """

    def __init__(
        self, engine: Engine, run_dir: RunDir, ledger: Ledger, pristine: str, source: TrialSource
    ) -> None:
        self._engine = engine
        self._run_dir = run_dir
        self._ledger = ledger
        self._pristine = pristine
        self._source = source

    def order(self, container: str, request: TrialRequested, trial: int) -> TrialOrder | Refusal:
        """The order for a request, or why there is none.

        Raises:
            EngineError: the contestant's container could not be read.
        """
        text = self._from_knobs(request) if request.knobs else self._fetched(container, request)
        if isinstance(text, Refusal):
            return text
        if len(packed(text)) > MAX_LINE_BYTES - ROOM_BYTES:
            return Refusal("train.py is too big even when compressed", "take data out of it")
        parent = self._ledger.best()
        parent_text = self._text_of(parent.trial) if parent else self._pristine
        changed, other = _changes(parent_text, text)
        return TrialOrder(
            trial=trial,
            source=self._source,
            request=request.request,
            train_py=text,
            parent=parent.trial if parent else None,
            parent_train_py=parent_text,
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            commit=request.commit[:64],
            hypothesis=request.hypothesis[:MAX_WORDS],
            category=request.category if request.category in CATEGORIES else "other",
            knobs=request.knobs,
            knobs_changed=changed,
            other_changes=other,
            queued_at=now(),
        )

    def _text_of(self, trial: int) -> str:
        path = self._run_dir.trial(trial) / "train.py"
        return path.read_text(encoding="utf-8") if path.exists() else self._pristine

    def _from_knobs(self, request: TrialRequested) -> str | Refusal:
        try:
            return constants.rewrite(self._pristine, request.knobs)
        except ValueError as error:
            return Refusal(f"these knobs do not fit train.py: {error}")

    def _fetched(self, container: str, request: TrialRequested) -> str | Refusal:
        content = self._engine.get_file(container, request.path, MAX_TRAIN_PY_BYTES + 1)
        if content is None:
            return Refusal(f"there is no regular file {request.path}")
        if len(content) > MAX_TRAIN_PY_BYTES:
            return Refusal("train.py is over 1 MB", "take data out of it")
        if hashlib.sha256(content).hexdigest() != request.sha256:
            return Refusal("train.py changed while it was handed in", "ask again")
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            return Refusal(f"train.py is not UTF-8: {error}")


def _changes(before: str, after: str) -> tuple[dict[str, tuple[Any, Any]], bool]:
    """Which knobs differ, and whether anything else does; what cannot be compared is 'else'."""
    if max(len(before), len(after)) > MAX_COMPARED_CHARS:
        return {}, True
    try:
        change = constants.compare(before, after)
    except (ValueError, RecursionError, MemoryError):
        return {}, True
    knobs = {name: (_short(old), _short(new)) for name, (old, new) in change.knobs.items()}
    return knobs, change.other


def _short(value: Any) -> Any:
    """A value that a record can hold: numbers of a size, and text of a length, that make sense."""
    if isinstance(value, bool | float) or value is None:
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= MAX_INT_BITS else f"{hex(value)[:20]}…"
    return str(value)[:MAX_VALUE_CHARS]
