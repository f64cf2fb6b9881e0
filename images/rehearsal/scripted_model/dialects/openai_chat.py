"""The Chat Completions API of OpenAI, as far as the SDK of an optimiser uses it: text alone.

Source: https://platform.openai.com/docs/api-reference/chat/create for requests, answers, chunks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..conversation import Answer, Bill, Conversation, Event, Said, prompt
from ..weight import weigh
from .openai import count, error, key

__all__ = ["bill", "broken", "count", "error", "frames", "key", "purpose", "read", "whole"]
Frame = dict[str, Any]
PATH = "/v1/chat/completions"
LEAST_REASONING = 0


def purpose(path: str) -> str:
    """What a POST to `path` is for: `answer`, or nothing that is served here."""
    return "answer" if path == PATH else ""


def read(_path: str, body: Frame) -> Conversation:
    """The conversation of a request to `PATH`. Nothing of it is cached."""
    messages = body.get("messages", [])
    schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema")
    return Conversation(
        events=tuple(event for message in messages for event in _events(message)),
        tools=frozenset(tool["function"]["name"] for tool in body.get("tools") or []),
        model=body.get("model", ""),
        streamed=bool(body.get("stream")),
        input_tokens=weigh(body),
        schema=schema or {},
        output_limit=body.get("max_completion_tokens") or body.get("max_tokens"),
    )


def _events(message: Frame) -> Iterator[Event]:
    if message["role"] == "assistant":
        yield Said()
    elif message["role"] == "user" and (said := prompt(_text(message["content"]))):
        yield said


def _text(content: str | list[Frame]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content)


def whole(answer: Answer) -> Frame:
    """The answer as one completion, for a request without `stream`."""
    message: Frame = {
        "role": "assistant",
        "content": answer.text,
        "refusal": None,
        "annotations": [],
    }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {**_envelope(answer, "chat.completion"), "choices": [choice], "usage": _usage(answer)}


def frames(answer: Answer) -> Iterator[tuple[str, Frame]]:
    """The answer as server-sent events, which have no names here; the last has the usage."""
    middle = len(answer.text) // 2
    yield _chunk(answer, {"role": "assistant", "content": answer.text[:middle]})
    yield _chunk(answer, {"content": answer.text[middle:]})
    yield _chunk(answer, {}, finish_reason="stop")
    last = {**_envelope(answer, "chat.completion.chunk"), "choices": [], "usage": _usage(answer)}
    yield "", last


def broken(answer: Answer) -> Iterator[tuple[str, Frame]]:
    """A stream that fails after its first words, without a usage."""
    yield next(frames(answer))
    yield "", error(500, "An error occurred while processing your request.")


def bill(answer: Answer) -> Bill:
    """What is charged for an answer."""
    return answer.bill(answer.thinking_tokens(LEAST_REASONING))


def _chunk(answer: Answer, delta: Frame, finish_reason: str | None = None) -> tuple[str, Frame]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return "", {**_envelope(answer, "chat.completion.chunk"), "choices": [choice], "usage": None}


def _envelope(answer: Answer, kind: str) -> Frame:
    return {
        "id": f"chatcmpl-rehearsal_{answer.number:05d}",
        "object": kind,
        "created": 0,
        "model": answer.conversation.model,
    }


def _usage(answer: Answer) -> Frame:
    charged = bill(answer)
    return {
        "prompt_tokens": charged.prompt,
        "completion_tokens": charged.output,
        "total_tokens": charged.prompt + charged.output,
        "prompt_tokens_details": {"cached_tokens": charged.cached_read},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
