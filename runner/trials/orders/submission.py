"""Turns a contestant's request into an order that the executor can run, or into a refusal.

Nothing in a request is trusted: the text is fetched from the contestant's own container, its size
is bounded, and it is taken only when its digest is the one that the request names.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from runner.engine.client import Engine
from runner.errors import PathError
from runner.records.layout import RunDir
from runner.records.proposal import Proposal
from runner.records.schema import TrialSource, now
from runner.trials.ledger import Ledger
from runner.trials.orders.order import TrialOrder
from runner.trials.orders.provenance import read_proposal
from runner.wire.messages import (
    CATEGORIES,
    MAX_HYPOTHESIS_CHARS,
    MAX_TRAIN_PY_BYTES,
    TrialRequested,
)
from runner.wire.protocol import MAX_LINE_BYTES, pack_text
from trainer import constants

MAX_INT_BITS = 256
MAX_VALUE_CHARS = 200
MAX_KNOBS = 256  # changed ones that a record lists
MAX_REASON_CHARS = 500
MARGIN_BYTES = 4096  # of a line, for what stands beside the text


@dataclass(frozen=True)
class Refusal:
    """Why a request became no trial, and what the contestant can do."""

    reason: str
    hint: str = ""


class SubmissionReader:
    """Makes orders of requests.

    Args:
        engine: where the contestant's container is.
        run_dir: where earlier trials' texts lie.
        ledger: the trials so far; a new one's parent is the best of them.
        pristine: the task's own train.py, the parent of the first trial.
        source: who asks.
        proposers: the samplers that may have proposed a trial beside a model; None where no model
            proposes any, and nothing that is said of that is kept.
    """

    def __init__(
        self,
        engine: Engine,
        run_dir: RunDir,
        ledger: Ledger,
        pristine: str,
        source: TrialSource,
        proposers: Collection[str] | None = None,
    ) -> None:
        self._engine = engine
        self._run_dir = run_dir
        self._ledger = ledger
        self._pristine = pristine
        self._source = source
        self._proposers = proposers

    def order(self, container: str, request: TrialRequested, trial: int) -> TrialOrder | Refusal:
        """The order for a request, or why there is none.

        Raises:
            EngineError: the contestant's container could not be read.
        """
        text = self._from_knobs(request) if request.knobs else self._fetched(container, request)
        if isinstance(text, Refusal):
            return text
        if len(pack_text(text)) > MAX_LINE_BYTES - MARGIN_BYTES:
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
            hypothesis=request.hypothesis[:MAX_HYPOTHESIS_CHARS],
            category=request.category if request.category in CATEGORIES else "other",
            knobs=request.knobs,
            knobs_changed=changed,
            other_changes=other,
            queued_at=now(),
            proposal=self._proposal(request),
        )

    def _proposal(self, request: TrialRequested) -> Proposal | None:
        if self._proposers is None:
            return None
        return read_proposal(request.proposal, self._proposers)

    def _text_of(self, trial: int) -> str:
        path = self._run_dir.trial(trial) / "train.py"
        return path.read_text(encoding="utf-8") if path.exists() else self._pristine

    def _from_knobs(self, request: TrialRequested) -> str | Refusal:
        try:
            return constants.rewrite(self._pristine, request.knobs)
        except (ValueError, RecursionError) as error:
            return Refusal(f"these knobs do not fit train.py: {error}"[:MAX_REASON_CHARS])

    def _fetched(self, container: str, request: TrialRequested) -> str | Refusal:
        try:
            content = self._engine.get_file(container, request.path, MAX_TRAIN_PY_BYTES + 1)
        except PathError:  # its message names paths of the host, which no agent needs to see
            content = None
        if content is None:
            return Refusal(f"there is no regular file {request.path}", "ask again with `trial`")
        if len(content) > MAX_TRAIN_PY_BYTES:
            return Refusal("train.py is over 1 MB", "take data out of it")
        if hashlib.sha256(content).hexdigest() != request.sha256:
            return Refusal("train.py changed while it was handed in", "ask again")
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            return Refusal(f"train.py is not UTF-8: {error}")


def _changes(before: str, after: str) -> tuple[dict[str, tuple[Any, Any]], bool]:
    """The knobs that differ, and whether anything else does; True if they cannot be compared."""
    try:
        change = constants.compare(before, after)
        first = itertools.islice(change.knobs.items(), MAX_KNOBS)
        knobs = {name[:MAX_VALUE_CHARS]: (_short(old), _short(new)) for name, (old, new) in first}
    except (ValueError, RecursionError, MemoryError):
        return {}, True
    return knobs, change.other or len(change.knobs) > MAX_KNOBS


def _short(value: Any) -> Any:
    """The value as a record can hold it: huge numbers and long texts are shortened."""
    if isinstance(value, bool | float) or value is None:
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= MAX_INT_BITS else f"{hex(value)[:20]}…"
    return str(value)[:MAX_VALUE_CHARS]
