"""Reads what an optimiser says of where a trial came from: bounded, and never believed about money.

The optimizer's container may be hostile, and its `proposal` is its own word. So every text and
every list is cut, a source that is not known is `unknown`, and dollars and tokens are taken from
the gateway's records alone, when the trial has ended.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from typing import Any

from runner.records.proposal import DEFAULT, FALLBACK, MODEL, UNKNOWN, WARM, Proposal

MAX_NAME_CHARS = 64
MAX_REQUESTS = 256
MAX_CHANGED = 256
MAX_REPAIRS = 32
MAX_WHY_CHARS = 500


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
        requests=_names(said.get("requests"), MAX_REQUESTS),
        changed={_cut(knob): _cut(how) for knob, how in itertools.islice(pairs, MAX_CHANGED)},
        repairs=_names(said.get("repairs"), MAX_REPAIRS),
        duplicate=said.get("duplicate") is True,
        why=_cut(said.get("why", ""), MAX_WHY_CHARS),
    )


def _names(value: Any, most: int) -> tuple[str, ...]:
    """The texts in a list, each once; those that are too long to be names are left out."""
    texts = (one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
    short = (one for one in texts if len(one) <= MAX_NAME_CHARS)
    return tuple(dict.fromkeys(itertools.islice(short, most)))


def _cut(value: Any, most: int = MAX_NAME_CHARS) -> str:
    return value[:most] if isinstance(value, str) else ""
