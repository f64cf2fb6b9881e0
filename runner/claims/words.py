"""The words of such logs: what columns are called, and what a status means.

Names and statuses are those that 77 public logs of such runs use.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

COLUMNS_BEFORE = ("experiment", "timestamp", "commit", "hypothesis", "category", "change")
COLUMNS_AFTER = ("delta", "status")  # of the value, whose column has the metric's name
MAX_NAME = 100  # characters

Outcome = Literal["keep", "revert", "crash", "skip", ""]

# By column of the protocol: its other names, the likeliest first.
NAMES: dict[str, tuple[str, ...]] = {
    "experiment": (
        *("experiment", "exp", "experiment_id", "exp_id", "experiment_num", "iteration", "iter"),
        *("iteration_id", "trial", "trial_id", "run", "run_id", "num", "number", "no", "id", "gen"),
        *("generation", "cycle", "#", "session"),
    ),
    "timestamp": ("timestamp", "time", "datetime", "date", "ts", "when", "utc", "created_at"),
    "commit": (
        *("commit", "commit_hash", "commit_sha", "git_commit", "git_sha", "git_hash", "sha"),
        *("hash", "revision", "rev"),
    ),
    "hypothesis": ("hypothesis", "idea", "agent_idea", "rationale", "motivation", "why"),
    "category": ("category", "change_type", "kind", "type", "tags"),
    "change": (
        *("change", "changes", "description", "change_summary", "desc", "summary", "mutation"),
        *("mutations", "what_was_tried", "what", "notes", "note", "title", "name"),
    ),
    "delta": ("delta", "improvement", "improvement_pct", "gain", "diff", "delta_pct"),
    "status": (
        *("status", "decision", "verdict", "outcome", "kept/discarded", "kept", "accepted"),
        *("keep", "accept", "result", "action", "state"),
    ),
}
# Names of columns of figures, the surest first; a part of a name counts less than the whole.
METRICS = ("metric", "score", "value", "metric_value", "primary_metric", "fitness", "composite")
_METRIC_WORDS = frozenset({"metric", "score", "fitness", "composite", "after"})
_TOTALS = ("total", "objective", "reward")
_HELD_OUT = ({"val", "valid", "validation"}, {"test", "eval", "dev"})
# A column with such a word in its name holds another figure than the one that was measured.
_NO_METRIC = frozenset(
    {
        *("best", "prev", "previous", "before", "baseline", "champion", "delta", "diff", "gain"),
        *("improvement", "memory", "mem", "gb", "mb", "vram", "ram", "seconds", "secs", "elapsed"),
        *("duration", "wall", "time", "cost", "usd", "steps", "step", "epochs", "epoch", "params"),
        *("lr", "rate_limit", "p", "depth", "batch", "size", "hours", "minutes", "train", "std"),
        *("sd", "sigma", "target", "expected", "config", "seed", "timestamp", "version", "dim"),
        *("layers", "heads", "width", "confidence", "segment"),
    }
)
_STATUSES: dict[Outcome, tuple[str, ...]] = {
    "keep": (
        *("keep", "kept", "accept", "accepted", "true", "yes", "improved", "improvement", "best"),
        *("success", "ok", "pass", "passed", "baseline", "promote", "promoted", "win", "better"),
        *("contender", "merged", "1", "✓", "✅", "保留"),
    ),
    "revert": (
        *("revert", "reverted", "discard", "discarded", "reject", "rejected", "false", "no"),
        *(
            "same",
            "regression",
            "regressed",
            "worse",
            "undo",
            "undone",
            "kill",
            "rollback",
            "dropped",
        ),
        *("drop", "gate", "0", "回滚", "丢弃", "✗", "❌"),
    ),
    "crash": (
        *("crash", "crashed", "oom", "fail", "failed", "error", "timeout", "killed"),
        *("broken", "nan", "diverged", "invalid"),
    ),
    "skip": (
        *("skip", "skipped", "tbd", "blocked", "deferred", "pending", "running", "planned", "todo"),
    ),
    "": (
        *("partial", "done", "complete", "completed", "finished", "tentative", "repair"),
        *("support", "insight", "ceiling", "verify", "?"),
    ),
}
_OUTCOMES = {word: outcome for outcome, words in _STATUSES.items() for word in words}
_WEAK = frozenset({"0", "1", "no", "yes", "?", "time", "best", "same"})  # they are said of much
_WORD = re.compile(r"[^\W_]+|[✓✅✗❌?]")
_NOTHING = re.compile(r"[\s\-–—_.?/]*|n/?a|none|null|nan|inf(inity)?|skip(ped)?|tbd", re.IGNORECASE)


def columns(metric_name: str) -> tuple[str, ...]:
    """The columns that the protocol asks for; the value's column has the metric's name."""
    return (*COLUMNS_BEFORE, metric_name, *COLUMNS_AFTER)


@lru_cache(maxsize=4096)
def column_name(cell: str) -> str:
    """A column's name, however it is written: ` **Val BPB** (lower) ` is val_bpb."""
    bare = re.sub(r"\([^()]*\)\s*$", "", cell[:MAX_NAME].strip(" \t\"'`*"))
    return re.sub(r"[\s-]+", "_", bare.strip(" \t\"'`*").rstrip("?:").lower())


_ROLES = {name: role for role, names in NAMES.items() for name in names}


def role_of(name: str) -> str:
    """The column of the protocol that goes by this name, or nothing."""
    return _ROLES.get(name, "")


def is_known(name: str, metric_name: str) -> bool:
    """Whether a log of experiments has columns of this name."""
    return name in _ROLES or name == metric_name or name in METRICS


@lru_cache(maxsize=4096)
def metric_rank(name: str, metric_name: str) -> int | None:
    """How surely a column of this name holds the metric: 0 is its own name, None is never.

    0 to 2 are names that say so: the metric's own, all of its words, or its last word. From 3 on
    the name says only that something was measured. 7 and more say nothing.
    """
    if name == metric_name:
        return 0
    words = set(re.split(r"[^\w]+|_", name))
    if words & _NO_METRIC or name in _ROLES or not name:
        return None
    own = metric_name.split("_")
    nested = 10 if "." in name else 0
    held_out = next((at for at, known in enumerate(_HELD_OUT) if words & known), None)
    ranks = (
        (1, words.issuperset(own)),
        (2, own[-1] in words),
        (3, name in METRICS),
        (4, bool(words & _METRIC_WORDS)),
        (4, name in _TOTALS),
        (5, held_out == 0),
        (6, held_out == 1),
    )
    return nested + next((rank for rank, is_so in ranks if is_so), 7)


@lru_cache(maxsize=4096)
def known_status(cell: str) -> Outcome | None:
    """What a status means, by the first of its words that is known; None when none is.

    An empty outcome is a known status that is neither of those.
    """
    for word in _WORD.findall(cell[:MAX_NAME].lower()):
        if word in _OUTCOMES:
            return _OUTCOMES[word]
    return None


def is_plain_status(cell: str) -> bool:
    """Whether a cell is a status and nothing else; `1`, `no` and their like are too common."""
    words = _WORD.findall(cell[:MAX_NAME].lower())
    return bool(words) and len(words) <= 3 and words[0] in _OUTCOMES and words[0] not in _WEAK


def is_nothing(cell: str) -> bool:
    """Whether a cell stands for no value: empty, a dash, `n/a`, `inf`."""
    return len(cell) < MAX_NAME and _NOTHING.fullmatch(cell) is not None


def share(cells: Iterable[bool]) -> float:
    """The share of cells of which something is so; 0 of none."""
    said = list(cells)
    return sum(said) / len(said) if said else 0.0
