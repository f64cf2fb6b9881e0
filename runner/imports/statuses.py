"""How a foreign trial ended, whether it was kept, and whether its figure is a value."""

from __future__ import annotations

import re

from runner.claims.number import read_number
from runner.claims.words import MAX_NAME, known_status
from runner.metrics import LARGEST
from runner.records.schema import TrialStatus

_ENDS: tuple[tuple[TrialStatus, re.Pattern[str]], ...] = (
    ("oom", re.compile(r"oom|out[ _-]?of[ _-]?memory")),
    ("timeout", re.compile(r"time[ _-]?d?[ _-]?out")),
    ("killed", re.compile(r"killed|interrupted|cancel+ed|preempt|aborted|stopped")),
    ("pruned", re.compile(r"pruned")),
)
# A trial that ended well, of which nobody says whether its change was kept.
_ONLY_WELL = frozenset({"ok", "success", "pass", "passed"})
_WORD = re.compile(r"[^\W_]+|[✓✅✗❌?]")


def status_of(said: str, value: str = "") -> TrialStatus:
    """How a trial ended.

    A trial that was skipped ended before it measured anything: it is pruned.

    Args:
        said: its status in the words of the source.
        value: its figure as written; many write `FAIL` or `nan` there.
    """
    written = value if said == "" or _is_failure(value) else said
    lower = written[:MAX_NAME].lower()
    for status, words in _ENDS:
        if words.search(lower):
            return status
    outcome = known_status(written)
    if outcome == "crash":
        return "crash"
    return "pruned" if outcome == "skip" and written == said else "ok"


def _is_failure(value: str) -> bool:
    return read_number(value) is None and known_status(value) == "crash"


def kept_of(said: str) -> bool | None:
    """Whether the source says that the change was kept; None where it says neither."""
    outcome = known_status(said)
    if outcome == "keep":
        words = _WORD.findall(said[:MAX_NAME].lower())
        first = next(word for word in words if known_status(word) is not None)
        return None if first in _ONLY_WELL else True
    return False if outcome == "revert" else None


def figure_of(written: str) -> float | None:
    """The number that a cell holds, if a trial can have measured it."""
    try:
        value = float(written)
    except ValueError:
        number = read_number(written)
        value = float("nan") if number is None else number.value
    return value if abs(value) <= LARGEST else None  # no NaN, no infinity


def value_of(said: str, written: str) -> float | None:
    """What a trial measured: nothing if it failed or was skipped.

    A 0 below a status that nobody knows is what programs write where there is nothing.
    """
    if status_of(said, written) != "ok":
        return None
    value = figure_of(written)
    return None if value == 0 and said and known_status(said) is None else value
