"""A stand-in for the three providers: it answers in their dialects, and fails on demand.

A request itself says what to do with it, in a JSON object after the word `PLAN` in the prompt. So a
test needs no other way to the stand-in, which can run in a container as well:

    PLAN {"id": "a", "faults": [{"status": 429, "retry_after": 0.1}, {"cut": 100}], "output": 50}

The first attempt at plan `a` gets the first fault, the second gets the second; later ones succeed.
A count of the prompt's tokens gets the faults in `counts` in the same way, and the last of them
again and again. `GET /served` lists the requests.

The file is copied into a container alone, so it imports the standard library only.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import sys
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

TEXT = "Hello from the stand-in. "


@dataclass
class Plan:
    """What to do with a request; tokens are what the usage reports, not what is sent.

    Attributes:
        faults: one an attempt: `status` (with `retry_after`, `body`, or `echo`, which repeats the
            headers that came in the body and in headers), `refuse` (close at once),
            `cut` (close after so many bytes of the body), `first_event` (a stream of one error),
            `silence` (seconds before anything), `hold` (nothing before `StandIn.released` is set).
        chunks: pieces of text in a stream.
        chunk_bytes: length of each piece of text.
        pause: seconds between two pieces.
        usage: "right", "none" or "negative".
        extra_output: tokens generated beyond the limit that the request set.
        more_usage: fields that replace those of the final usage.
        fails: the provider's word for a failure with which a stream ends instead of its end.
        fails_with_usage: whether that failure has the final usage.
        coding: a content coding of the body, whether it was asked for or not.
        counts: faults of the count endpoint: `status`, `silence`, `refuse`.
    """

    id: str = ""
    faults: list[dict[str, Any]] = field(default_factory=list)
    input: int | None = None
    cached: int = 0
    write_5m: int = 0
    write_1h: int = 0
    output: int = 20
    reasoning: int = 0
    extra_output: int = 0
    chunks: int = 3
    chunk_bytes: int = len(TEXT)
    pause: float = 0.0
    usage: str = "right"
    more_usage: dict[str, Any] = field(default_factory=dict)
    fails: str = ""
    fails_with_usage: bool = False
    coding: str = ""
    counts: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Served:
    """A request that arrived, and what it got."""

    path: str
    model: str
    headers: dict[str, str]
    body: dict[str, Any]
    input: int = 0
    output: int = 0
    whole: bool = False
    status: int = 0
    usage: str = ""
    sent: bytes = b""


class StandIn:
    """The three providers in one server, on the standard library alone.

    Args:
        keep_bytes: whether to remember the bytes that were sent, for comparing.
    """

    def __init__(self, keep_bytes: bool = True) -> None:
        self.served: list[Served] = []
        self.counted = 0
        self.connections: set[asyncio.StreamWriter] = set()
        self.released = asyncio.Event()
        self._keep_bytes = keep_bytes
        self._attempts: dict[str, int] = {}

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection until either side closes it."""
        self.connections.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._request(reader, writer):
                pass
        self.connections.discard(writer)
        writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): text for name, text in (line.split(": ", 1) for line in lines)}
        raw = await reader.readexactly(int(headers.get("content-length", "0")))
        wire = _Wire(writer)
        if method == "GET":
            rows = [asdict(one) | {"sent": len(one.sent)} for one in self.served]
            await wire.whole(200, rows)
            return True
        body = json.loads(raw)
        if target.partition("?")[0].endswith(("count_tokens", "input_tokens", ":countTokens")):
            return await self._count(wire, body.get("generateContentRequest", body))
        model = body.get("model") or target.rpartition("/")[2].partition(":")[0]
        seen = Served(f"{method} {target}", model, headers, body)
        self.served.append(seen)
        if not self._keep_bytes:
            print(method, target.partition("?")[0], len(self.served), flush=True)
        plan = plan_in(body)
        attempt = self._attempts[plan.id] = self._attempts.get(plan.id, 0) + 1
        fault = plan.faults[attempt - 1] if attempt <= len(plan.faults) else {}
        return await self._give(wire, plan, fault, seen)

    async def _count(self, wire: _Wire, body: dict[str, Any]) -> bool:
        plan = plan_in(body)
        self.counted += 1
        fault = plan.counts[min(self.counted, len(plan.counts)) - 1] if plan.counts else {}
        await asyncio.sleep(fault.get("silence", 0))
        if fault.get("refuse"):
            return False
        if "status" in fault:
            await wire.whole(fault["status"], {"error": {"message": "on demand"}})
            return True
        count = _prompt(plan, body)
        await wire.whole(200, {"input_tokens": count, "totalTokens": count})
        return True

    async def _give(self, wire: _Wire, plan: Plan, fault: dict[str, Any], seen: Served) -> bool:
        if "silence" in fault:
            await asyncio.sleep(fault["silence"])
        if fault.get("hold"):
            await self.released.wait()
        if fault.get("refuse"):
            return False
        if "status" in fault:
            seen.status = fault["status"]
            wait = {"retry-after": fault["retry_after"]} if "retry_after" in fault else {}
            error = fault.get("body", {"error": {"message": "on demand", "type": "on_demand"}})
            if fault.get("echo"):
                error = {"error": {"message": f"refused: {seen.headers}", "type": "on_demand"}}
                wait |= {f"x-seen-{name}": text for name, text in seen.headers.items()}
            if "coding" in fault:
                raw = _coded(json.dumps(error).encode(), fault["coding"])
                more = {"Content-Encoding": fault["coding"]} | wait
                await wire.sized("application/json", raw, more, fault["status"])
                return True
            await wire.whole(fault["status"], error, wait)
            return True
        target = seen.path.partition(" ")[2]
        seen.input = _prompt(plan, seen.body)
        seen.output = min(plan.output, _limit(seen.body)) + plan.extra_output
        seen.status = 200
        seen.usage = plan.usage
        kind = "text/event-stream" if streamed(target, seen.body) else "application/json"
        if plan.coding:
            return await _encoded(wire, kind, plan, target, seen)
        await wire.begin(kind)
        if "first_event" in fault:
            await wire.piece(_event({"type": "error", "error": {"type": fault["first_event"]}}))
            await wire.end()
            return True
        left = fault.get("cut")
        if left == 0:
            return False
        for frame in frames(target, seen, plan):
            piece = frame if left is None else frame[:left]
            seen.sent += piece if self._keep_bytes else b""
            await wire.piece(piece)
            if left is not None:
                left -= len(piece)
                if left <= 0:
                    return False
            if plan.pause:
                await asyncio.sleep(plan.pause)
        seen.whole = True
        await wire.end()
        return True


