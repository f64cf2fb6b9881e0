"""Provider failures: they are retried, reported as each CLI survives it, and recorded."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from .conftest import Make
from .rig import APIS, KEY, RunningGateway

FAULTS: dict[str, dict[str, Any]] = {
    "429": {"status": 429},
    "429 with a wait": {"status": 429, "retry_after": 0.1},
    "500": {"status": 500},
    "503": {"status": 503, "retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"},
    "529": {"status": 529},
    "closed before an answer": {"refuse": True},
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_failure_before_the_first_byte_is_retried_unseen(
    gateway: RunningGateway, fault: str
) -> None:
    """The client sees one good answer; one request and one outage are recorded."""
    reply = gateway.send({"id": "a", "faults": [FAULTS[fault]]})
    assert (reply.status, reply.body) == (200, gateway.served[-1].sent)
    assert len(gateway.served) == 2
    [record] = gateway.usage_records(1)
    assert (record["charged_by"], record["output_tokens"]) == ("usage", 20)
    [(began, ended, _)] = gateway.events.outages
    assert 0 < ended - began < 5


def test_a_stream_that_begins_with_an_error_is_retried(make: Make) -> None:
    """A 200 whose first event says overloaded is a failure like any other."""
    gateway = make("anthropic")
    reply = gateway.send({"id": "a", "faults": [{"first_event": "overloaded_error"}]})
    assert reply.body == gateway.served[-1].sent
    assert len(gateway.served) == 2


DOWN = {"anthropic": 529, "responses": 200, "chat": 503, "google": 503}


@pytest.mark.parametrize("api", sorted(DOWN))
def test_after_the_last_retry_the_cli_gets_a_reply_that_it_survives(make: Make, api: str) -> None:
    """Each CLI gets a status after which it waits, and nothing is charged."""
    gateway = make(api, limits={"retry_seconds": 0.3})
    reply = gateway.send({"id": "a", "faults": [{"status": 429}] * 50})
    assert reply.status == DOWN[api]
    assert 2 <= len(gateway.served) <= 12
    [record] = gateway.usage_records(1)
    assert (record["cost_usd"], record["status"], record["charged_by"]) == (0, 429, "usage")
    during = [problem[0] for problem in gateway.events.problems]
    assert during == ["reaching the provider", "provider"]
    if api == "responses":
        data = json.loads(reply.body.split(b"data: ")[1])
        assert data["response"]["error"]["code"] == "rate_limit_exceeded"
        assert "Please try again in 10.0s." in data["response"]["error"]["message"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_other_errors_are_relayed(gateway: RunningGateway, status: int) -> None:
    """They cause no retry, outage or charge, and the key is removed from them."""
    error = {"error": {"message": f"Incorrect key {KEY}", "type": "x"}}
    reply = gateway.send({"id": "a", "faults": [{"status": status, "body": error}]})
    assert reply.status == status
    assert b"Incorrect key [key removed]" in reply.body
    assert len(gateway.served) == 1
    assert gateway.usage_records(1)[0]["cost_usd"] == 0
    assert gateway.events.outages == []


def test_a_refused_key_is_reported_to_the_runner(make: Make) -> None:
    """No turn can succeed then, so the journal says why."""
    gateway = make("anthropic")
    gateway.send({"id": "a", "faults": [{"status": 401}]})
    gateway.events.wait_until(lambda: bool(gateway.events.problems))
    assert gateway.events.problems == [("provider", "the provider refuses the key (status 401)")]


def test_a_redirect_is_not_followed(make: Make) -> None:
    """The key goes to the configured host and to no other."""
    gateway = make("anthropic", limits={"retry_seconds": 0.1})
    assert gateway.send({"id": "a", "faults": [{"status": 307}] * 9}).status == 529


@pytest.mark.parametrize("cut", [1, 150, 700])
def test_a_cut_stream_is_cut_for_the_client_as_well(gateway: RunningGateway, cut: int) -> None:
    """The bytes so far arrive, the stream does not end properly, the worst case is charged."""
    reply = gateway.send({"id": "a", "chunks": 20, "faults": [{"cut": cut}]})
    assert not reply.whole
    assert reply.body == gateway.served[0].sent
    assert len(reply.body) == cut
    [record] = gateway.usage_records(1)
    assert record["charged_by"] == "reservation"
    assert record["cost_usd"] > 0
    assert record["status"] == 200


def test_a_stream_cut_after_its_final_usage_is_charged_by_usage(make: Make) -> None:
    """The figures were final; only an empty event is missing."""
    gateway = make("anthropic")
    whole = len(gateway.send({"id": "a"}).body)
    gateway.send({"id": "b", "faults": [{"cut": whole - 3}]})
    assert gateway.usage_records(2)[1]["charged_by"] == "usage"


def test_headers_without_a_body_are_charged_and_retried(make: Make) -> None:
    """The provider may have billed the first attempt, so both attempts are charged."""
    gateway = make("anthropic")
    reply = gateway.send({"id": "a", "faults": [{"cut": 0}]})
    assert reply.status == 200
    first, second = gateway.usage_records(2)
    assert (first["charged_by"], second["charged_by"]) == ("reservation", "usage")
    assert gateway.context.budget.requests == 2


def test_silence_is_charged_and_retried(make: Make) -> None:
    """A provider that stays silent for too long may have billed the attempt."""
    gateway = make("anthropic", limits={"silence_seconds": 0.3})
    reply = gateway.send({"id": "a", "faults": [{"silence": 1.5}]})
    assert reply.status == 200
    assert [record["charged_by"] for record in gateway.usage_records(2)] == ["reservation", "usage"]


def test_a_refused_connection_is_an_outage(make: Make) -> None:
    """A refused connection is reported and not charged."""
    gateway = make("anthropic", base_url="http://127.0.0.1:9", limits={"retry_seconds": 0.5})
    assert gateway.send().status == 529
    assert gateway.usage_records(1)[0]["status"] == 0
    gateway.stop()
    [(began, ended, reason)] = gateway.events.outages
    assert ended > began
    assert reason.startswith("no connection")


def test_a_request_beyond_the_concurrency_limit_is_refused_as_busy(make: Make) -> None:
    """A second request waits for the only slot, and is refused after `queue_seconds`."""
    gateway = make("anthropic", limits={"concurrency": 1, "queue_seconds": 0.2})
    held = {"id": "a", "faults": [{"hold": True}]}
    long = threading.Thread(target=gateway.send, args=(held,))
    long.start()
    gateway.wait_for_requests(1)
    reply = gateway.send()
    gateway.release()
    long.join()
    gateway.usage_records(1)
    assert (reply.status, reply.headers["retry-after"]) == (529, "10")
    assert gateway.send().status == 200
    assert [reason for reason, _ in gateway.events.refusals] == ["busy"]


def test_a_flood_of_requests_is_refused(make: Make) -> None:
    """Requests above the rate are refused before they cost anything."""
    gateway = make("anthropic", limits={"requests_per_minute": 8, "queue_seconds": 0})
    statuses = [gateway.send().status for _ in range(6)]
    assert statuses[:2] == [200, 200]
    assert statuses[-1] == 529


@pytest.mark.parametrize(
    "value", [b"\xff\xfe", b"a\tb", "é".encode(), b"\xed\xa0\x80", b"x" * 8000]
)
def test_no_client_header_causes_an_outage(gateway: RunningGateway, value: bytes) -> None:
    """A header that cannot be sent is left out, so it does not look like a provider failure."""
    body = json.dumps(gateway.api.body({})).encode()
    head = f"POST {gateway.api.streamed} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    head += "".join(f"{name}: {text}\r\n" for name, text in gateway.api.auth.items())
    head += f"Content-Length: {len(body)}\r\n"
    names = (b"User-Agent", b"anthropic-version", b"anthropic-beta", b"x-goog-api-client")
    odd = b"".join(b"%b: %b\r\n" % (name, value) for name in names)
    answer = gateway.send_raw(head.encode() + odd + b"\r\n" + body)
    assert answer.startswith(b"HTTP/1.1 200")
    gateway.stop()
    assert (gateway.events.outages, gateway.events.problems) == ([], [])


@pytest.mark.parametrize("api", sorted(APIS))
@pytest.mark.parametrize("limit", [100, 10**6])
def test_no_text_in_a_request_causes_an_outage(make: Make, api: str, limit: int) -> None:
    """Any text in JSON is forwarded, even if a lowered limit changes the body."""
    prices = {APIS[api].model: {"input": 0.01, "output": 100}}
    gateway = make(api, caps={"usd": 5}, prices=prices)
    for prompt in ("\x00", "\ud800", "\uffff", "𝕏" * 1000, '"\\\n'):
        body = gateway.api.body({"output": 1}, **gateway.api.limited(limit))
        if api == "google":
            body["systemInstruction"] = {"parts": [{"text": prompt}]}
        elif api == "responses":
            body["instructions"] = prompt
        else:
            body["messages"].insert(0, {"role": "system", "content": prompt})
        assert gateway.send(body=body).status == 200
        gateway.usage_records(len(gateway.served))
    assert gateway.events.outages == []


# --- counts that a client asks for itself ---------------------------------------------------------


COUNTS = {
    "anthropic": "/v1/messages/count_tokens?beta=true",
    "responses": "/v1/responses/input_tokens",
    "google": "/v1beta/models/gemini-3-flash-preview:countTokens",
}


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 429}, {"refuse": True}])
@pytest.mark.parametrize("api", sorted(COUNTS))
def test_a_failed_count_is_reported_to_the_client_at_once(
    make: Make, api: str, fault: dict[str, Any]
) -> None:
    """The client has its own estimate, so no retry delays it and no outage is reported."""
    gateway = make(api)
    body = gateway.api.body({"counts": [fault]}, stream=False)
    reply = gateway.send(body=body, target=COUNTS[api])
    assert reply.status == 404
    assert gateway.standin.counted == 1
    assert gateway.send(body=gateway.api.body({}, stream=False), target=COUNTS[api]).status == 200
    gateway.stop()
    assert (gateway.events.outages, gateway.events.problems) == ([], [])


# --- faked outages --------------------------------------------------------------------------------


def test_failures_of_one_request_beside_normal_work_are_no_outage(make: Make) -> None:
    """The model works; an agent could otherwise gain time by one request that always fails."""
    gateway = make("anthropic", limits={"retry_seconds": 2})
    assert gateway.send().status == 200
    refused = threading.Thread(
        target=gateway.send, args=({"id": "a", "faults": [{"status": 429}] * 99},)
    )
    refused.start()
    while refused.is_alive():
        assert gateway.send({"chunks": 3, "pause": 0.02}).status == 200
    gateway.stop()
    statuses = [seen.status for seen in gateway.served]
    assert statuses.count(429) >= 2, "the refused request was not repeated"
    assert statuses.count(200) >= 2, "nothing else was served meanwhile"
    assert gateway.events.outages == []
