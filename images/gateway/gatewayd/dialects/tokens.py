"""Tokens by kind: the form into which the usage reports of all providers are brought."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Tokens:
    """What a request used, in tokens. The kinds do not overlap, except for `reasoning`.

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
    """A usage report holds a figure that is not a whole number of at least 0."""


def count_in(table: Any, *path: str) -> int:
    """The whole number at `path` in a provider's report; 0 where there is none.

    Raises:
        BadReportError: there is something else, so nothing in the report can be trusted.
    """
    for key in path:
        table = table.get(key) if isinstance(table, dict) else None
    if table is None:
        return 0
    if isinstance(table, bool) or not isinstance(table, int) or table < 0:
        raise BadReportError(f"{'.'.join(path)} is {table!r:.40}")
    return table


def unknown_kinds(usage: dict[str, Any], known: Collection[str]) -> list[str]:
    """One sentence for each kind of tokens in a report that is above 0 and not known."""
    return [
        f"{name} is {value}, and the gateway does not know this kind"
        for name, value in usage.items()
        if name not in known and name.endswith(("tokens", "TokenCount"))
        if isinstance(value, int) and value > 0
    ]


def parts_of(whole: int, parts: dict[str, int]) -> tuple[int, list[str]]:
    """Splits a sum: what its named parts leave, and the inconsistencies that were found.

    A sum that is smaller than its parts is taken to be reported without them, so all of it is left.
    """
    left = whole - sum(parts.values())
    if left >= 0:
        return left, []
    named = " and ".join(f"{name} {count}" for name, count in parts.items() if count)
    return whole, [f"{named} together exceed the {whole} that they are part of"]


def checked_total(tokens: Tokens, total: int | None, inconsistencies: list[str]) -> Tokens:
    """The tokens; what a reported total has beyond them is added to the output.

    Args:
        tokens: by kind.
        total: as the provider reports it; None where it reports none.
        inconsistencies: gets a sentence when the two differ.
    """
    if total is None or total == tokens.total:
        return tokens
    inconsistencies.append(f"the total is {total}, but its kinds add up to {tokens.total}")
    return replace(tokens, output=tokens.output + max(0, total - tokens.total))
