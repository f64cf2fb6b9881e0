"""A provider's model that calls one tool, as its prompt says, and answers everything else in words.

What it does stands in the prompt, in a JSON object after the word `CALL`, so that it needs no other
way to its test and runs in a container of the standard library alone:

    CALL {"tools": ["Agent"], "input": {"prompt": "…"}, "context_tokens": 190000}

`tools` are names that the tool may have; `context_tokens` is what it says that its prompt had, for
a CLI that shortens its history. It prints the model of each request, and what it was for.
"""

from __future__ import annotations

import http.server
import json
import os
import socketserver
import sys
from pathlib import Path
from typing import Any

MARK = "CALL "
DELEGATED = "DELEGATED"
SUMMARY = ("create a detailed summary of", "Generate a new <state_snapshot>")


def say(line: str) -> None:
    """Print a line in one piece, because requests come in threads."""
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


class Model(http.server.BaseHTTPRequestHandler):
    """Speaks the Messages API of Anthropic and generateContent of Google."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        google = ":" in self.path.rpartition("/")[2]
        name = self.path.rpartition("/")[2].partition(":")[0] if google else body["model"]
        said = json.dumps(body.get("contents", body.get("messages")))
        if self.path.partition("?")[0].endswith(("count_tokens", ":countTokens")):
            self._whole({"input_tokens": 10, "totalTokens": 10})
            return
        say(f"asked {name} {purpose(body, said)}")
        call = call_in(body, said)
        if google:
            self._google(call, streamed="streamGenerateContent" in self.path)
        else:
            self._anthropic(call, name, streamed=bool(body.get("stream")))

    def _anthropic(self, call: dict[str, Any] | None, name: str, *, streamed: bool) -> None:
        usage = {"input_tokens": call["context_tokens"] if call else 10, "output_tokens": 5}
        block: dict[str, Any] = {"type": "text", "text": "Done."}
        if call:
            tool = {"name": call["name"], "input": call["input"]}
            block = {"type": "tool_use", "id": "toolu_1", **tool}
        reason = "tool_use" if call else "end_turn"
        message = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": name,
            "content": [block], "stop_reason": reason, "stop_sequence": None, "usage": usage,
        }  # fmt: skip
        if not streamed:
            self._whole(message)
            return
        begun = {**message, "content": [], "stop_reason": None}
        empty = {**block, "input": {}} if call else {**block, "text": ""}
        delta = {"type": "text_delta", "text": "Done."}
        if call:
            delta = {"type": "input_json_delta", "partial_json": json.dumps(call["input"])}
        end = {"stop_reason": reason, "stop_sequence": None}
        events: list[dict[str, Any]] = [
            {"type": "message_start", "message": begun},
            {"type": "content_block_start", "index": 0, "content_block": empty},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": end, "usage": usage},
            {"type": "message_stop"},
        ]
        self._send("text/event-stream", "".join(
            f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events
        ))  # fmt: skip

    def _google(self, call: dict[str, Any] | None, *, streamed: bool) -> None:
        part: dict[str, Any] = {"text": "Done."}
        if call:
            part = {"functionCall": {"name": call["name"], "args": call["input"]}}
        prompt = call["context_tokens"] if call else 10
        answer = {
            "candidates": [
                {"content": {"role": "model", "parts": [part]}, "index": 0, "finishReason": "STOP"}
            ],
            "usageMetadata": {
                "promptTokenCount": prompt,
                "candidatesTokenCount": 5,
                "totalTokenCount": prompt + 5,
            },
        }  # fmt: skip
        if streamed:
            self._send("text/event-stream", f"data: {json.dumps(answer)}\r\n\r\n")
        else:
            self._whole(answer)

    def _whole(self, body: dict[str, Any]) -> None:
        self._send("application/json", json.dumps(body))

    def _send(self, kind: str, text: str) -> None:
        data = text.encode()
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def address_string(self) -> str:
        return "gateway"

    def log_message(self, *_: object) -> None:
        pass


def purpose(body: dict[str, Any], said: str) -> str:
    """What a request is for: the agent's own work, a sub-agent's, or a summary of a history."""
    if any(word in json.dumps(body) for word in SUMMARY):
        return "summary"
    return "delegated" if DELEGATED in said and MARK not in said else "own"


def call_in(body: dict[str, Any], said: str) -> dict[str, Any] | None:
    """The call that is still to be made: with the first prompt, and never twice."""
    answered = any(word in said for word in ('"tool_result"', '"functionResponse"'))
    texts = [text for text in _texts(body.get("contents", body.get("messages"))) if MARK in text]
    if answered or not texts:
        return None
    call: dict[str, Any] = json.JSONDecoder().raw_decode(texts[0].partition(MARK)[2])[0]
    offered = json.dumps(body.get("tools", []))
    names = [name for name in call["tools"] if f'"{name}"' in offered]
    return {"context_tokens": 10, **call, "name": names[0]} if names else None


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in inner for text in _texts(item)]


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


if __name__ == "__main__":
    Path(sys.argv[1]).unlink(missing_ok=True)
    with Server(sys.argv[1], Model) as server:
        os.chmod(sys.argv[1], 0o666)  # noqa: PTH101 # a socket of another user's
        say("serving")
        server.serve_forever()