async def _encoded(wire: _Wire, kind: str, plan: Plan, target: str, seen: Served) -> bool:
    """The whole answer in a content coding; its length is that of the encoded bytes."""
    seen.sent = b"".join(frames(target, seen, plan))
    coded = _coded(seen.sent, plan.coding)
    seen.whole = True
    more = {"Content-Encoding": plan.coding, "ETag": '"of-the-encoded-bytes"'}
    await wire.sized(kind, coded, more)
    return True


def _coded(body: bytes, coding: str) -> bytes:
    """The body in a content coding; unchanged where no gateway knows the coding."""
    if coding == "br":
        return bytes(import_module("brotli").compress(body))
    if coding == "zstd":
        return bytes(import_module("backports.zstd").compress(body))
    if coding in ("gzip", "x-gzip"):
        return gzip.compress(body)
    return zlib.compress(body) if coding == "deflate" else body


class _Wire:
    """The part of HTTP/1.1 that a stand-in needs."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def whole(self, status: int, body: Any, headers: dict[str, Any] | None = None) -> None:
        raw = json.dumps(body).encode()
        more = {"Content-Type": "application/json", "Content-Length": len(raw)} | (headers or {})
        self._head(status, more)
        self._writer.write(raw)
        await self._writer.drain()

    async def sized(
        self, kind: str, body: bytes, headers: dict[str, Any], status: int = 200
    ) -> None:
        self._head(status, {"Content-Type": kind, "Content-Length": len(body)} | headers)
        self._writer.write(body)
        await self._writer.drain()

    async def begin(self, kind: str) -> None:
        headers = {"Content-Type": kind, "x-request-id": "req-1", "Set-Cookie": "a=b"}
        self._head(200, headers | {"Transfer-Encoding": "chunked"})
        await self._writer.drain()

    async def piece(self, data: bytes) -> None:
        if data:
            self._writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await self._writer.drain()

    async def end(self) -> None:
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    def _head(self, status: int, headers: dict[str, Any]) -> None:
        lines = [f"HTTP/1.1 {status} On-Demand", *(f"{k}: {v}" for k, v in headers.items())]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())


def plan_in(body: dict[str, Any]) -> Plan:
    """The plan in a request's prompt; the last one counts."""
    for text in reversed([*_texts(body)]):
        _, mark, rest = text.rpartition("PLAN ")
        if mark:
            return Plan(**json.JSONDecoder().raw_decode(rest)[0])
    return Plan()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _prompt(plan: Plan, body: dict[str, Any]) -> int:
    asked = len(json.dumps(body)) // 4 if plan.input is None else plan.input
    return asked + plan.cached + plan.write_5m + plan.write_1h


