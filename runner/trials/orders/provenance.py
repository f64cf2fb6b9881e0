"""Reads what an optimiser says of where a trial came from: bounded, and never believed about money.

The optimizer's container may be hostile, and its `proposal` is its own word. So every text and
every list is cut, a source that is not known is `unknown`, and dollars and tokens are taken from
the gateway's records alone, when the trial has ended.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from runner.records.proposal import DEFAULT, FALLBACK, MODEL, UNKNOWN, WARM, Proposal
from runner.wire.model_config import MAX_CHANGE_CHARS, MAX_NAME_CHARS, MAX_REPAIRS

MAX_REQUESTS = 256
MAX_CHANGED = 256
MAX_WHY_CHARS = 500
ELLIPSIS = "…"


def read_proposal(said: Mapping[str, Any], samplers: Collection[str]) -> Proposal:
    """The proposal of a request, without its costs.

    Args:
        said: the field of `trial.requested`: any JSON object.
        samplers: the names of samplers that a method may work with.
    """
    by, changed = said.get("by"), said.get("changed")
    known = {DEFAULT, MODEL, WARM, FALLBACK, *samplers}
    pairs = changed.items() if isinstance(changed, Mapping) else ()
    return Proposal(
        by=by if isinstance(by, str) and by in known else UNKNOWN,
        requests=_requests(said.get("requests")),
        changed={
            _cut(knob, MAX_NAME_CHARS): _cut(how, MAX_CHANGE_CHARS)
            for knob, how in itertools.islice(pairs, MAX_CHANGED)
        },
        repairs=_repairs(said.get("repairs")),
        duplicate=said.get("duplicate") is True,
        why=_cut(said.get("why", ""), MAX_WHY_CHARS),
    )


def _requests(value: Any) -> tuple[str, ...]:
    """The names in a list, each once; one that is too long is no name of the gateway's."""
    short = (one for one in _texts(value) if len(one) <= MAX_NAME_CHARS)
    return tuple(dict.fromkeys(itertools.islice(short, MAX_REQUESTS)))


def _repairs(value: Any) -> tuple[str, ...]:
    """The texts in a list, each once, and cut where it is long."""
    cut = (_cut(one, MAX_CHANGE_CHARS) for one in _texts(value))
    return tuple(itertools.islice(dict.fromkeys(cut), MAX_REPAIRS))


def _texts(value: Any) -> Iterator[str]:
    yield from (one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _cut(value: Any, most: int) -> str:
    """A text of at most so many characters, which ends in an ellipsis where it was longer."""
    if not isinstance(value, str):
        return ""
    return value if len(value) <= most else value[: most - len(ELLIPSIS)] + ELLIPSIS
