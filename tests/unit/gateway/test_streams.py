"""Relayed answers: every byte in both directions, for all dialects, and their charges."""

from __future__ import annotations

from decimal import Decimal

import pytest

from .conftest import Make
from .rig import KEY, TOKEN, RunningGateway

PLAN = {"input": 1000, "cached": 500, "output": 70, "reasoning": 30}


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_is_relayed_byte_for_byte(gateway: RunningGateway, stream: bool) -> None:
    """The client gets exactly what the provider sent, and the provider what the client sent."""
    reply = gateway.send({"chunks": 50}, stream=stream)
    [seen] = gateway.served
    assert (reply.status, reply.whole) == (200, True)
    assert reply.body == seen.sent
    assert "PLAN" in str(seen.body)


@pytest.mark.parametrize("stream", [True, False])
def test_tokens_are_counted_by_kind_and_priced(gateway: RunningGateway, stream: bool) -> None:
    """Fresh input, cached input, and output with reasoning are the provider's figures."""
    gateway.send(PLAN, stream=stream)
    [record] = gateway.usage_records(1)
    assert record["input_tokens"] == 1000
    assert record["cached_read_tokens"] == 500
    assert record["output_tokens"] == 70
    assert record["reasoning_tokens"] == (0 if gateway.api.provider == "anthropic" else 30)
    assert record["charged_by"] == "usage"
    rates = {"anthropic": (5, 0.5, 25), "openai": (2.5, 0.25, 15), "google": (0.5, 0.05, 3)}
    fresh, cached, out = rates[gateway.api.provider]
    assert record["cost_usd"] == pytest.approx((1000 * fresh + 500 * cached + 70 * out) / 1e6)
    assert gateway.context.budget.spent_usd == Decimal(str(record["cost_usd"]))


@pytest.mark.parametrize("stream", [True, False])
def test_cache_writes_have_two_prices(make: Make, stream: bool) -> None:
    """Anthropic's five-minute and one-hour cache writes have prices of their own."""
    gateway = make("anthropic")
    gateway.send({"input": 0, "write_5m": 1000, "write_1h": 2000, "output": 1}, stream=stream)
    [record] = gateway.usage_records(1)
    assert (record["cache_write_5m_tokens"], record["cache_write_1h_tokens"]) == (1000, 2000)
    assert record["cost_usd"] == pytest.approx((1000 * 6.25 + 2000 * 10 + 25) / 1e6)


def test_the_provider_gets_the_key_and_not_the_token(gateway: RunningGateway) -> None:
    """Every credential from the sandbox is replaced, in whatever header it stands."""
    headers = gateway.api.auth | {"Cookie": f"a={TOKEN}", "X-Forwarded-For": "10.0.0.1"}
    assert gateway.send(headers=headers).status == 200
    [seen] = gateway.served
    assert TOKEN not in str(seen.headers)
    assert [text for text in seen.headers.values() if KEY in text] in ([KEY], [f"Bearer {KEY}"])
    assert not {"cookie", "x-forwarded-for"} & set(seen.headers)


def test_the_client_gets_only_useful_headers(gateway: RunningGateway) -> None:
    """The request id of the provider is relayed, a cookie is not."""
    reply = gateway.send()
    assert reply.headers["x-request-id"] == "req-1"
    assert "set-cookie" not in reply.headers


def test_ten_thousand_tiny_chunks_are_relayed(make: Make) -> None:
    """They arrive in order, and the usage after them is found."""
    gateway = make("anthropic")
    reply = gateway.send({"chunks": 10_000, "chunk_bytes": 1})
    assert reply.body == gateway.served[0].sent
    assert gateway.usage_records(1)[0]["output_tokens"] == 20


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("usage", ["none", "negative"])
def test_an_answer_without_valid_usage_is_charged_its_worst_case(
    gateway: RunningGateway, usage: str, stream: bool
) -> None:
    """Missing or negative usage is charged by the reservation, and recorded as such."""
    gateway.send({"usage": usage}, stream=stream)
    [record] = gateway.usage_records(1)
    assert record["charged_by"] == "reservation"
    assert record["cost_usd"] > 0
