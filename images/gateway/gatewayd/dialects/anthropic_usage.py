"""Anthropic's usage reports: four kinds of tokens, none of which is part of another.

Source: https://docs.claude.com/en/api/messages and /build-with-claude/prompt-caching
"""

from __future__ import annotations

from typing import Any

from .base import UsageReading
from .policy import names
from .tokens import Tokens, count_in, unknown_kinds

KNOWN_KINDS = names(
    "input_tokens output_tokens cache_read_input_tokens cache_creation_input_tokens"
)


def read_usage(usage: dict[str, Any]) -> UsageReading:
    """The tokens of a report.

    Raises:
        BadReportError: a figure makes no sense.
    """
    inconsistencies = unknown_kinds(usage, KNOWN_KINDS)
    writes = count_in(usage, "cache_creation_input_tokens")
    short = count_in(usage, "cache_creation", "ephemeral_5m_input_tokens")
    long = count_in(usage, "cache_creation", "ephemeral_1h_input_tokens")
    if short + long not in (0, writes):
        inconsistencies.append(f"cache writes of {short} and {long} do not add up to {writes}")
    server = usage.get("server_tool_use")
    if isinstance(server, dict) and any(isinstance(n, int) and n > 0 for n in server.values()):
        inconsistencies.append("tools ran on the provider's side")
    thoughts = count_in(usage, "output_tokens_details", "thinking_tokens")
    tokens = Tokens(
        input=count_in(usage, "input_tokens"),
        cached_read=count_in(usage, "cache_read_input_tokens"),
        cache_write_5m=max(short, writes - long),
        cache_write_1h=long,
        output=count_in(usage, "output_tokens"),
        reasoning=thoughts,
    )
    return UsageReading(tokens, tuple(inconsistencies))