def _limit(body: dict[str, Any]) -> int:
    config = body.get("generationConfig") or {}
    names = ("max_tokens", "max_output_tokens", "max_completion_tokens")
    named = [body[name] for name in names if body.get(name)]
    return int(min([*named, config.get("maxOutputTokens") or 10**9]))


def streamed(target: str, body: dict[str, Any]) -> bool:
    """Whether the request asks for a stream."""
    return bool(body.get("stream")) or "streamGenerateContent" in target


def frames(target: str, seen: Served, plan: Plan) -> Iterator[bytes]:
    """The body of an answer, in pieces."""
    text = (TEXT * (plan.chunk_bytes // len(TEXT) + 1))[: plan.chunk_bytes]
    live = streamed(target, seen.body)
    if ":" in target.rpartition("/")[2]:
        yield from _google(seen, plan, text, live)
    elif "/chat/" in target:
        yield from _chat(seen, plan, text, live)
    elif "/responses" in target:
        yield from _responses(seen, plan, text, live)
    else:
        yield from _anthropic(seen, plan, text, live)


def _event(data: dict[str, Any], named: bool = True) -> bytes:
    name = f"event: {data['type']}\n" if named else ""
    return f"{name}data: {json.dumps(data)}\n\n".encode()


def _anthropic(seen: Served, plan: Plan, text: str, live: bool) -> Iterator[bytes]:
    writes = {
        "ephemeral_5m_input_tokens": plan.write_5m,
        "ephemeral_1h_input_tokens": plan.write_1h,
    }
    usage = {
        "input_tokens": seen.input - plan.cached - plan.write_5m - plan.write_1h,
        "cache_read_input_tokens": plan.cached,
        "cache_creation_input_tokens": plan.write_5m + plan.write_1h,
        "cache_creation": writes,
        "output_tokens": seen.output,
    }
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": seen.model,
        "content": [{"type": "text", "text": text * plan.chunks}], "stop_reason": "end_turn",
        "stop_sequence": None,
    }  # fmt: skip
    if not live:
        yield json.dumps(message | _with("usage", usage, plan)).encode()
        return
    so_far = usage | {"output_tokens": min(1, seen.output)}  # never above what the end says
    first: dict[str, Any] = message | {"content": [], "stop_reason": None, "usage": so_far}
    yield _event({"type": "message_start", "message": first})
    block = {"type": "text", "text": ""}
    yield _event({"type": "content_block_start", "index": 0, "content_block": block})
    yield b'event: ping\ndata: {"type": "ping"}\n\n'
    delta = {"type": "text_delta", "text": text}
    yield from [_event({"type": "content_block_delta", "index": 0, "delta": delta})] * plan.chunks
    if plan.fails:
        yield _event({"type": "error", "error": {"type": plan.fails, "message": "on demand"}})
        return
    yield _event({"type": "content_block_stop", "index": 0})
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}}
    final = {"output_tokens": seen.output, "input_tokens": usage["input_tokens"]}
    yield _event(end | _with("usage", final, plan))
    yield _event({"type": "message_stop"})


def _responses(seen: Served, plan: Plan, text: str, live: bool) -> Iterator[bytes]:
    usage = {
        "input_tokens": seen.input, "input_tokens_details": _parts_of_prompt(plan),
        "output_tokens": seen.output, "output_tokens_details": {"reasoning_tokens": plan.reasoning},
        "total_tokens": seen.input + seen.output,
    }  # fmt: skip
    part = {"type": "output_text", "text": text * plan.chunks, "annotations": []}
    item = {
        "id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
        "content": [part],
    }  # fmt: skip
    base: dict[str, Any] = {
        "id": "resp_1", "object": "response", "created_at": 1, "model": seen.model, "output": [],
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "status": "in_progress",
    }  # fmt: skip
    done = base | {"status": "completed", "output": [item]} | _with("usage", usage, plan)
    if not live:
        yield json.dumps(done).encode()
        return
    yield _event({"type": "response.created", "sequence_number": 0, "response": base})
    opened = item | {"status": "in_progress", "content": []}
    place = {"output_index": 0, "sequence_number": 1}
    yield _event({"type": "response.output_item.added", "item": opened} | place)
    inside = place | {"item_id": "msg_1", "content_index": 0}
    empty = part | {"text": ""}
    yield _event({"type": "response.content_part.added", "part": empty} | inside)
    delta = {"type": "response.output_text.delta", "delta": text, "logprobs": []} | inside
    yield from [_event(delta)] * plan.chunks
    if plan.fails:
        error = {"code": plan.fails, "message": "on demand"}
        failed = base | {"status": "failed", "error": error, "usage": None}
        failed |= _with("usage", usage, plan) if plan.fails_with_usage else {}
        yield _event({"type": "response.failed", "sequence_number": 8, "response": failed})
        return
    whole = {"type": "response.output_text.done", "text": part["text"], "logprobs": []}
    yield _event(whole | inside)
    yield _event({"type": "response.output_item.done", "item": item} | place)
    yield _event({"type": "response.completed", "sequence_number": 9, "response": done})


