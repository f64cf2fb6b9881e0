"""Waits that a provider asks for, and accounts that are empty, in each provider's form."""

from __future__ import annotations

import time
from typing import Any

import pytest

from .conftest import Make


def test_a_retry_after_header_is_obeyed(make: Make) -> None:
    """The wait is observed to the tenth of a second."""
    gateway = make("anthropic")
    began = time.monotonic()
    gateway.send({"id": "a", "faults": [{"status": 429, "retry_after": 0.3}]})
    assert time.monotonic() - began >= 0.3


def test_a_wait_longer_than_the_retry_time_is_passed_on_at_once(make: Make) -> None:
    """The CLI then waits itself, for as long as the provider said."""
    gateway = make("anthropic", limits={"retry_seconds": 5})
    began = time.monotonic()
    reply = gateway.send({"id": "a", "faults": [{"status": 429, "retry_after": 120}]})
    assert time.monotonic() - began < 3
    assert (reply.status, reply.headers["retry-after"]) == (529, "120")


def test_an_empty_account_is_not_retried(make: Make) -> None:
    """OpenAI reports it with a 429; Codex gets it once, as the end of its quota."""
    gateway = make("responses")
    error = {"error": {"code": "insufficient_quota", "message": "no money"}}
    reply = gateway.send({"id": "a", "faults": [{"status": 429, "body": error}] * 3})
    assert reply.status == 200
    assert b"insufficient_quota" in reply.body
    assert len(gateway.served) == 1
    assert gateway.usage_records(1)[0]["cost_usd"] == 0


def google_wait(delay: str) -> dict[str, Any]:
    """A 429 of Google's, with the wait that it asks for in its body."""
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    violation = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": []}
    message = "You exceeded your current quota, please check your plan and billing details."
    details = [violation, info]
    error = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": message, "details": details}
    return {"error": error}


def test_a_wait_in_the_body_is_obeyed(make: Make) -> None:
    """Google sends no retry-after; its RetryInfo gives the wait in fractions of a second."""
    gateway = make("google")
    began = time.monotonic()
    reply = gateway.send({"id": "a", "faults": [{"status": 429, "body": google_wait("0.3s")}]})
    assert reply.status == 200
    assert time.monotonic() - began >= 0.3


def test_a_wait_in_a_list_is_obeyed(make: Make) -> None:
    """Google's streams wrap an error in a list of one."""
    gateway = make("google")
    began = time.monotonic()
    gateway.send({"id": "a", "faults": [{"status": 429, "body": [google_wait("0.3s")]}]})
    assert time.monotonic() - began >= 0.3


def test_a_long_wait_in_the_body_is_passed_on(make: Make) -> None:
    """The CLI gets the provider's own figure in the provider's own form."""
    gateway = make("google", limits={"retry_seconds": 5})
    reply = gateway.send({"id": "a", "faults": [{"status": 429, "body": google_wait("3600s")}]})
    assert len(gateway.served) == 1
    assert reply.json["error"]["details"][0]["retryDelay"] == "3600s"


@pytest.mark.parametrize("delay", ["-5s", "soon", "", "1e999s", "9" * 400 + "s", None, 7])
def test_an_invalid_wait_is_ignored(make: Make, delay: Any) -> None:
    """The gateway's own back-off applies then."""
    gateway = make("google")
    assert gateway.send({"id": "a", "faults": [{"status": 429, "body": google_wait(delay)}]}).whole
    assert len(gateway.served) == 2


DEPLETED: list[tuple[str, int, dict[str, Any]]] = [
    ("responses", 429, {"error": {"code": "insufficient_quota", "message": "no money"}}),
    ("responses", 429, {"error": {"code": "billing_hard_limit_reached", "message": "limit"}}),
    ("anthropic", 400, {"error": {"message": "Your credit balance is too low to access the API"}}),
    ("google", 429, {"error": {"message": "Your prepayment credits are depleted."}}),
    ("chat", 402, {"error": {"message": "Insufficient credits. Add more using a credit card"}}),
    ("chat", 402, {"error": {"message": "Insufficient Balance"}}),
    ("anthropic", 402, {"error": {"type": "billing_error", "message": "check your payment"}}),
]  # fmt: skip


@pytest.mark.parametrize(("api", "status", "body"), DEPLETED)
def test_an_empty_account_is_no_outage(
    make: Make, api: str, status: int, body: dict[str, Any]
) -> None:
    """There is one attempt and no outage, and the journal says what to do."""
    gateway = make(api)
    reply = gateway.send(
        {"id": "a", "faults": [{"status": status, "body": body}] * 5}, stream=False
    )
    assert reply.status == 402
    assert len(gateway.served) == 1
    assert gateway.usage_records(1)[0]["cost_usd"] == 0
    assert [reason for reason, _ in gateway.events.refusals] == ["quota"]
    gateway.stop()
    assert gateway.events.outages == []


def test_an_empty_account_in_a_stream_is_no_outage(make: Make) -> None:
    """A 200 whose first event says so is refused in the same way and costs nothing."""
    gateway = make("anthropic")
    gateway.send({"id": "a", "faults": [{"first_event": "insufficient_quota"}]})
    assert [reason for reason, _ in gateway.events.refusals] == ["quota"]
    assert (len(gateway.served), gateway.usage_records(1)[0]["cost_usd"]) == (1, 0)


def test_a_rate_limit_is_not_an_empty_account(make: Make) -> None:
    """Google calls it a quota too, but gives a wait for it."""
    gateway = make("google")
    assert gateway.send({"id": "a", "faults": [{"status": 429, "body": google_wait("0.1s")}]}).whole
    assert len(gateway.served) == 2
