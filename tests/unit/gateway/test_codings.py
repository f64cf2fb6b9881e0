"""Content codings: what the gateway decodes, and what it says of a decoded body."""

from __future__ import annotations

import pytest

from .conftest import Make


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_decoded_body_has_no_headers_of_the_encoded_one(make: Make, coding: str) -> None:
    """A proxy may encode without being asked: every byte arrives, and the usage is read."""
    gateway = make("anthropic")
    for stream in (True, False):
        reply = gateway.send({"coding": coding, "chunks": 400}, stream=stream)
        assert reply.whole
        assert reply.body == gateway.served[-1].sent
        assert {"content-encoding", "etag"}.isdisjoint(reply.headers)
        assert int(reply.headers.get("content-length", len(reply.body))) == len(reply.body)
    assert [record["charged_by"] for record in gateway.usage_records(2)] == ["usage", "usage"]


@pytest.mark.parametrize("coding", ["identity", "x-gzip", "zz, gzip"])
def test_a_body_that_is_not_decoded_keeps_its_coding(make: Make, coding: str) -> None:
    """The client decodes the body itself, and its headers say how."""
    gateway = make("anthropic")
    reply = gateway.send({"coding": coding})
    assert reply.whole
    assert reply.headers.get("content-encoding", "identity") == coding
    assert int(reply.headers["content-length"]) == len(reply.body)


def test_an_encoded_error_is_decoded(make: Make) -> None:
    """Errors are read whole, decoded, and relayed with their new length."""
    gateway = make("anthropic")
    body = {"type": "error", "error": {"message": "too long " * 300}}
    reply = gateway.send({"id": "a", "faults": [{"status": 400, "body": body, "coding": "gzip"}]})
    assert (reply.status, reply.json) == (400, body)
    assert "content-encoding" not in reply.headers
