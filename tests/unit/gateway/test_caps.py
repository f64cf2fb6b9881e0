"""Caps hold by reservation: what does not fit is lowered, waits, or is refused; never forwarded."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest

from .conftest import Make
from .rig import APIS, Live

# A price at which a body of a few hundred bytes and the fixed overhead cost little beside output.
CHEAP_INPUT = {"input": 0.01, "output": 100}


def priced(make: Make, api: str, **caps: Any) -> Live:
    """A gateway with round prices: $0.01 a million in, $100 a million out."""
    return make(api, caps=caps, prices={APIS[api].model: CHEAP_INPUT})


@pytest.mark.parametrize("api", ["anthropic", "responses", "chat", "google"])
def test_the_output_limit_is_lowered_to_what_is_left(make: Make, api: str) -> None:
    """With $1 left and 128,000 tokens asked for, the provider is asked for just under 10,000."""
    live = priced(make, api, usd=1)
    reply = live.ask({"input": 100, "output": 10**6}, **live.api.limited(128_000))
    assert reply.status == 200
    sent = live.served[0].body
    limit = sent["generationConfig"]["maxOutputTokens"] if api == "google" else sent[live.api.limit]
    assert 9_000 < limit < 10_000
    [record] = live.settled(1)
    assert record["output_tokens"] == limit
    assert Decimal("0.9") < live.desk.budget.spent_usd <= 1


def test_an_output_limit_that_is_not_given_is_set_near_the_cap(make: Make) -> None:
    """Codex sends none: then the gateway names one as soon as the worst case does not fit."""
    live = priced(make, "responses", usd=1)
    live.ask({"output": 10})
    assert 9_000 < live.served[0].body["max_output_tokens"] < 10_000
    ample = priced(make, "responses", usd=1000)
    ample.ask({"output": 10})
    assert "max_output_tokens" not in ample.served[0].body


SPENT = {
    "anthropic": (402, "billing_error"),
    "responses": (200, "insufficient_quota"),
    "chat": (402, "insufficient_quota"),
    "google": (402, "FAILED_PRECONDITION"),
}


@pytest.mark.parametrize("api", sorted(SPENT))
@pytest.mark.parametrize(("budget", "cap"), [("usd", 0.001), ("tokens", 50), ("requests", 0)])
def test_a_spent_budget_ends_the_run_as_each_cli_understands(
    make: Make, api: str, budget: str, cap: float
) -> None:
    """A refusal that names the budget, nothing forwarded, and one word to the runner."""
    live = priced(make, api, **{budget: cap})
    status, word = SPENT[api]
    for _ in range(2):
        reply = live.ask()
        assert reply.status == status
        assert word in reply.body.decode()
        assert budget in reply.body.decode()
    assert live.served == []
    assert [name for name, _ in live.news.caps] == [budget]


def test_codex_gets_its_refusal_inside_of_a_stream(make: Make) -> None:
    """A `response.failed` event of code insufficient_quota, which ends it cleanly."""
    live = priced(make, "responses", requests=0)
    reply = live.ask()
    assert reply.headers["content-type"] == "text/event-stream"
    assert reply.body.startswith(b"event: response.failed\ndata: {")
    assert live.ask(stream=False).status == 402


def test_a_request_cap_counts_what_was_forwarded(make: Make) -> None:
    """Three pass, the fourth does not; a refused one does not count."""
    live = make("anthropic", caps={"requests": 3})
    live.ask(never_heard_of=1)
    assert [live.ask().status for _ in range(5)] == [200, 200, 200, 402, 402]
    assert len(live.served) == 3


def test_a_token_cap_counts_input_and_output(make: Make) -> None:
    """Requests go on until a worst case does not fit any more; the sum stays below the cap."""
    live = make("anthropic", caps={"tokens": 10_000})
    while live.ask({"input": 900, "output": 100}, max_tokens=2000).status == 200:
        pass
    assert len(live.served) >= 5
    assert sum(seen.input + seen.output for seen in live.served) <= 10_000
    assert live.news.caps[0][0] == "tokens"


def test_requests_at_once_never_exceed_the_cap_together(make: Make) -> None:
    """Eight at once, each fitting alone: they take turns, and the sum stays below the cap."""
    live = priced(make, "anthropic", usd=0.25)
    plan = {"output": 10**6, "pause": 0.02, "chunks": 2}
    threads = [
        threading.Thread(target=live.ask, args=(plan,), kwargs={"max_tokens": 1000})
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(live.served) == 2
    assert live.desk.budget.spent_usd <= Decimal("0.25")
    assert live.news.caps == [("usd", live.news.caps[0][1])]


def test_near_the_cap_the_provider_counts_the_prompt(make: Make) -> None:
    """Bytes are four times too many tokens: what they forbid, the provider's own count allows."""
    live = make("anthropic", caps={"tokens": 9_000})
    reply = live.ask({"input": 2000, "output": 50}, system="x" * 20_000, max_tokens=2000)
    assert reply.status == 200
    assert live.desk.budget.spent_tokens == 2050


def test_thinking_keeps_its_room_when_output_is_lowered(make: Make) -> None:
    """A limit below the thinking budget would be an error, so such a request is refused."""
    live = priced(make, "anthropic", usd=1)
    thinking = {"type": "enabled", "budget_tokens": 50_000}
    assert live.ask(max_tokens=60_000, thinking=thinking).status == 402
    assert live.served == []


def test_more_than_was_allowed_is_written_down_as_it_is(make: Make) -> None:
    """A provider that bills beyond the limit is believed, and the journal is told."""
    live = make("anthropic", caps={"usd": 10})
    live.ask({"output": 100, "extra_output": 5000})
    [record] = live.settled(1)
    assert record["output_tokens"] == 5100
    assert live.news.problems[0][0] == "metering"


def test_a_model_without_a_price_stops_the_start(make: Make) -> None:
    """Unless the run says that it may; then its requests cost nothing and are still counted."""
    with pytest.raises(ValueError, match="no price is known for model mystery-1"):
        make("anthropic", models=["mystery-1"])
    live = make("anthropic", models=["mystery-1"], allow_unpriced=True)
    live.ask(model="mystery-1")
    [record] = live.settled(1)
    assert record["cost_usd"] == 0
    assert record["output_tokens"] == 20


def test_an_override_prices_what_genai_prices_does_not_know(make: Make) -> None:
    """Each kind of token at its own rate; a kind without one costs what input does."""
    rates = {"input": 2, "output": 8, "cached_read": 1, "cache_write_1h": 5}
    live = make("anthropic", models=["mystery-1"], prices={"mystery-1": rates})
    plan = {"input": 1000, "cached": 1000, "write_5m": 1000, "write_1h": 1000, "output": 1000}
    live.ask(plan, model="mystery-1", max_tokens=1000)
    assert live.settled(1)[0]["cost_usd"] == pytest.approx(0.001 * (2 + 1 + 2 + 5 + 8))


def test_long_prompts_cost_their_long_price(make: Make) -> None:
    """Beyond 272,000 tokens of prompt gpt-5.4 costs more, for the whole request."""
    live = make("responses")
    live.ask({"input": 300_000, "output": 1000})
    assert live.settled(1)[0]["cost_usd"] == pytest.approx(300_000 * 5e-6 + 1000 * 22.5e-6)
