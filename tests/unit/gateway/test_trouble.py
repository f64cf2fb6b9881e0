"""A provider in trouble: retried in time, told as each CLI survives it, and kept in the books."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import Any

import pytest

from .conftest import Make
from .rig import APIS, KEY, TOKEN, Live

FAULTS: dict[str, dict[str, Any]] = {
    "429": {"status": 429},
    "429 with a wait": {"status": 429, "retry_after": 0.1},
    "500": {"status": 500},
    "503": {"status": 503, "retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"},
    "529": {"status": 529},
    "closed before an answer": {"refuse": True},
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_trouble_before_the_first_byte_is_retried_unseen(live: Live, fault: str) -> None:
    """The client sees one good answer; the books hold one request and one outage."""
    reply = live.ask({"id": "a", "faults": [FAULTS[fault]]})
    assert (reply.status, reply.body) == (200, live.served[-1].sent)
    assert len(live.served) == 2
    [record] = live.settled(1)
    assert (record["charged_by"], record["output_tokens"]) == ("usage", 20)
    [(began, ended, _)] = live.news.outages
    assert 0 < ended - began < 5


def test_a_wait_that_the_provider_asks_for_is_kept(make: Make) -> None:
    """Retry-after is honoured to the tenth of a second."""
    live = make("anthropic")
    began = time.monotonic()
    live.ask({"id": "a", "faults": [{"status": 429, "retry_after": 0.6}]})
    assert time.monotonic() - began >= 0.6


def test_a_stream_that_begins_with_an_error_is_retried(make: Make) -> None:
    """A 200 whose first event says overloaded is trouble like any other."""
    live = make("anthropic")
    reply = live.ask({"id": "a", "faults": [{"first_event": "overloaded_error"}]})
    assert reply.body == live.served[-1].sent
    assert len(live.served) == 2


DOWN = {"anthropic": 529, "responses": 200, "chat": 503, "google": 503}


@pytest.mark.parametrize("api", sorted(DOWN))
def test_when_retries_are_used_up_the_cli_gets_what_it_survives(make: Make, api: str) -> None:
    """A status that its CLI waits after; for Codex a stream with a rate limit; nothing charged."""
    live = make(api, limits={"retry_seconds": 0.3})
    reply = live.ask({"id": "a", "faults": [{"status": 429}] * 50})
    assert reply.status == DOWN[api]
    assert 2 <= len(live.served) <= 12
    [record] = live.settled(1)
    assert (record["cost_usd"], record["status"], record["charged_by"]) == (0, 429, "usage")
    assert live.news.problems[0][0] == "provider"
    if api == "responses":
        data = json.loads(reply.body.split(b"data: ")[1])
        assert data["response"]["error"]["code"] == "rate_limit_exceeded"
        assert "Please try again in 10.0s." in data["response"]["error"]["message"]


def test_a_wait_beyond_the_patience_is_handed_on_at_once(make: Make) -> None:
    """Then it is the CLI that waits, for as long as the provider said."""
    live = make("anthropic", limits={"retry_seconds": 5})
    began = time.monotonic()
    reply = live.ask({"id": "a", "faults": [{"status": 429, "retry_after": 120}]})
    assert time.monotonic() - began < 3
    assert (reply.status, reply.headers["retry-after"]) == (529, "120")


def test_an_account_without_money_is_not_asked_again(make: Make) -> None:
    """OpenAI says so with a 429: Codex gets it as the end of its quota, once."""
    live = make("responses")
    error = {"error": {"code": "insufficient_quota", "message": "no money"}}
    reply = live.ask({"id": "a", "faults": [{"status": 429, "body": error}] * 3})
    assert reply.status == 200
    assert b"insufficient_quota" in reply.body
    assert len(live.served) == 1
    assert live.settled(1)[0]["cost_usd"] == 0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_other_errors_are_passed_on_as_they_are(live: Live, status: int) -> None:
    """No retry, no outage, no charge; and never a word of the key."""
    error = {"error": {"message": f"Incorrect key {KEY}", "type": "x"}}
    reply = live.ask({"id": "a", "faults": [{"status": status, "body": error}]})
    assert reply.status == status
    assert b"Incorrect key [key removed]" in reply.body
    assert len(live.served) == 1
    assert live.settled(1)[0]["cost_usd"] == 0
    assert live.news.outages == []


def test_a_refused_key_is_told_to_the_runner(make: Make) -> None:
    """No turn can succeed then, so the journal should say why."""
    live = make("anthropic")
    live.ask({"id": "a", "faults": [{"status": 401}]})
    live.news.until(lambda: bool(live.news.problems))
    assert live.news.problems == [("provider", "it refuses the key (status 401)")]


def test_a_redirect_is_not_followed(make: Make) -> None:
    """The key goes to the configured host and nowhere else."""
    live = make("anthropic", limits={"retry_seconds": 0.1})
    assert live.ask({"id": "a", "faults": [{"status": 307}] * 9}).status == 529


@pytest.mark.parametrize("cut", [1, 150, 700])
def test_a_stream_that_is_cut_is_cut_for_the_client_too(live: Live, cut: int) -> None:
    """The bytes so far arrive, the end is no end, and the worst case is charged."""
    reply = live.ask({"id": "a", "chunks": 20, "faults": [{"cut": cut}]})
    assert not reply.whole
    assert reply.body == live.served[0].sent
    assert len(reply.body) == cut
    [record] = live.settled(1)
    assert record["charged_by"] == "reservation"
    assert record["cost_usd"] > 0
    assert record["status"] == 200


def test_a_stream_cut_after_its_usage_is_charged_by_it(make: Make) -> None:
    """The figures were final; what is missing is an empty event."""
    live = make("anthropic")
    whole = len(live.ask({"id": "a"}).body)
    live.ask({"id": "b", "faults": [{"cut": whole - 3}]})
    assert live.settled(2)[1]["charged_by"] == "usage"


def test_headers_without_a_body_are_charged_and_tried_again(make: Make) -> None:
    """The provider may have billed the first attempt, so both are in the books."""
    live = make("anthropic")
    reply = live.ask({"id": "a", "faults": [{"cut": 0}]})
    assert reply.status == 200
    first, second = live.settled(2)
    assert (first["charged_by"], second["charged_by"]) == ("reservation", "usage")
    assert live.desk.budget.requests == 2


def test_silence_is_trouble_too(make: Make) -> None:
    """A provider that says nothing for too long may bill: charged, then tried again."""
    live = make("anthropic", limits={"silence_seconds": 0.3})
    reply = live.ask({"id": "a", "faults": [{"silence": 1.5}]})
    assert reply.status == 200
    assert [record["charged_by"] for record in live.settled(2)] == ["reservation", "usage"]


def hang_up_after(live: Live, plan: dict[str, Any], size: int) -> None:
    """Sends a request and closes the connection after so many bytes of the answer."""
    body = json.dumps(live.api.body(plan)).encode()
    head = f"POST {live.api.streamed} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
    head += "".join(f"{name}: {text}\r\n" for name, text in live.api.auth.items())
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(live.socket))
        connection.sendall(head.encode() + b"\r\n" + body)
        got = 0
        while got < size:
            got += len(connection.recv(size - got))


def test_after_a_disconnect_the_answer_is_read_to_its_end(live: Live) -> None:
    """The usage is in the last bytes: nobody gets out of it by hanging up."""
    hang_up_after(live, {"chunks": 40, "pause": 0.005, "output": 90}, 600)
    [record] = live.settled(1)
    assert (record["charged_by"], record["output_tokens"]) == ("usage", 90)


def test_nobody_is_retried_for_after_a_disconnect(make: Make) -> None:
    """A client that has gone is not worth another attempt."""
    live = make("anthropic")
    hang_up_after(live, {"id": "a", "faults": [{"status": 500, "silence": 0.3}] * 9}, 0)
    [record] = live.settled(1)
    assert (len(live.served), record["cost_usd"]) == (1, 0)


def test_a_slow_reader_gets_everything_and_holds_up_nobody(make: Make) -> None:
    """Backpressure reaches the provider; other requests go on beside it."""
    live = make("anthropic")
    body = json.dumps(live.api.body({"chunks": 300, "chunk_bytes": 30_000})).encode()
    head = f"POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(live.socket))
        connection.sendall(f"{head}x-api-key: {TOKEN}\r\n\r\n".encode() + body)
        got = len(connection.recv(1000))
        assert live.ask().status == 200
        [slow, _] = live.served
        assert not slow.whole, "nine megabytes fitted into the buffers"
        while len(live.news.records) < 2:
            got += len(connection.recv(1 << 20))
    assert got > 8_000_000
    assert slow.whole


def test_a_provider_that_is_not_there_is_an_outage(make: Make) -> None:
    """A refused connection is seen as such, told, and not charged."""
    live = make("anthropic", base_url="http://127.0.0.1:9", limits={"retry_seconds": 0.5})
    assert live.ask().status == 529
    assert live.settled(1)[0]["status"] == 0
    live.down()
    [(began, ended, reason)] = live.news.outages
    assert ended > began
    assert reason.startswith("no connection")


def test_too_much_at_once_waits_and_is_then_told_to_wait(make: Make) -> None:
    """One place: a second request waits for it; with no patience it is refused as busy."""
    live = make("anthropic", limits={"concurrency": 1, "queue_seconds": 0.2})
    long = threading.Thread(target=live.ask, args=({"chunks": 4, "pause": 0.2},))
    long.start()
    live.seen(1)
    reply = live.ask()
    long.join()
    live.settled(1)
    assert (reply.status, reply.headers["retry-after"]) == (529, "10")
    assert live.ask().status == 200
    assert [reason for reason, _ in live.news.refusals] == ["busy"]


def test_a_flood_is_slowed_down(make: Make) -> None:
    """Beyond the rate requests are refused before they cost anything."""
    live = make("anthropic", limits={"requests_per_minute": 8, "queue_seconds": 0})
    statuses = [live.ask().status for _ in range(6)]
    assert statuses[:2] == [200, 200]
    assert statuses[-1] == 529


@pytest.mark.parametrize(
    "value", [b"\xff\xfe", b"a\tb", "é".encode(), b"\xed\xa0\x80", b"x" * 8000]
)
def test_no_header_of_the_client_makes_an_outage(live: Live, value: bytes) -> None:
    """What cannot be passed on is left out; it does not look like a provider in trouble."""
    body = json.dumps(live.api.body({})).encode()
    head = f"POST {live.api.streamed} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    head += "".join(f"{name}: {text}\r\n" for name, text in live.api.auth.items())
    head += f"Content-Length: {len(body)}\r\n"
    names = (b"User-Agent", b"anthropic-version", b"anthropic-beta", b"x-goog-api-client")
    odd = b"".join(b"%b: %b\r\n" % (name, value) for name in names)
    answer = live.raw(head.encode() + odd + b"\r\n" + body)
    assert answer.startswith(b"HTTP/1.1 200")
    live.down()
    assert (live.news.outages, live.news.problems) == ([], [])


@pytest.mark.parametrize("api", sorted(APIS))
@pytest.mark.parametrize("limit", [100, 10**6])
def test_no_text_of_the_client_makes_an_outage(make: Make, api: str, limit: int) -> None:
    """Any text that JSON can hold goes through, also where a lowered limit rewrites the body."""
    prices = {APIS[api].model: {"input": 0.01, "output": 100}}
    live = make(api, caps={"usd": 5}, prices=prices)
    for prompt in ("\x00", "\ud800", "\uffff", "𝕏" * 1000, '"\\\n'):
        body = live.api.body({"output": 1}, **live.api.limited(limit))
        if api == "google":
            body["systemInstruction"] = {"parts": [{"text": prompt}]}
        elif api == "responses":
            body["instructions"] = prompt
        else:
            body["messages"].insert(0, {"role": "system", "content": prompt})
        assert live.ask(body=body).status == 200
        live.settled(len(live.served))
    assert live.news.outages == []
