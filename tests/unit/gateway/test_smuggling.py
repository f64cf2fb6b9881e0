"""Framing tricks: none gets a second request, another path or a header to the provider."""

from __future__ import annotations

import json
import re

import pytest

from .conftest import Make
from .rig import KEY, TOKEN, RunningGateway

BODY = json.dumps(
    {"model": "claude-opus-4-6", "max_tokens": 9, "messages": [{"role": "user", "content": "a"}]}
).encode()
LENGTH = f"Content-Length: {len(BODY)}\r\n"
HIDDEN = (
    b"POST /v1/files HTTP/1.1\r\nHost: a\r\nx-api-key: " + TOKEN.encode() + b"\r\n"
    b"Content-Length: 2\r\n\r\n{}"
)


def request(
    target: str = "/v1/messages", headers: str = LENGTH, body: bytes = BODY, version: str = "1.1"
) -> bytes:
    """A request as bytes, with the token of the run."""
    head = f"POST {target} HTTP/{version}\r\nHost: a\r\nx-api-key: {TOKEN}\r\n{headers}\r\n"
    return head.encode("latin-1") + body


CLOSE = "Connection: close\r\n"
HEAD_END = b"\r\n\r\n"
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
TRICKS = {
    "two lengths": request(headers=LENGTH + "Content-Length: 3\r\n"),
    "the same length twice": request(headers=LENGTH + LENGTH),
    "a list of lengths": request(headers=f"Content-Length: {len(BODY)}, {len(BODY)}\r\n"),
    "a signed length": request(headers=f"Content-Length: +{len(BODY)}\r\n"),
    "a negative length": request(headers="Content-Length: -1\r\n"),
    "a length in hex": request(headers="Content-Length: 0x5\r\n"),
    "a length with an underscore": request(headers="Content-Length: 1_0\r\n"),
    "a blank before the colon": request(headers=f"Content-Length : {len(BODY)}\r\n"),
    "a folded header": request(headers=LENGTH + "X-A: b\r\n c: d\r\n"),
    "length and chunks": request(headers=LENGTH + "Transfer-Encoding: chunked\r\n", body=CHUNKS),
    "chunked twice": request(
        headers="Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", body=CHUNKS
    ),
    "chunked, then identity": request(headers="Transfer-Encoding: chunked, identity\r\n"),
    "an odd coding": request(headers="Transfer-Encoding: xchunked\r\n", body=CHUNKS),
    "a vertical tab before chunked": request(
        headers="Transfer-Encoding: \x0bchunked\r\n", body=CHUNKS
    ),
    "a chunk size with a sign": request(
        headers="Transfer-Encoding: chunked\r\n", body=b"+5\r\nabcde\r\n0\r\n\r\n"
    ),
    "a chunk size in 0x": request(
        headers="Transfer-Encoding: chunked\r\n", body=b"0x5\r\nabcde\r\n0\r\n\r\n"
    ),
    "a chunk longer than it says": request(
        headers="Transfer-Encoding: chunked\r\n", body=b"2\r\n" + BODY + b"\r\n0\r\n\r\n"
    ),
    "a huge chunk size": request(
        headers="Transfer-Encoding: chunked\r\n", body=b"FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n"
    ),
    "bare line feeds": request().replace(b"\r\n", b"\n"),
    "trailers announced": request(
        headers="Transfer-Encoding: chunked\r\nTrailer: x-api-key\r\n", body=CHUNKS
    ),
    "TE": request(headers=LENGTH + "TE: trailers\r\n"),
    "an upgrade": request(headers=LENGTH + "Connection: Upgrade\r\nUpgrade: h2c\r\n"),
    "a websocket": request(headers=LENGTH + "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
    "a compressed body": request(headers=LENGTH + "Content-Encoding: gzip\r\n"),
    "two hosts": request(headers=LENGTH + "Host: b\r\n"),
    "two content types": request(
        headers=LENGTH + "Content-Type: application/json\r\nContent-Type: text/plain\r\n"
    ),
    "HTTP/1.0": request(version="1.0"),
    "HTTP/0.9": b"POST /v1/messages\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an absolute target": request("http://api.anthropic.com/v1/messages"),
    "an absolute target elsewhere": request("http://169.254.169.254/v1/messages"),
    "a network-path target": request("//example.invalid/v1/messages"),
    "CONNECT": f"CONNECT example.invalid:443 HTTP/1.1\r\nHost: a\r\nx-api-key: {TOKEN}\r\n\r\n"
    .encode(),
    "an encoded path": request("/v1/%6dessages"),
    "an encoded slash": request("/v1%2fmessages"),
    "dots": request("/v1/files/../messages"),
    "encoded dots": request("/v1/files/%2e%2e/messages"),
    "a double slash": request("/v1//messages"),
    "a trailing slash": request("/v1/messages/"),
    "a semicolon": request("/v1/messages;a=b"),
    "a query": request("/v1/messages?beta=true&key=abc"),
    "a fragment": request("/v1/messages#a"),
    "a backslash": request("/v1\\messages"),
    "a blank in the target": request("/v1/messages x"),
    "a null byte in the target": request("/v1/messages\x00"),
    "a line break in a header": request(headers=LENGTH + "X-A: b\rX-C: d\r\n"),
    "a null byte in a header": request(headers=LENGTH + "X-A: b\x00c\r\n"),
    "an endless header": request(headers=LENGTH + f"X-A: {'a' * 100_000}\r\n"),
    "endless headers": request(headers=LENGTH + "X-A: b\r\n" * 20_000),
}  # fmt: skip


LEFT_OPEN = {"CONNECT"}  # whatever comes next on the connection is read as a request of its own


@pytest.mark.parametrize("trick", sorted(TRICKS))
def test_a_framing_trick_reaches_no_provider(make: Make, trick: str) -> None:
    """Alone, or with a second request behind it, it gets an error."""
    gateway = make("anthropic")
    silence_seconds = 1.0 if trick in LEFT_OPEN else 20.0
    for data in (TRICKS[trick], TRICKS[trick] + HIDDEN):
        answer = gateway.send_raw(data, silence_seconds)
        assert re.match(rb"HTTP/\d\.\d 4\d\d ", answer), answer
        assert not re.search(rb"HTTP/\d\.\d 2\d\d ", answer), answer
        assert gateway.served == []
        assert KEY.encode() not in answer


def test_the_same_request_without_a_trick_is_forwarded(make: Make) -> None:
    """Plain and chunked bodies reach the provider, so the other tests can fail."""
    gateway = make("anthropic")
    chunked = "Transfer-Encoding: chunked\r\n"
    assert b" 200 " in gateway.send_raw(request(headers=CLOSE + LENGTH))
    assert b" 200 " in gateway.send_raw(request(headers=CLOSE + chunked, body=CHUNKS))
    assert [seen.path for seen in gateway.served] == ["POST /v1/messages"] * 2


def test_a_second_request_on_a_connection_needs_its_own_token(make: Make) -> None:
    """A request behind a good one is checked on its own."""
    gateway = make("anthropic")
    stranger = HIDDEN.replace(TOKEN.encode(), b"nothing")
    answer = gateway.send_raw(request() + stranger)
    assert answer.count(b"HTTP/1.1 200") == 1
    assert answer.count(b"HTTP/1.1 401") == 1
    assert len(gateway.served) == 1


def test_hop_headers_of_the_client_are_not_forwarded(make: Make) -> None:
    """Host, connection and hop headers are the gateway's own."""
    gateway = make("anthropic")
    gateway.send_raw(
        request(headers=LENGTH + "Connection: close\r\nX-Http-Method-Override: DELETE\r\n")
    )
    [seen] = gateway.served
    assert set(seen.headers) == {
        "host", "anthropic-version", "x-api-key", "content-type", "accept", "accept-encoding",
        "content-length", "user-agent",
    }  # fmt: skip
    assert seen.headers["host"] == "model"


def test_a_body_that_is_too_long_is_refused(make: Make) -> None:
    """By its announced length before it is read, or as soon as it has become too long."""
    gateway: RunningGateway = make("anthropic", limits={"body_bytes": 1000})
    assert b" 413 " in gateway.send_raw(
        request(headers="Content-Length: 100000\r\n", body=b""), enough=HEAD_END
    )
    long = b"%x\r\n%b\r\n" % (2000, b"a" * 2000)
    assert b" 413 " in gateway.send_raw(
        request(headers="Transfer-Encoding: chunked\r\n", body=long), enough=HEAD_END
    )
    assert gateway.served == []
