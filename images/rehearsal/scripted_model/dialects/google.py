"""The Gemini API's generateContent, as far as Gemini CLI and the SDK use it.

Source: https://ai.google.dev/api/generate-content for requests, chunks and usage.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..conversation import (
    CUTS,
    Answer,
    Bill,
    Conversation,
    Event,
    Output,
    Said,
    Shell,
    prompt,
    step_of,
)
from ..weight import weigh

RAW = "raw"  # in place of an event's name: no event, but plain JSON
THOUGHTS_TOKENS = 16
MODEL_IN_PATH = re.compile(r"/v1(?:beta)?/models/([^/:]+):(\w+)$")
Frame = dict[str, Any]


def key(headers: dict[str, str]) -> str:
    """The key that a request presents, header names in lower case."""
    return headers.get("x-goog-api-key", "")


def purpose(path: str) -> str:
    """What a POST to `path` is for: `answer`, `count`, or nothing that is served here."""
    found = MODEL_IN_PATH.match(path)
    method = found.group(2) if found else ""
    answers = {"generateContent": "answer", "streamGenerateContent": "answer"}
    return {**answers, "countTokens": "count"}.get(method, "")


def read(path: str, body: Frame) -> Conversation:
    """The conversation of a request to `/v1beta/models/MODEL:METHOD`."""
    found = MODEL_IN_PATH.search(path)
    contents = body.get("contents", [])
    answered = max((i for i, c in enumerate(contents) if c.get("role") == "model"), default=-1)
    total = weigh(body)
    fresh = weigh(contents[answered + 1 :])
    declared = [d for tool in body.get("tools", []) for d in tool.get("functionDeclarations", [])]
    asked = body.get("generationConfig", {})
    return Conversation(
        events=tuple(event for content in contents for event in _events(content)),
        tools=frozenset(d.get("name", "") for d in declared),
        model=found.group(1) if found else "",
        streamed=bool(found and found.group(2) == "streamGenerateContent"),
        input_tokens=total,
        cached_tokens=max(0, total - fresh) if answered >= 0 else 0,
        schema=asked.get("responseJsonSchema") or asked.get("responseSchema") or {},
        output_limit=asked.get("maxOutputTokens"),
    )


def _events(content: Frame) -> Iterator[Event]:
    if content.get("role") == "model":
        yield Said()
        return
    for part in content.get("parts", []):
        response = part.get("functionResponse", {})
        step = step_of(response.get("id"))
        if step is not None:
            yield Output(step, _output(response.get("response", {})))
        elif said := prompt(part.get("text", "")):
            yield said


def _output(response: Frame) -> str:
    return "\n".join(value for value in response.values() if isinstance(value, str))


def count(conversation: Conversation) -> Frame:
    """The answer to a request for a token count."""
    return {"totalTokens": conversation.input_tokens}


def whole(answer: Answer) -> Frame:
    """The answer as one response, for `generateContent`."""
    call = _call_parts(answer)
    return _chunk(answer, [{"text": answer.text}, *call], finished=True)


def frames(answer: Answer) -> Iterator[tuple[str, Frame]]:
    """The answer as server-sent events, which have no names here; the last one's usage counts."""
    middle = len(answer.text) // 2
    yield "", _chunk(answer, [{"text": answer.text[:middle]}], finished=False)
    yield "", _chunk(answer, [{"text": answer.text[middle:]}], finished=False)
    yield "", _chunk(answer, _call_parts(answer) or [{"text": ""}], finished=True)


def broken(answer: Answer) -> Iterator[tuple[str, Frame]]:
    """A stream that fails after its first words.

    The SDK of Gemini CLI looks for the error as plain JSON between the events, so that is how the
    API must send it. One that comes as an event, as the second does here, the CLI takes for the end
    of the turn.
    """
    half = answer.text[: len(answer.text) // 2]
    yield "", _chunk(answer, [{"text": half}], finished=False)
    failure = error(503, "The model is overloaded. Please try again later.")
    is_event = isinstance(answer.step, Shell) and answer.step.cut == CUTS[1]
    yield "" if is_event else RAW, failure


def bill(answer: Answer) -> Bill:
    """What is charged for an answer; for a broken one, what its last chunk said."""
    whole_bill = answer.bill(answer.thinking_tokens(THOUGHTS_TOKENS))
    return replace(whole_bill, output=1 + THOUGHTS_TOKENS) if answer.cut else whole_bill


def error(status: int, message: str) -> Frame:
    """An error in Google's own form."""
    kinds = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 503: "UNAVAILABLE"}
    return {"error": {"code": status, "message": message, "status": kinds.get(status, "INTERNAL")}}


def _call_parts(answer: Answer) -> list[Frame]:
    call = answer.call
    if call is None:
        return []
    part = {"id": answer.call_id("call_"), "name": call.tool, "args": call.arguments}
    return [{"functionCall": part}]


def _chunk(answer: Answer, parts: list[Frame], finished: bool) -> Frame:
    candidate: Frame = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finished:
        candidate["finishReason"] = "STOP"
    return {
        "candidates": [candidate],
        "usageMetadata": _usage(answer, finished),
        "modelVersion": answer.conversation.model,
        "responseId": f"rehearsal-{answer.number:05d}",
    }


def _usage(answer: Answer, finished: bool) -> Frame:
    charged, thoughts = bill(answer), answer.thinking_tokens(THOUGHTS_TOKENS)
    thoughts, written = (thoughts, charged.output - thoughts) if finished else (THOUGHTS_TOKENS, 1)
    return {
        "promptTokenCount": charged.prompt,
        "cachedContentTokenCount": charged.cached_read,
        "candidatesTokenCount": written,
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": charged.prompt + written + thoughts,
    }
