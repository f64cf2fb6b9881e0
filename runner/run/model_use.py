"""What an agent spent on its model without a trial: since its last one, and in turns without any.

It is read from the journal, so a run that was resumed counts from its beginning.
"""

from __future__ import annotations

from collections.abc import Iterable

from runner.records.schema import Event, ModelUse, Spent


def since_last_trial(events: Iterable[Event], spent: Spent) -> ModelUse:
    """What was spent after the last trial was asked for; all of it where there was none.

    Args:
        events: the run's journal.
        spent: what the whole run has spent.
    """
    asked = [event for event in events if event.event == "turn.trial_asked"]
    return _between(_reading(asked[-1]) if asked else ModelUse(), _total(spent))


def in_turns_without_trial(events: Iterable[Event], spent: Spent) -> ModelUse:
    """What was spent in all turns that asked for no trial; the closing turn does not count.

    A request that is settled between two turns belongs to the earlier one.

    Args:
        events: the run's journal.
        spent: what the whole run has spent.
    """
    wanted = [e for e in events if e.event in ("turn.started", "turn.trial_asked")]
    starts = [i for i, event in enumerate(wanted) if event.event == "turn.started"]
    total = ModelUse()
    for number, start in enumerate(starts):
        last = number + 1 == len(starts)
        end = len(wanted) if last else starts[number + 1]
        if end > start + 1 or wanted[start].fields.get("prompt") == "closing":
            continue
        after = _total(spent) if last else _reading(wanted[end])
        total = _sum(total, _between(_reading(wanted[start]), after))
    return total


def _reading(event: Event) -> ModelUse:
    """What had been spent when the event was written; a turn that it begins is not counted yet."""
    turns = int(event.fields.get("turn", 0)) - (event.event == "turn.started")
    return ModelUse.model_validate({**event.fields, "turns": turns})


def _total(spent: Spent) -> ModelUse:
    return ModelUse(usd=spent.usd, tokens=spent.tokens, requests=spent.requests, turns=spent.turns)


def _between(before: ModelUse, after: ModelUse) -> ModelUse:
    return ModelUse(
        usd=max(0.0, after.usd - before.usd),
        tokens=max(0, after.tokens - before.tokens),
        requests=max(0, after.requests - before.requests),
        turns=max(0, after.turns - before.turns),
    )


def _sum(one: ModelUse, other: ModelUse) -> ModelUse:
    return ModelUse(
        usd=one.usd + other.usd,
        tokens=one.tokens + other.tokens,
        requests=one.requests + other.requests,
        turns=one.turns + other.turns,
    )
