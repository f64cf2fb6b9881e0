"""Tokens by kind: the common measure of the three providers' usage reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Tokens:
    """What a request used, in tokens; the kinds do not overlap but for `reasoning`.

    Attributes:
        input: prompt tokens that were neither read from nor written to a cache.
        cached_read: prompt tokens read from a cache.
        cache_write_5m: prompt tokens written to a five-minute cache.
        cache_write_1h: prompt tokens written to a one-hour cache.
        output: everything generated, reasoning included.
        reasoning: the part of `output` that was reasoning.
    """

    input: int = 0
    cached_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def prompt(self) -> int:
        """All tokens of the prompt, however they were billed."""
        return self.input + self.cached_read + self.cache_write_5m + self.cache_write_1h

    @property
    def total(self) -> int:
        """All tokens, in and out."""
        return self.prompt + self.output


class BadReportError(ValueError):
    """A usage report that holds something else than whole numbers of at least 0."""


def count_in(table: Any, *path: str) -> int:
    """The whole number at `path` in a provider's report, 0 where there is none.

    Raises:
        BadReportError: there is something else, so that nothing in the report can be believed.
    """
    for key in path:
        table = table.get(key) if isinstance(table, dict) else None
    if table is None:
        return 0
    if isinstance(table, bool) or not isinstance(table, int) or table < 0:
        raise BadReportError(f"{'.'.join(path)} is {table!r:.40}")
    return table
