"""The Messages API of Anthropic, as far as Claude Code and the SDK use it.

Source: https://docs.anthropic.com/en/api/messages-streaming for the events and their order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .conversation import (
    Answer,
    Conversation,
    Event,
    Output,
    Said,
    Shell,
    prompt,
    step_of,
    tokens,
)

SHELL_TOOL = "Bash"
LONGEST_COMMAND_MILLISECONDS = 600_000  # Claude Code's own upper limit
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
    answered = max((i for i, m in enumerate(messages) if m["role"] == "assistant"), default=-1)
    total = tokens(json.dumps(body))
    fresh = tokens(json.dumps(messages[answered + 1 :]))
    cacheable = "cache_control" in json.dumps(body) and answered >= 0
    return Conversation(
        events=tuple(event for message in messages for event in _events(message)),
        tools=frozenset(tool.get("name", "") for tool in body.get("tools", [])),
        model=body.get("model", ""),
        streamed=bool(body.get("stream")),
        input_tokens=total,
        cached_tokens=max(0, total - fresh) if cacheable else 0,
        schema=body.get("output_config", {}).get("format", {}).get("schema", {}),
    )


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
    message["usage"]["output_tokens"] = answer.output_tokens
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
    yield _frame("message_delta", delta=end, usage={"output_tokens": answer.output_tokens})
    yield _frame("message_stop")


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
    if not isinstance(answer.step, Shell):
        return []
    arguments = {
        "command": answer.step.command,
        "description": answer.step.purpose,
        "timeout": LONGEST_COMMAND_MILLISECONDS,
    }
    call_id = answer.call_id("toolu_")
    return [{"type": "tool_use", "id": call_id, "name": SHELL_TOOL, "input": arguments}]


def _stop_reason(answer: Answer) -> str:
    return "tool_use" if isinstance(answer.step, Shell) else "end_turn"


def _envelope(answer: Answer) -> Frame:
    conversation = answer.conversation
    fresh = conversation.input_tokens - conversation.cached_tokens
    written = fresh if conversation.cached_tokens else 0
    usage = {
        "input_tokens": fresh - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": conversation.cached_tokens,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 1,
    }
    return {
        "id": f"msg_rehearsal_{answer.number:05d}",
        "type": "message",
        "role": "assistant",
        "model": conversation.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
