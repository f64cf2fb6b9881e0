"""Clients that leave before the end of an answer, or read it slowly."""

from __future__ import annotations

import json
import socket
from typing import Any

from .conftest import Make
from .rig import TOKEN, RunningGateway


def hang_up_after(gateway: RunningGateway, plan: dict[str, Any], size: int) -> None:
    """Sends a request and closes the connection after so many bytes of the answer."""
    body = json.dumps(gateway.api.body(plan)).encode()
    head = f"POST {gateway.api.streamed} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
    head += "".join(f"{name}: {text}\r\n" for name, text in gateway.api.auth.items())
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(gateway.socket))
        connection.sendall(head.encode() + b"\r\n" + body)
        got = 0
        while got < size:
            got += len(connection.recv(size - got))


def test_after_a_disconnect_the_answer_is_read_to_its_end(gateway: RunningGateway) -> None:
    """The usage is in the last bytes, so a client cannot avoid it by hanging up."""
    hang_up_after(gateway, {"chunks": 40, "pause": 0.005, "output": 90}, 600)
    [record] = gateway.usage_records(1)
    assert (record["charged_by"], record["output_tokens"]) == ("usage", 90)


def test_nothing_is_retried_after_a_disconnect(make: Make) -> None:
    """There is no further attempt for a client that has disconnected."""
    gateway = make("anthropic")
    hang_up_after(gateway, {"id": "a", "faults": [{"hold": True, "status": 500}] * 9}, 0)
    gateway.wait_for_requests(1)
    gateway.release()
    [record] = gateway.usage_records(1)
    assert (len(gateway.served), record["cost_usd"]) == (1, 0)


def test_a_slow_reader_gets_everything_and_delays_nobody(make: Make) -> None:
    """Backpressure reaches the provider, and other requests go on."""
    gateway = make("anthropic")
    body = json.dumps(gateway.api.body({"chunks": 300, "chunk_bytes": 30_000})).encode()
    head = f"POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(gateway.socket))
        connection.sendall(f"{head}x-api-key: {TOKEN}\r\n\r\n".encode() + body)
        got = len(connection.recv(1000))
        assert gateway.send().status == 200
        [slow, _] = gateway.served
        assert not slow.whole, "nine megabytes fitted into the buffers"
        while len(gateway.events.records) < 2:
            got += len(connection.recv(1 << 20))
    assert got > 8_000_000
    assert slow.whole
