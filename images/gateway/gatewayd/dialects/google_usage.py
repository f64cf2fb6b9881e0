"""Google's usage reports: cached tokens are part of the prompt, thoughts are a kind of their own.

Source: https://ai.google.dev/api/generate-content#UsageMetadata
"""

from __future__ import annotations

from typing import Any

from .base import UsageReading
from .policy import names
from .tokens import Tokens, checked_total, count_in, parts_of, unknown_kinds

SUMS = names(
    """
    promptTokenCount cachedContentTokenCount toolUsePromptTokenCount candidatesTokenCount
    thoughtsTokenCount totalTokenCount
    """
)
# Kinds of content with the price of text.
TEXT_PRICED = names("MODALITY_UNSPECIFIED TEXT IMAGE DOCUMENT")


def read_usage(usage: dict[str, Any]) -> UsageReading:
    """The tokens of a report.

    Raises:
        BadReportError: a figure makes no sense.
    """
    inconsistencies = unknown_kinds(usage, SUMS) + _content_with_own_price(usage)
    cached = count_in(usage, "cachedContentTokenCount")
    thoughts = count_in(usage, "thoughtsTokenCount")
    prompt = count_in(usage, "promptTokenCount") + count_in(usage, "toolUsePromptTokenCount")
    plain, prompt_inconsistencies = parts_of(prompt, {"cached": cached})
    inconsistencies += prompt_inconsistencies
    output = count_in(usage, "candidatesTokenCount") + thoughts
    tokens = Tokens(input=plain, cached_read=cached, output=output, reasoning=thoughts)
    total = usage.get("totalTokenCount")
    tokens = checked_total(tokens, total if isinstance(total, int) else None, inconsistencies)
    return UsageReading(tokens, tuple(inconsistencies))


def _content_with_own_price(usage: dict[str, Any]) -> list[str]:
    """One sentence for each detail of a report that has a price of its own."""
    lists = [value for name, value in usage.items() if name.endswith("TokensDetails")]
    details = [part for listed in lists if isinstance(listed, list) for part in listed]
    return [
        f"{part.get('tokenCount')} tokens of {str(part.get('modality'))[:20]} are priced as text"
        for part in details
        if isinstance(part, dict) and part.get("tokenCount")
        if part.get("modality") not in TEXT_PRICED
    ]
