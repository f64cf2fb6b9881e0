"""Near a cap, when the provider gives no count: a missing count ends no run."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from .conftest import Make
from .rig import APIS

FAILURES: dict[str, list[dict[str, Any]]] = {
    "fails": [{"status": 500}],
    "is overloaded": [{"status": 529}],
    "is rate limited": [{"status": 429}],
    "closes the connection": [{"refuse": True}],
    "does not exist": [{"status": 404}],
    "is not allowed": [{"status": 405}],
    "refuses the key": [{"status": 403}],
}
COUNTING = ["anthropic", "responses", "google"]  # chat servers have no count endpoint
# A prompt of 40 kB: 10,000 tokens as the stand-in counts, four times as many by its bytes.
LONG = "x" * 40_000
PRICES = {"input": 10, "output": 10}


def long_prompt(api: str, **plan: Any) -> dict[str, Any]:
    """A request with a long system prompt and an output of at most 2,000 tokens."""
    body = APIS[api].body(plan) | APIS[api].limited(2000)
    if api == "google":
        return body | {"systemInstruction": {"parts": [{"text": LONG}]}}
    if api == "responses":
        return body | {"instructions": LONG}
    if api == "chat":
        return body | {"messages": [{"role": "system", "content": LONG}, *body["messages"]]}
    return body | {"system": LONG}


@pytest.mark.parametrize("failure", sorted(FAILURES))
@pytest.mark.parametrize("api", COUNTING)
def test_a_failed_count_ends_no_run(make: Make, api: str, failure: str) -> None:
    """Forty cents are left and the request costs ten: it is forwarded, and no cap is reached."""
    gateway = make(api, caps={"usd": 0.4}, prices={APIS[api].model: PRICES})
    body = long_prompt(api, output=10, counts=FAILURES[failure])
    assert gateway.send(body=body).status == 200
    gateway.usage_records(1)
    assert gateway.events.caps == []
    assert gateway.events.refusals == []


def test_a_slow_count_ends_no_run(make: Make) -> None:
    """The gateway waits `count_seconds` for it and then goes on without it."""
    gateway = make(
        "anthropic", caps={"usd": 0.4}, prices={APIS["anthropic"].model: PRICES},
        limits={"count_seconds": 0.2},
    )  # fmt: skip
    body = long_prompt("anthropic", output=10, counts=[{"silence": 30}])
    began = time.monotonic()
    assert gateway.send(body=body).status == 200
    assert time.monotonic() - began < 25
    assert gateway.events.caps == []


@pytest.mark.parametrize("api", COUNTING)
def test_a_count_that_failed_once_is_retried(make: Make, api: str) -> None:
    """The second count works, and the reservation is as small as with the first."""
    gateway = make(api, caps={"tokens": 16_000})
    body = long_prompt(api, output=10, counts=[{"status": 529}, {}])
    assert gateway.send(body=body).status == 200
    assert gateway.standin.counted == 2


def test_a_server_without_a_count_spends_the_whole_budget(make: Make) -> None:
    """With Ollama or vLLM the run ends at its budget, not at a quarter of it."""
    gateway = make("chat", caps={"tokens": 200_000})
    served = 0
    while gateway.send(body=long_prompt("chat", output=10)).status == 200:
        served += 1
        gateway.usage_records(served)
    spent = sum(seen.input + seen.output for seen in gateway.served)
    assert 200_000 - spent < 25_000, "a request of 12,000 tokens would still have fitted twice"
    assert spent <= 200_000
    assert [name for name, _ in gateway.events.caps] == ["tokens"]


def test_settled_requests_improve_the_estimate(make: Make) -> None:
    """After text of one token for two bytes, the next text is not taken to be English."""
    gateway = make("chat", caps={"tokens": 1_000_000})
    body = long_prompt("chat", input=20_000, output=10)
    assert gateway.send(body=body).status == 200
    gateway.usage_records(1)
    tight = make("chat", caps={"tokens": 40_000})
    assert tight.send(body=body).status == 200
    tight.usage_records(1)
    assert tight.send(body=body).status == 402, "20,010 of 40,000 are spent, 20,000 are asked for"
    assert tight.context.budget.spent_tokens <= 40_000


def test_an_estimate_is_reserved_for_one_request_at_a_time(make: Make) -> None:
    """Others wait, so a cap is exceeded at most by the error of one estimate."""
    gateway = make("chat", caps={"tokens": 60_000})
    body = long_prompt("chat", input=12_000, output=10, chunks=3, pause=0.02)
    threads = [threading.Thread(target=gateway.send, kwargs={"body": body}) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 3 <= len(gateway.served) <= 4
    assert gateway.context.budget.spent_tokens <= 60_000


def test_a_cap_is_reached_without_a_count_as_well(make: Make) -> None:
    """A run with a cent left has ended, and the runner is told."""
    gateway = make("anthropic", caps={"usd": 0.01}, prices={APIS["anthropic"].model: PRICES})
    body = long_prompt("anthropic", output=10, counts=[{"status": 500}])
    assert gateway.send(body=body).status == 402
    assert [name for name, _ in gateway.events.caps] == ["usd"]
    assert gateway.served == []


def test_a_missing_count_endpoint_is_asked_once(make: Make) -> None:
    """A failed one is not asked for a while, so no request waits for it again."""
    for fault, asked in (({"status": 404}, 1), ({"status": 500}, 3)):
        gateway = make("anthropic", caps={"tokens": 100_000})
        body = long_prompt("anthropic", output=10, counts=[fault])
        for number in range(6):
            assert gateway.send(body=body).status == 200
            gateway.usage_records(number + 1)
        assert gateway.standin.counted <= asked
