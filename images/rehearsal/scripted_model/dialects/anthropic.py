"""The Messages API of Anthropic, as far as Claude Code and the SDK use it.

Source: https://docs.anthropic.com/en/api/messages-streaming for the events and their order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..conversation import (
    Answer,
    Bill,
    Conversation,
    Event,
    Output,
    Said,
    prompt,
    step_of,
)
from ..weight import weigh

CACHES = ("", "5m", "1h")
FIRST_OUTPUT_TOKENS = 1  # what `message_start` says
Frame = dict[str, Any]


def key(headers: dict[str, str]) -> str:
    """The key that a request presents, header names in lower case."""
    bearer = headers.get("authorization", "").removeprefix("Bearer ")
    return headers.get("x-api-key", bearer)


def purpose(path: str) -> str:
    """What a POST to `path` is for: `answer`, `count`, or nothing that is served here."""
    return {"/v1/messages": "answer", "/v1/messages/count_tokens": "count"}.get(path, "")


def read(_path: str, body: Frame) -> Conversation:
    """The conversation of a request to `/v1/messages` or `/v1/messages/count_tokens`."""
    messages = body.get("messages", [])
    said = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    answered = max(said, default=-1)
    total = weigh(body)
    cache = _cache(body)
    return Conversation(
        events=tuple(event for message in messages for event in _events(message)),
        tools=frozenset(tool.get("name", "") for tool in body.get("tools", [])),
        model=body.get("model", ""),
        streamed=bool(body.get("stream")),
        input_tokens=total,
        cached_tokens=max(0, total - weigh(messages[answered + 1 :])) if cache and said else 0,
        schema=body.get("output_config", {}).get("format", {}).get("schema", {}),
        output_limit=body.get("max_tokens"),
        cache=cache,
    )


def _cache(value: Any) -> str:
    """The longest cache that any `cache_control` in a request asks for."""
    if isinstance(value, list):
        return max(map(_cache, value), key=CACHES.index, default="")
    if not isinstance(value, dict):
        return ""
    control = value.get("cache_control")
    own = control.get("ttl", "5m") if isinstance(control, dict) else ""
    return max((own, _cache(list(value.values()))), key=CACHES.index)


def _events(message: Frame) -> Iterator[Event]:
    if message["role"] == "assistant":
        yield Said()
    if message["role"] != "user":
        return
    for block in _blocks(message["content"]):
        step = step_of(block.get("tool_use_id"))
        if step is not None:
            yield Output(step, _text(block.get("content", "")))
        elif block.get("type") == "text" and (said := prompt(block["text"])):
            yield said


def _blocks(content: str | list[Frame]) -> list[Frame]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _text(content: str | list[Frame]) -> str:
    return "\n".join(block.get("text", "") for block in _blocks(content))


def count(conversation: Conversation) -> Frame:
    """The answer to a request for a token count."""
    return {"input_tokens": conversation.input_tokens}


def whole(answer: Answer) -> Frame:
    """The answer as one message, for a request without `stream`."""
    message = _envelope(answer)
    message["content"] = [{"type": "text", "text": answer.text}, *_tool_blocks(answer)]
    message["stop_reason"] = _stop_reason(answer)
    message["usage"]["output_tokens"] = bill(answer).output
    return message


def frames(answer: Answer) -> Iterator[tuple[str, Frame]]:
    """The answer as server-sent events: (event name, data)."""
    yield _frame("message_start", message=_envelope(answer))
    yield _frame("content_block_start", index=0, content_block={"type": "text", "text": ""})
    yield _frame("ping")
    yield from _deltas(0, "text_delta", "text", answer.text)
    yield _frame("content_block_stop", index=0)
    for block in _tool_blocks(answer):
        yield _frame("content_block_start", index=1, content_block={**block, "input": {}})
        yield from _deltas(1, "input_json_delta", "partial_json", json.dumps(block["input"]))
        yield _frame("content_block_stop", index=1)
    end = {"stop_reason": _stop_reason(answer), "stop_sequence": None}
    yield _frame("message_delta", delta=end, usage={"output_tokens": bill(answer).output})
    yield _frame("message_stop")


def broken(answer: Answer) -> Iterator[tuple[str, Frame]]:
    """A stream that fails after its first words, as an overloaded provider's does."""
    yield _frame("message_start", message=_envelope(answer))
    yield _frame("content_block_start", index=0, content_block={"type": "text", "text": ""})
    yield next(_deltas(0, "text_delta", "text", answer.text))
    yield _frame("error", error={"type": "overloaded_error", "message": "Overloaded"})


def bill(answer: Answer) -> Bill:
    """What is charged for an answer; for a broken one, what `message_start` said."""
    whole_bill = answer.bill(answer.thinking_tokens(0))
    return replace(whole_bill, output=FIRST_OUTPUT_TOKENS) if answer.cut else whole_bill


def error(status: int, message: str) -> Frame:
    """An error in Anthropic's own form."""
    kinds = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error"}
    return {"type": "error", "error": {"type": kinds.get(status, "api_error"), "message": message}}


def _frame(kind: str, **fields: Any) -> tuple[str, Frame]:
    return kind, {"type": kind, **fields}


def _deltas(index: int, kind: str, name: str, text: str) -> Iterator[tuple[str, Frame]]:
    """`text` in two parts, so that whoever reads the stream has to put it together."""
    middle = len(text) // 2
    for part in (text[:middle], text[middle:]):
        yield _frame("content_block_delta", index=index, delta={"type": kind, name: part})


def _tool_blocks(answer: Answer) -> list[Frame]:
    call = answer.call
    if call is None:
        return []
    block = {"id": answer.call_id("toolu_"), "name": call.tool, "input": call.arguments}
    return [{"type": "tool_use", **block}]


def _stop_reason(answer: Answer) -> str:
    return "end_turn" if answer.call is None else "tool_use"


def _envelope(answer: Answer) -> Frame:
    charged = bill(answer)
    usage = {
        "input_tokens": charged.input,
        "cache_creation_input_tokens": charged.cache_write_5m + charged.cache_write_1h,
        "cache_read_input_tokens": charged.cached_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": charged.cache_write_5m,
            "ephemeral_1h_input_tokens": charged.cache_write_1h,
        },
        "output_tokens": FIRST_OUTPUT_TOKENS,
    }
    return {
        "id": f"msg_rehearsal_{answer.number:05d}",
        "type": "message",
        "role": "assistant",
        "model": answer.conversation.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
