"""The Responses API of OpenAI, as far as Codex and the SDK use it.

Source: https://platform.openai.com/docs/api-reference/responses-streaming for the events.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..conversation import Answer, Bill, Conversation, Event, Output, Said, prompt, step_of
from ..weight import weigh
from .openai_tools import call_item, is_newer, names, streamed_field

OUR_CALLS = ("function_call", "custom_tool_call")
REASONING_TOKENS = 16
Frame = dict[str, Any]


def key(headers: dict[str, str]) -> str:
    """The key that a request presents, header names in lower case."""
    return headers.get("authorization", "").removeprefix("Bearer ")


def purpose(path: str) -> str:
    """What a POST to `path` is for: `answer`, `count`, or nothing that is served here."""
    return {"/v1/responses": "answer", "/v1/responses/input_tokens": "count"}.get(path, "")


def read(_path: str, body: Frame) -> Conversation:
    """The conversation of a request to `/v1/responses` or `/v1/responses/input_tokens`."""
    items = body.get("input", [])
    items = [{"role": "user", "content": items}] if isinstance(items, str) else items
    answered = max((i for i, item in enumerate(items) if _is_ours(item)), default=-1)
    total = weigh(body)
    fresh = weigh(items[answered + 1 :])
    return Conversation(
        events=tuple(event for item in items for event in _events(item)),
        tools=names(body),
        model=body.get("model", ""),
        streamed=bool(body.get("stream")),
        input_tokens=total,
        cached_tokens=max(0, total - fresh) if answered >= 0 else 0,
        schema=body.get("text", {}).get("format", {}).get("schema", {}),
        output_limit=body.get("max_output_tokens"),
        cache="5m" if is_newer(body) else "",
    )


def _is_ours(item: Frame) -> bool:
    return item.get("role") == "assistant" or item.get("type") in OUR_CALLS


def _events(item: Frame) -> Iterator[Event]:
    if _is_ours(item):
        yield Said()
    elif item.get("role") == "user" or _is_task(item):
        if said := prompt(_text(item.get("content", ""))):
            yield said
    else:
        step = step_of(item.get("call_id"))
        if step is not None:
            yield Output(step, _text(item.get("output", "")))


def _is_task(item: Frame) -> bool:
    """Whether the item is what a sub-agent is told to do, in the newer protocol."""
    return item.get("type") == "agent_message" and item.get("author") == "/root"


def _text(content: str | list[Frame]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text") or part.get("encrypted_content", "") for part in content)


def count(conversation: Conversation) -> Frame:
    """The answer to a request for a token count."""
    return {"object": "response.input_tokens", "input_tokens": conversation.input_tokens}


def whole(answer: Answer) -> Frame:
    """The answer as one response, for a request without `stream`."""
    tool_call = call_item(answer, "completed")
    output = [_message(answer, "completed"), *([tool_call] if tool_call else [])]
    return _response(answer, "completed", output)


def frames(answer: Answer) -> Iterator[tuple[str, Frame]]:
    """The answer as server-sent events: (event name, data with its sequence number)."""
    for number, (kind, fields) in enumerate(_unnumbered(answer)):
        yield kind, {"type": kind, "sequence_number": number, **fields}


def _unnumbered(answer: Answer) -> Iterator[tuple[str, Frame]]:
    yield "response.created", {"response": _response(answer, "in_progress", [])}
    yield "response.in_progress", {"response": _response(answer, "in_progress", [])}
    yield from _message_frames(answer)
    yield from _call_frames(answer)
    yield "response.completed", {"response": whole(answer)}


def broken(answer: Answer) -> Iterator[tuple[str, Frame]]:
    """A stream that fails after its first words, without a usage."""
    failure = {
        "code": "server_error",
        "message": "An error occurred while processing your request. You can retry your request.",
    }
    begun = itertools.islice(_unnumbered(answer), 5)
    failed = {**_response(answer, "failed", []), "error": failure}
    for number, (kind, fields) in enumerate([*begun, ("response.failed", {"response": failed})]):
        yield kind, {"type": kind, "sequence_number": number, **fields}


def bill(answer: Answer) -> Bill:
    """What is charged for an answer; for a broken one nothing is reported, and its prompt is."""
    whole_bill = answer.bill(answer.thinking_tokens(REASONING_TOKENS))
    return replace(whole_bill, output=0) if answer.cut else whole_bill


def _message_frames(answer: Answer) -> Iterator[tuple[str, Frame]]:
    begun, done = _message(answer, "in_progress"), _message(answer, "completed")
    place = {"output_index": 0, "item_id": done["id"], "content_index": 0}
    part = done["content"][0]
    yield "response.output_item.added", {"output_index": 0, "item": {**begun, "content": []}}
    yield "response.content_part.added", {**place, "part": {**part, "text": ""}}
    for delta in _halves(answer.text):
        yield "response.output_text.delta", {**place, "delta": delta, "logprobs": []}
    yield "response.output_text.done", {**place, "text": answer.text, "logprobs": []}
    yield "response.content_part.done", {**place, "part": part}
    yield "response.output_item.done", {"output_index": 0, "item": done}


def _call_frames(answer: Answer) -> Iterator[tuple[str, Frame]]:
    begun, done = call_item(answer, "in_progress"), call_item(answer, "completed")
    if begun is None or done is None:
        return
    place = {"output_index": 1, "item_id": done["id"]}
    field, event = streamed_field(done)
    yield "response.output_item.added", {"output_index": 1, "item": {**begun, field: ""}}
    for delta in _halves(done[field]):
        yield f"{event}.delta", {**place, "delta": delta}
    yield f"{event}.done", {**place, field: done[field], "name": done["name"]}
    yield "response.output_item.done", {"output_index": 1, "item": done}


def error(status: int, message: str) -> Frame:
    """An error in OpenAI's own form."""
    codes = {401: "invalid_api_key", 404: "not_found"}
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": codes.get(status)}}


def _halves(text: str) -> tuple[str, str]:
    """`text` in two parts, so that whoever reads the stream has to put it together."""
    middle = len(text) // 2
    return text[:middle], text[middle:]


def _message(answer: Answer, status: str) -> Frame:
    part = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
    return {
        "id": f"msg_rehearsal_{answer.number:05d}",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [part],
    }


def _response(answer: Answer, status: str, output: list[Frame]) -> Frame:
    response: Frame = {
        "id": f"resp_rehearsal_{answer.number:05d}",
        "object": "response",
        "created_at": 0,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": answer.conversation.model,
        "output": output,
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
        "usage": None,
    }
    if status == "completed":
        response["usage"] = _usage(answer)
    return response


def _usage(answer: Answer) -> Frame:
    charged = bill(answer)
    details = {"cached_tokens": charged.cached_read, "cache_write_tokens": charged.cache_write_5m}
    return {
        "input_tokens": charged.prompt,
        "input_tokens_details": details,
        "output_tokens": charged.output,
        "output_tokens_details": {"reasoning_tokens": answer.thinking_tokens(REASONING_TOKENS)},
        "total_tokens": charged.prompt + charged.output,
    }
