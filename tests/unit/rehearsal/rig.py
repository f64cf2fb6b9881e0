"""A scripted model that serves on loopback, and plain requests to it."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from images.rehearsal.scripted_model.server import EASY, Api, Hardness, Server
from images.rehearsal.scripted_model.session import Session

from .play import new_session

KEY = "key-of-this-rehearsal"
POLL_SECONDS = 0.01  # how soon a server notices that it has to stop
CLIS = {"anthropic": "claude", "openai": "codex", "google": "gemini"}


@contextmanager
def running(server: Server) -> Iterator[None]:
    """The server answers until the end of the block."""
    thread = threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


@contextmanager
def serving(
    provider: str, session: Session | None = None, hardness: Hardness = EASY
) -> Iterator[str]:
    """A scripted model of a provider on loopback; its base URL."""
    session = session or new_session(cli=CLIS[provider])
    with Server(("127.0.0.1", 0), Api(provider, KEY, session, hardness)) as server, running(server):
        yield f"http://127.0.0.1:{server.server_address[1]}"


def post(url: str, path: str, body: bytes, **headers: str) -> tuple[int, str]:
    """Status and body of the answer to a POST with the right key in all three headers."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    keys = {"x-api-key": KEY, "x-goog-api-key": KEY, "authorization": f"Bearer {KEY}"}
    try:
        connection.request("POST", path, body, keys | headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def post_json(url: str, path: str, body: dict[str, Any]) -> tuple[int, str]:
    """The same for a body of JSON."""
    return post(url, path, json.dumps(body).encode())