def _chat(seen: Served, plan: Plan, text: str, live: bool) -> Iterator[bytes]:
    usage = {
        "prompt_tokens": seen.input, "prompt_tokens_details": _parts_of_prompt(plan),
        "completion_tokens": seen.output, "total_tokens": seen.input + seen.output,
        "completion_tokens_details": {"reasoning_tokens": plan.reasoning},
    }  # fmt: skip
    base: dict[str, Any] = {"id": "chat_1", "created": 1, "model": seen.model}
    if not live:
        message = {"role": "assistant", "content": text * plan.chunks}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        whole = base | {"object": "chat.completion", "choices": [choice]}
        yield json.dumps(whole | _with("usage", usage, plan)).encode()
        return
    base["object"] = "chat.completion.chunk"
    delta = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    piece = f"data: {json.dumps(base | {'choices': [delta], 'usage': None})}\n\n".encode()
    yield from [piece] * plan.chunks
    if plan.fails:
        error = {"error": {"message": "on demand", "code": plan.fails}}
        yield f"data: {json.dumps(error)}\n\n".encode()
        return
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    yield f"data: {json.dumps(base | {'choices': [end], 'usage': None})}\n\n".encode()
    if (seen.body.get("stream_options") or {}).get("include_usage") and plan.usage != "none":
        last = base | {"choices": []} | _with("usage", usage, plan)
        yield f"data: {json.dumps(last)}\n\n".encode()
    yield b"data: [DONE]\n\n"


def _google(seen: Served, plan: Plan, text: str, live: bool) -> Iterator[bytes]:
    thoughts = min(plan.reasoning, seen.output)
    usage = {
        "promptTokenCount": seen.input, "cachedContentTokenCount": plan.cached,
        "candidatesTokenCount": seen.output - thoughts, "thoughtsTokenCount": thoughts,
        "totalTokenCount": seen.input + seen.output,
    }  # fmt: skip

    def chunk(text: str, part: dict[str, int], end: bool) -> dict[str, Any]:
        content = {"role": "model", "parts": [{"text": text}]}
        candidate: dict[str, Any] = {"content": content, "index": 0}
        if end:
            candidate["finishReason"] = "STOP"
        return {"candidates": [candidate], "modelVersion": seen.model} | _with(
            "usageMetadata", part, plan
        )

    if not live:
        yield json.dumps(chunk(text * plan.chunks, usage, True)).encode()
        return
    so_far = {"promptTokenCount": seen.input, "totalTokenCount": seen.input}
    piece = f"data: {json.dumps(chunk(text, so_far, False))}\r\n\r\n".encode()
    yield from [piece] * plan.chunks
    if plan.fails:
        error = {"error": {"code": 503, "status": plan.fails, "message": "on demand"}}
        yield f"data: {json.dumps(error)}\r\n\r\n".encode()
        return
    yield f"data: {json.dumps(chunk('', usage, True))}\r\n\r\n".encode()


def _parts_of_prompt(plan: Plan) -> dict[str, int]:
    writes = {"cache_write_tokens": plan.write_5m} if plan.write_5m else {}
    return {"cached_tokens": plan.cached} | writes


def _with(name: str, usage: dict[str, Any], plan: Plan) -> dict[str, Any]:
    if plan.usage == "none":
        return {}
    if plan.usage == "negative":
        return {name: {key: -5 if isinstance(n, int) else n for key, n in usage.items()}}
    return {name: usage | plan.more_usage}


async def serve(standin: StandIn, socket: Path) -> asyncio.Server:
    """A server on a Unix socket."""
    server = await asyncio.start_unix_server(standin.connected, socket, limit=1 << 20, backlog=512)
    socket.chmod(0o666)
    return server


async def main(socket: Path) -> None:
    """Serves until it is ended."""
    await serve(StandIn(keep_bytes=False), socket)
    print("serving", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
