"""Moments and spans of time, in words that fit a narrow column."""

from __future__ import annotations

from datetime import UTC, datetime

MINUTE, HOUR, DAY = 60, 3600, 86_400


def moment(at: str) -> datetime | None:
    """A moment of a record; None where it is none, or has no time zone."""
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        return None
    return None if found.tzinfo is None else found


def seconds_since(at: datetime | None, now: datetime) -> float | None:
    """Seconds from a moment to now, at least 0."""
    return None if at is None else max(0.0, (now - at).total_seconds())


def in_words(seconds: float | None) -> str:
    """`12 s`, `3 min`, `5 h`, `2 d`; a dash where it is not known."""
    if seconds is None:
        return "–"
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def present() -> datetime:
    return datetime.now(UTC)
