"""Prices: a worst case is never below the price of genai-prices, for any split of the tokens."""

from __future__ import annotations

from decimal import Decimal

import pytest
from genai_prices import Usage
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, Provider
from hypothesis import given
from hypothesis import strategies as st

from images.gateway.gatewayd.accounting.prices import Prices
from images.gateway.gatewayd.dialects.tokens import Tokens
from images.gateway.gatewayd.settings import read_settings

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
def test_no_request_costs_more_than_its_worst_case(
    provider: str, counts: list[int], output: int, spare: int
) -> None:
    """This holds for every split into fresh, cached and written, and for a shorter prompt."""
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
def test_a_worst_case_without_caches_is_exact(provider: str) -> None:
    """Without caches the bound is the price itself, so nothing is reserved in vain."""
    table = prices(provider)
    for model in MODELS[provider]:
        for prompt in (0, 1000, 199_999, 300_000):
            exact = table.cost_usd(model, Tokens(input=prompt, output=5000))
            assert table.worst_usd(model, prompt, 5000, "") == exact


def by_genai_prices(provider: Provider, model: ModelInfo, tokens: Tokens) -> Decimal:
    """The cost as genai-prices calculates it."""
    counts = {"input_tokens": tokens.prompt, "output_tokens": tokens.output}
    writes = tokens.cache_write_5m + tokens.cache_write_1h
    parts = {
        "cache_read_tokens": tokens.cached_read,
        "cache_write_tokens": writes,
        "cache_write_1h_tokens": tokens.cache_write_1h,
    }
    usage = Usage(**counts, **{name: count for name, count in parts.items() if count})
    return model.calc_price(usage, provider).total_price


EDGES = (0, 1000, 199_999, 200_000, 200_001, 272_001, 600_000)


@pytest.mark.parametrize("provider_id", ["anthropic", "openai", "google"])
def test_a_cost_equals_that_of_genai_prices(provider_id: str) -> None:
    """They agree for every listed model, at the edges of every tier, to the last digit."""
    provider = next(one for one in get_snapshot().providers if one.id == provider_id)
    config: dict[str, object]
    config = {"provider": provider_id, "base_url": "https://a", "api_key": "k", "token": "t"}
    config |= {"allow_unpriced": True, "deadline_seconds": 1}  # a listed name may match nothing
    names = [model.id for model in provider.models]
    table = Prices(read_settings(config | {"models": names}))
    compared = 0
    for name in [name for name in names if name not in table.unpriced]:
        listed = get_snapshot().find_provider_model(name, None, provider_id, None)[1]
        for n, fresh in enumerate(EDGES):
            other = EDGES[(n * 3 + 2) % len(EDGES)]
            for tokens in (
                Tokens(input=fresh, output=other),
                Tokens(fresh, other, output=500),
                Tokens(fresh, other, 700, output=500),
                Tokens(fresh, 0, 700, other, output=0),
            ):
                assert table.cost_usd(name, tokens) == by_genai_prices(provider, listed, tokens)
                compared += 1
    assert compared > 500
