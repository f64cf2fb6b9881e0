"""Requests at the gateway's socket with tokens that are not this run's, and for what is no model.

The attack that this stops: a contestant that spends another run's money, or has the provider do
what it cannot do itself. Which requests of a run's own token are refused is shown by
tests/docker/test_sandbox.py: the probes have no token.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from pathlib import Path

from framework import Attack, Box, attack

SOCKETS = ("/run/gateway/llm.sock",)
ANSWER_SECONDS = 5.0
MOST_BYTES = 1 << 16  # of an answer that are read
ABSENT = (errno.ENOENT, errno.EBUSY)
FORGED = {"authorization": "Bearer bakeoff-of-another-run", "x-api-key": "bakeoff-of-another-run",
          "x-goog-api-key": "bakeoff-of-another-run"}  # fmt: skip
QUESTION = {"model": "gpt-5.4", "stream": True, "store": False, "max_output_tokens": 16,
            "input": [{"role": "user", "content": "x"}]}  # fmt: skip
# name: method, path, headers, body
REQUESTS: dict[str, tuple[str, str, dict[str, str], object]] = {
    "no token": ("POST", "/v1/responses", {}, QUESTION),
    "a forged token": ("POST", "/v1/responses", FORGED, QUESTION),
    "a forged token for Anthropic": (
        "POST", "/v1/messages", FORGED,
        {"model": "claude-opus-4-6", "max_tokens": 16,
         "messages": [{"role": "user", "content": "x"}]}),
    "a forged token for Google": (
        "POST", "/v1beta/models/gemini-3-flash-preview:streamGenerateContent?alt=sse", FORGED,
        {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}),
    "a provider's own tool": (
        "POST", "/v1/responses", FORGED, {**QUESTION, "tools": [{"type": "web_search"}]}),
    "files": ("GET", "/v1/files", FORGED, None),
    "batches": ("POST", "/v1/batches", FORGED, {}),
    "keys of the account": ("GET", "/v1/organization/api_keys", FORGED, None),
    "a path that climbs": ("POST", "/v1/responses/../files", FORGED, QUESTION),
    "a path of another host": ("GET", "http://169.254.169.254/latest/meta-data/", FORGED, None),
    "another host in the header": ("GET", "/", {**FORGED, "host": "169.254.169.254"}, None),
    "a tunnel": ("CONNECT", "example.com:443", FORGED, None),
    "a front page": ("GET", "/", {}, None),
}  # fmt: skip


def there(box: Box) -> bool:
    """Whether a gateway listens at a socket of the container; the host knows."""
    return box.gateway


def _sockets() -> list[str]:
    return [path for path in SOCKETS if Path(path).is_socket()]


def answer(method: str, path: str, headers: dict[str, str], body: object) -> tuple[int, bytes]:
    """Status and the beginning of the body of one request at the socket; 0 where it hung up."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if "host" not in headers:
        lines.append("host: gateway")
    lines += ["content-type: application/json", f"content-length: {len(content)}",
              "connection: close", "", ""]  # fmt: skip
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_SECONDS)
        connection.connect(_sockets()[0])
        connection.sendall("\r\n".join(lines).encode() + content)
        said = b""
        try:
            while len(said) < MOST_BYTES and (piece := connection.recv(MOST_BYTES)):
                said += piece
        except ConnectionError:
            return 0, b""
    head, _, content = said.partition(b"\r\n\r\n")
    version, _, rest = head.partition(b" ")
    return (int(rest[:3]), content) if version.startswith(b"HTTP/") else (0, b"")


def _answers(_box: Box) -> bool:
    """The gateway answers over its socket, be it with a refusal."""
    return answer("POST", "/v1/responses", {}, QUESTION)[0] == 401


def _asks(request: tuple[str, str, dict[str, str], object]) -> Attack:
    def run(_box: Box) -> str:
        status, body = answer(*request)
        return "" if status == 0 or 400 <= status < 500 else f"{status}: {body[:200]!r}"

    return run


for title, asked in REQUESTS.items():
    attack("gateway", title, twin=_answers, part="all", applies=there)(_asks(asked))


@attack("gateway", "take the socket's place", twin=_answers, part="all", applies=there, also=ABSENT)
def replaced(box: Box) -> str:
    """Whoever could put a socket of their own there would be told the tokens of others."""
    if box.role == "gateway":
        return ""
    path = _sockets()[0]
    os.rename(path, path + ".old")
    os.rename(path + ".old", path)
    return "the socket could be moved"
