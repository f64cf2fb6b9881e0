"""What passes: every byte, in both directions, for all dialects; and what it is charged."""

from __future__ import annotations

from decimal import Decimal

import pytest

from .conftest import Make
from .rig import KEY, TOKEN, Live

PLAN = {"input": 1000, "cached": 500, "output": 70, "reasoning": 30}


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_passes_byte_for_byte(live: Live, stream: bool) -> None:
    """The client gets exactly what the provider sent, and the provider what the client sent."""
    reply = live.ask({"chunks": 50}, stream=stream)
    [seen] = live.served
    assert (reply.status, reply.whole) == (200, True)
    assert reply.body == seen.sent
    assert "PLAN" in str(seen.body)


@pytest.mark.parametrize("stream", [True, False])
def test_tokens_are_counted_by_kind_and_priced(live: Live, stream: bool) -> None:
    """Input without cached, cached, output with reasoning: the provider's figures, in dollars."""
    live.ask(PLAN, stream=stream)
    [record] = live.settled(1)
    assert record["input_tokens"] == 1000
    assert record["cached_read_tokens"] == 500
    assert record["output_tokens"] == 70
    assert record["reasoning_tokens"] == (0 if live.api.provider == "anthropic" else 30)
    assert record["charged_by"] == "usage"
    rates = {"anthropic": (5, 0.5, 25), "openai": (2.5, 0.25, 15), "google": (0.5, 0.05, 3)}
    fresh, cached, out = rates[live.api.provider]
    assert record["cost_usd"] == pytest.approx((1000 * fresh + 500 * cached + 70 * out) / 1e6)
    assert live.desk.budget.spent_usd == Decimal(str(record["cost_usd"]))


@pytest.mark.parametrize("stream", [True, False])
def test_cache_writes_have_two_prices(make: Make, stream: bool) -> None:
    """Anthropic's five-minute and one-hour cache writes are told apart and priced apart."""
    live = make("anthropic")
    live.ask({"input": 0, "write_5m": 1000, "write_1h": 2000, "output": 0}, stream=stream)
    [record] = live.settled(1)
    assert (record["cache_write_5m_tokens"], record["cache_write_1h_tokens"]) == (1000, 2000)
    assert record["cost_usd"] == pytest.approx((1000 * 6.25 + 2000 * 10) / 1e6)


def test_the_provider_sees_the_key_and_nothing_of_the_token(live: Live) -> None:
    """Every credential from inside is replaced, wherever it stood."""
    headers = live.api.auth | {"Cookie": f"a={TOKEN}", "X-Forwarded-For": "10.0.0.1"}
    assert live.ask(headers=headers).status == 200
    [seen] = live.served
    assert TOKEN not in str(seen.headers)
    assert [text for text in seen.headers.values() if KEY in text] in ([KEY], [f"Bearer {KEY}"])
    assert not {"cookie", "x-forwarded-for"} & set(seen.headers)


def test_the_answer_carries_no_cookie(live: Live) -> None:
    """Of the provider's headers only the useful ones come in."""
    reply = live.ask()
    assert reply.headers["x-request-id"] == "req-1"
    assert "set-cookie" not in reply.headers


def test_a_body_of_many_tiny_chunks_passes(make: Make) -> None:
    """Ten thousand chunks arrive in order, and the usage behind them is found."""
    live = make("anthropic")
    reply = live.ask({"chunks": 10_000, "chunk_bytes": 1})
    assert reply.body == live.served[0].sent
    assert live.settled(1)[0]["output_tokens"] == 20


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("usage", ["none", "negative"])
def test_an_answer_without_true_usage_is_charged_its_worst_case(
    live: Live, usage: str, stream: bool
) -> None:
    """No usage, or one of negative numbers, is charged by the reservation and marked so."""
    live.ask({"usage": usage}, stream=stream)
    [record] = live.settled(1)
    assert record["charged_by"] == "reservation"
    assert record["cost_usd"] > 0
