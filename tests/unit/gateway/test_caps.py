"""Caps hold by reservation: a request that does not fit is lowered, waits, or is refused."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest

from .conftest import Make
from .rig import APIS, RunningGateway

# A price at which a body of a few hundred bytes and the fixed overhead cost little beside output.
CHEAP_INPUT = {"input": 0.01, "output": 100}


def priced(make: Make, api: str, **caps: Any) -> RunningGateway:
    """A gateway with round prices: $0.01 a million in, $100 a million out."""
    return make(api, caps=caps, prices={APIS[api].model: CHEAP_INPUT})


@pytest.mark.parametrize("api", ["anthropic", "responses", "chat", "google"])
def test_the_output_limit_is_lowered_to_what_is_left(make: Make, api: str) -> None:
    """With $1 left and 128,000 tokens requested, the provider is asked for just under 10,000."""
    gateway = priced(make, api, usd=1)
    reply = gateway.send({"input": 100, "output": 10**6}, **gateway.api.limited(128_000))
    assert reply.status == 200
    sent = gateway.served[0].body
    limit = (
        sent["generationConfig"]["maxOutputTokens"] if api == "google" else sent[gateway.api.limit]
    )
    assert 9_000 < limit < 10_000
    [record] = gateway.usage_records(1)
    assert record["output_tokens"] == limit
    assert Decimal("0.9") < gateway.context.budget.spent_usd <= 1


def test_a_missing_output_limit_is_set_near_the_cap(make: Make) -> None:
    """Codex sends no limit; the gateway sets one as soon as the worst case does not fit."""
    gateway = priced(make, "responses", usd=1)
    gateway.send({"output": 10})
    assert 9_000 < gateway.served[0].body["max_output_tokens"] < 10_000
    ample = priced(make, "responses", usd=1000)
    ample.send({"output": 10})
    assert "max_output_tokens" not in ample.served[0].body


SPENT = {
    "anthropic": (402, "billing_error"),
    "responses": (200, "insufficient_quota"),
    "chat": (402, "insufficient_quota"),
    "google": (402, "FAILED_PRECONDITION"),
}


@pytest.mark.parametrize("api", sorted(SPENT))
@pytest.mark.parametrize(("budget", "cap"), [("usd", 0.001), ("tokens", 50)])
def test_a_spent_budget_is_reported_in_a_form_each_cli_understands(
    make: Make, api: str, budget: str, cap: float
) -> None:
    """The refusal names the budget, nothing is forwarded, and the runner is told once."""
    gateway = priced(make, api, **{budget: cap})
    status, word = SPENT[api]
    for _ in range(2):
        reply = gateway.send()
        assert reply.status == status
        assert word in reply.body.decode()
        assert budget in reply.body.decode()
    assert gateway.served == []
    assert [name for name, _ in gateway.events.caps] == [budget]


def test_codex_gets_its_refusal_inside_of_a_stream(make: Make) -> None:
    """Codex ends cleanly at a `response.failed` event of code insufficient_quota."""
    gateway = priced(make, "responses", usd=0)
    reply = gateway.send()
    assert reply.headers["content-type"] == "text/event-stream"
    assert reply.body.startswith(b"event: response.failed\ndata: {")
    assert gateway.send(stream=False).status == 402


def test_only_forwarded_requests_are_counted(make: Make) -> None:
    """Three requests pass and are counted; a request that the policy refuses is not."""
    gateway = make("anthropic")
    gateway.send(unknown_field=1)
    assert [gateway.send().status for _ in range(3)] == [200, 200, 200]
    assert len(gateway.served) == 3
    assert gateway.context.budget.requests == 3


def test_a_token_cap_counts_input_and_output(make: Make) -> None:
    """Requests go on until a worst case does not fit; the sum stays below the cap."""
    gateway = make("anthropic", caps={"tokens": 10_000})
    while gateway.send({"input": 900, "output": 100}, max_tokens=2000).status == 200:
        pass
    assert len(gateway.served) >= 5
    assert sum(seen.input + seen.output for seen in gateway.served) <= 10_000
    assert gateway.events.caps[0][0] == "tokens"


def test_concurrent_requests_never_exceed_the_cap_together(make: Make) -> None:
    """Eight requests that each fit alone take turns, and the sum stays below the cap."""
    gateway = priced(make, "anthropic", usd=0.25)
    plan = {"output": 10**6, "pause": 0.02, "chunks": 2}
    threads = [
        threading.Thread(target=gateway.send, args=(plan,), kwargs={"max_tokens": 1000})
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(gateway.served) == 2
    assert gateway.context.budget.spent_usd <= Decimal("0.25")
    assert gateway.events.caps == [("usd", gateway.events.caps[0][1])]


def test_near_the_cap_the_provider_counts_the_prompt(make: Make) -> None:
    """The bound by bytes is four times too high; the provider's own count lets the request in."""
    gateway = make("anthropic", caps={"tokens": 9_000})
    reply = gateway.send({"input": 2000, "output": 50}, system="x" * 20_000, max_tokens=2000)
    assert reply.status == 200
    assert gateway.context.budget.spent_tokens == 2050


def test_the_output_limit_is_not_lowered_below_the_thinking_budget(make: Make) -> None:
    """A limit below the thinking budget would be an error, so such a request is refused."""
    gateway = priced(make, "anthropic", usd=1)
    thinking = {"type": "enabled", "budget_tokens": 50_000}
    assert gateway.send(max_tokens=60_000, thinking=thinking).status == 402
    assert gateway.served == []


def test_a_charge_above_the_reservation_is_recorded_as_it_is(make: Make) -> None:
    """A provider that bills more than the limit is believed, and the journal is told."""
    gateway = make("anthropic", caps={"usd": 10})
    gateway.send({"output": 100, "extra_output": 5000})
    [record] = gateway.usage_records(1)
    assert record["output_tokens"] == 5100
    assert gateway.events.problems[0][0] == "metering"


def test_a_model_without_a_price_stops_the_start(make: Make) -> None:
    """A run that allows unpriced models starts; its requests cost nothing and are counted."""
    with pytest.raises(ValueError, match="no price is known for model mystery-1"):
        make("anthropic", models=["mystery-1"])
    gateway = make("anthropic", models=["mystery-1"], allow_unpriced=True)
    gateway.send(model="mystery-1")
    [record] = gateway.usage_records(1)
    assert record["cost_usd"] == 0
    assert record["output_tokens"] == 20


def test_an_override_prices_an_unknown_model(make: Make) -> None:
    """Each kind of token has its rate; by default, writing a cache costs a quarter more."""
    rates = {"input": 2, "output": 8, "cached_read": 1, "cache_write_1h": 5}
    gateway = make("anthropic", models=["mystery-1"], prices={"mystery-1": rates})
    plan = {"input": 1000, "cached": 1000, "write_5m": 1000, "write_1h": 1000, "output": 1000}
    gateway.send(plan, model="mystery-1", max_tokens=1000)
    assert gateway.usage_records(1)[0]["cost_usd"] == pytest.approx(0.001 * (2 + 1 + 2.5 + 5 + 8))


def test_long_prompts_have_a_higher_price(make: Make) -> None:
    """Above 272,000 tokens of prompt gpt-5.4 costs more, for the whole request."""
    gateway = make("responses")
    gateway.send({"input": 300_000, "output": 1000})
    assert gateway.usage_records(1)[0]["cost_usd"] == pytest.approx(300_000 * 5e-6 + 1000 * 22.5e-6)
