"""Dollars: worst cases are never below what genai-prices charges for any split of the tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images.gateway.gatewayd.prices import Prices
from images.gateway.gatewayd.settings import read_settings
from images.gateway.gatewayd.tokens import Tokens

MODELS = {
    "anthropic": ["claude-opus-4-6", "claude-sonnet-4-6", "claude-haiku-4-5", "claude-sonnet-4-5"],
    "openai": ["gpt-5.4", "gpt-5.4-mini", "gpt-4.1"],
    "google": ["gemini-3-flash-preview", "gemini-2.5-pro", "gemini-2.5-flash-lite"],
}


def prices(provider: str) -> Prices:
    config = {"provider": provider, "base_url": "https://a", "api_key": "k", "token": "t"}
    return Prices(read_settings(config | {"models": MODELS[provider], "deadline_seconds": 1}))


@pytest.mark.parametrize("provider", sorted(MODELS))
@given(
    counts=st.lists(st.integers(0, 600_000), min_size=4, max_size=4),
    output=st.integers(0, 200_000),
    spare=st.integers(0, 100_000),
)
def test_a_worst_case_is_the_worst(
    provider: str, counts: list[int], output: int, spare: int
) -> None:
    """However the prompt splits into fresh, cached and written, and if it is shorter than bound."""
    table = prices(provider)
    fresh, cached, short, long = counts
    for model in MODELS[provider]:
        for cache_writes, tokens in (
            ("", Tokens(fresh, cached, 0, 0, output)),
            ("5m", Tokens(fresh, cached, short, 0, output)),
            ("1h", Tokens(fresh, cached, short, long, output)),
        ):
            worst = table.worst_usd(model, tokens.prompt + spare, output, cache_writes)
            assert worst >= table.cost_usd(model, tokens)


@pytest.mark.parametrize("provider", sorted(MODELS))
def test_a_plain_worst_case_is_exact(provider: str) -> None:
    """Without caches the bound is the price itself, so that little is set aside for nothing."""
    table = prices(provider)
    for model in MODELS[provider]:
        for prompt in (0, 1000, 199_999, 300_000):
            exact = table.cost_usd(model, Tokens(input=prompt, output=5000))
            assert table.worst_usd(model, prompt, 5000, "") == exact
