"""OpenAI's usage reports: the same figures, with different names in its two dialects.

Cached and written tokens are part of the input, and reasoning is part of the output. OpenAI writes
to its cache without being asked, which costs a quarter more from gpt-5.6 on.

Source: https://platform.openai.com/docs/guides/prompt-caching and `ResponseUsage` of openai 3.51.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .base import UsageReading
from .policy import names
from .tokens import Tokens, checked_total, count_in, parts_of, unknown_kinds

# Parts that have the price of the whole, or that are read by name.
KNOWN_PARTS = names(
    """
    cached_tokens cache_write_tokens reasoning_tokens text_tokens image_tokens
    accepted_prediction_tokens rejected_prediction_tokens
    """
)


@dataclass(frozen=True)
class SumNames:
    """What a dialect calls the two sums."""

    input: str
    output: str


RESPONSES_SUMS = SumNames("input_tokens", "output_tokens")
CHAT_SUMS = SumNames("prompt_tokens", "completion_tokens")


def read_usage(sums: SumNames, usage: dict[str, Any]) -> UsageReading:
    """The tokens of a report.

    Args:
        sums: what the dialect calls the two sums.
        usage: the report.

    Raises:
        BadReportError: a figure makes no sense.
    """
    of_input, of_output = f"{sums.input}_details", f"{sums.output}_details"
    inconsistencies = unknown_kinds(usage, (sums.input, sums.output, "total_tokens"))
    for details in (usage.get(of_input), usage.get(of_output)):
        inconsistencies += unknown_kinds(details, KNOWN_PARTS) if isinstance(details, dict) else []
    cached = count_in(usage, of_input, "cached_tokens")
    written = count_in(usage, of_input, "cache_write_tokens")
    reasoned = count_in(usage, of_output, "reasoning_tokens")
    plain, input_inconsistencies = parts_of(
        count_in(usage, sums.input), {"cached": cached, "written": written}
    )
    visible, output_inconsistencies = parts_of(count_in(usage, sums.output), {"reasoned": reasoned})
    inconsistencies += input_inconsistencies + output_inconsistencies
    tokens = Tokens(plain, cached, written, output=visible + reasoned, reasoning=reasoned)
    total = usage.get("total_tokens")
    tokens = checked_total(tokens, total if isinstance(total, int) else None, inconsistencies)
    return UsageReading(tokens, tuple(inconsistencies))
