"""A client of a gateway in a container of its own, as the agent's relay is one."""

from __future__ import annotations

import json
from typing import Any

from .gateway_rig import BASE_IMAGE, TOKEN, Rig

# It reads all of an answer, and keeps the beginning.
CLIENT = """
import json, socket, sys
for line in sys.stdin:
    order = json.loads(line)
    body = json.dumps(order["body"]).encode()
    head = f"POST {order['target']} HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n"
    head += f"Content-Length: {len(body)}\\r\\nx-api-key: {order['token']}\\r\\n\\r\\n"
    link = socket.socket(socket.AF_UNIX)
    link.connect("/run/gateway/llm.sock")
    link.sendall(head.encode() + body)
    first = link.recv(65536)
    status, size = int(first.split()[1]), len(first)
    while piece := link.recv(1 << 20):
        first += piece[: max(0, 4096 - len(first))]
        size += len(piece)
    said = first.decode("utf-8", "replace")
    print(json.dumps({"status": status, "bytes": size, "said": said}), flush=True)
"""


class Client:
    """Sends requests from a container that shares the gateway's socket, read-only.

    Attributes:
        said: the beginning of each answer, its headers included.
    """

    def __init__(self, rig: Rig, name: str = "client") -> None:
        mounts = (rig.mount("gateway", "/run/gateway", read_only=True),)
        command = ["python3", "-u", "-c", CLIENT]
        self.said: list[str] = []
        self._program = rig.program(name, BASE_IMAGE, mounts, command=command)
        self._program.up()

    def send(self, **plan: Any) -> None:
        """Sends a request with a plan for the stand-in."""
        body = {
            "model": "claude-opus-4-6",
            "max_tokens": 100,
            "stream": True,
            "messages": [{"role": "user", "content": f"PLAN {json.dumps(plan)}"}],
        }
        order = {"target": "/v1/messages", "token": TOKEN, "body": body}
        self._program.send(json.dumps(order).encode() + b"\n")

    def ask(self, **plan: Any) -> dict[str, Any]:
        """Sends a request and waits for its end: status and size of the answer."""
        before = len(self._program.text)
        self.send(**plan)
        self._program.until(lambda: len(self._program.text) > before, seconds=60)
        answer: dict[str, Any] = json.loads(self._program.text[before])
        self.said.append(answer["said"])
        return answer
