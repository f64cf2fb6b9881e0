"""Google's Gemini API: policy table, usage and errors.

The attack that this dialect adds: proto3 JSON takes each field in two spellings
(`googleSearch`, `google_search`), so every object that is checked is brought to one spelling
first, and a field in both spellings is refused.

Source: https://ai.google.dev/api/generate-content and the requests of Gemini CLI 0.61.0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from .. import policy
from ..refusal import Reason, Refusal, Reply
from ..tokens import Tokens, count_in
from .base import Ask, Dialect, Report, Route, kept

# --- the policy table ------------------------------------------------------------------------

TARGET = re.compile(
    r"/(?P<version>v1|v1beta)/models/(?P<model>[A-Za-z0-9][A-Za-z0-9._-]{0,127})"
    r":(?P<call>generateContent|streamGenerateContent\?alt=sse|countTokens)"
)
FIELDS = policy.words(
    """
    model contents systemInstruction tools toolConfig generationConfig safetySettings labels
    serviceTier store
    """
)
REFUSED_FIELDS = {"cachedContent": policy.BY_REFERENCE}
SERVICE_TIERS = frozenset({"standard", "SERVICE_TIER_STANDARD", "unspecified"})
TOOLS = frozenset({"functionDeclarations"})
TOOL_CONFIG = frozenset({"functionCallingConfig"})
PARTS = policy.words(
    """
    text thought thoughtSignature functionCall functionResponse inlineData mediaResolution
    partMetadata
    """
)
REFUSED_PARTS = {
    "fileData": policy.BY_REFERENCE,
    "executableCode": policy.SERVER_SIDE,
    "codeExecutionResult": policy.SERVER_SIDE,
    "toolCall": policy.SERVER_SIDE,
    "toolResponse": policy.SERVER_SIDE,
}
GENERATION = policy.words(
    """
    stopSequences responseMimeType responseSchema responseJsonSchema candidateCount
    maxOutputTokens temperature topP topK seed presencePenalty frequencyPenalty responseLogprobs
    logprobs thinkingConfig mediaResolution responseModalities
    """
)
ERRORS: dict[Reason, tuple[int, str]] = {
    Reason.TOKEN: (401, "UNAUTHENTICATED"),
    Reason.FRAMING: (400, "INVALID_ARGUMENT"),
    Reason.PATH: (404, "NOT_FOUND"),
    Reason.BODY: (400, "INVALID_ARGUMENT"),
    Reason.SIZE: (413, "INVALID_ARGUMENT"),
    Reason.MODEL: (403, "PERMISSION_DENIED"),
    Reason.POLICY: (403, "PERMISSION_DENIED"),
    Reason.BUSY: (503, "UNAVAILABLE"),
    Reason.CAP: (402, "FAILED_PRECONDITION"),
    Reason.QUOTA: (402, "FAILED_PRECONDITION"),
    Reason.LEDGER: (503, "UNAVAILABLE"),
    Reason.PROVIDER: (503, "UNAVAILABLE"),
}


class GoogleGenerate(Dialect):
    """`generateContent`, `streamGenerateContent?alt=sse` and `countTokens`."""

    default_output_tokens = 65_536
    usage_grows = True

    def route(self, method: str, target: str) -> Route | None:
        found = TARGET.fullmatch(target) if method == "POST" else None
        if found is None:
            return None
        call = found["call"]
        return Route(
            target,
            model=found["model"],
            streamed=call.startswith("stream"),
            counts=call == "countTokens",
        )

    def presented(self, headers: Mapping[str, str]) -> str:
        return headers.get("x-goog-api-key", "")

    def request_headers(self, client: Mapping[str, str], api_key: str) -> dict[str, str]:
        return kept(client, "User-Agent", "x-goog-api-client") | {"x-goog-api-key": api_key}

    def read(self, route: Route, body: dict[str, Any]) -> Ask:
        checked = _one_spelling(body, "request")
        if route.counts and "generateContentRequest" in checked:
            policy.only(checked, {"generateContentRequest"}, "request")
            inner = policy.table(checked["generateContentRequest"], "generateContentRequest")
            checked = _one_spelling(inner, "generateContentRequest")
        pictures = _check_request(route, checked)
        generation = _one_spelling(checked.get("generationConfig"), "generationConfig")
        return Ask(
            route=route,
            model=route.model,
            body=body,
            streamed=route.streamed,
            output_tokens=_check_generation(generation),
            images=pictures,
        )

    def limited(self, body: dict[str, Any], output_tokens: int) -> dict[str, Any]:
        lowered = _one_spelling(body, "request")
        generation = _one_spelling(lowered.get("generationConfig"), "generationConfig")
        return lowered | {"generationConfig": generation | {"maxOutputTokens": output_tokens}}

    def counting(self, ask: Ask) -> tuple[str, dict[str, Any]]:
        version = ask.route.path.split("/")[1]
        path = f"/{version}/models/{ask.model}:countTokens"
        inner = _one_spelling(ask.body, "request") | {"model": f"models/{ask.model}"}
        return path, {"generateContentRequest": inner}

    def counted(self, answer: dict[str, Any]) -> int:
        return count_in(answer, "totalTokens")

    def absorb(self, report: Report, event: dict[str, Any]) -> None:
        usage = event.get("usageMetadata")
        if not isinstance(usage, dict) or not usage:
            return
        cached = count_in(usage, "cachedContentTokenCount")
        prompt = count_in(usage, "promptTokenCount") + count_in(usage, "toolUsePromptTokenCount")
        thoughts = count_in(usage, "thoughtsTokenCount")
        report.tokens = Tokens(
            input=max(0, prompt - cached),
            cached_read=cached,
            output=count_in(usage, "candidatesTokenCount") + thoughts,
            reasoning=thoughts,
        )
        report.seen = True
        report.final = _finished(event)

    def failure(self, event: dict[str, Any]) -> str:
        error = event.get("error")
        return str(error.get("status") or "error") if isinstance(error, dict) else ""

    def reply(self, refusal: Refusal) -> Reply:
        status, name = ERRORS[refusal.reason]
        error: dict[str, Any] = {
            "code": status,
            "message": f"gateway: {refusal.detail}",
            "status": name,
        }
        if refusal.wait_seconds is not None:
            error["details"] = [
                {
                    "@type": "type.googleapis.com/google.rpc.RetryInfo",
                    "retryDelay": f"{refusal.wait_seconds:.0f}s",
                }
            ]
        return Reply(status, json.dumps({"error": error}).encode())


def _finished(event: dict[str, Any]) -> bool:
    candidates = event.get("candidates")
    ended = isinstance(candidates, list) and any(
        isinstance(one, dict) and one.get("finishReason") for one in candidates
    )
    feedback = event.get("promptFeedback")
    return ended or (isinstance(feedback, dict) and bool(feedback.get("blockReason")))


def _camel(name: str) -> str:
    return re.sub(r"_+([A-Za-z0-9])", lambda found: found[1].upper(), name)


def _one_spelling(value: Any, where: str) -> dict[str, Any]:
    """The object with its own field names in lowerCamelCase.

    Raises:
        Refusal: a field is there in two spellings.
    """
    spelled = {_camel(name): item for name, item in policy.table(value, where).items()}
    if len(spelled) != len(value or {}):
        raise Refusal(Reason.BODY, f"{where} has a field in two spellings")
    return spelled


def _check_request(route: Route, body: dict[str, Any]) -> int:
    """Refuses what the table does not list; the number of inline pictures."""
    policy.only(body, FIELDS, "request", REFUSED_FIELDS)
    if body.get("model") not in (None, route.model, f"models/{route.model}"):
        raise Refusal(Reason.MODEL, "the body names another model than the path")
    policy.one_of(body.get("serviceTier"), SERVICE_TIERS, "serviceTier", policy.HIDDEN_COST)
    for tool in policy.objects(body.get("tools"), "tools"):
        for name in _one_spelling(tool, "tool"):
            if name not in TOOLS:
                raise policy.refuse(f"tool {name[:80]!r}", policy.SERVER_SIDE)
    policy.only(_one_spelling(body.get("toolConfig"), "toolConfig"), TOOL_CONFIG, "toolConfig")
    contents = body.get("contents")
    listed = policy.objects([contents] if isinstance(contents, dict) else contents, "contents")
    system = body.get("systemInstruction")
    if system is not None:
        listed = [*listed, policy.table(system, "systemInstruction")]
    return sum(_check_content(content) for content in listed)


def _check_content(content: dict[str, Any], depth: int = 0) -> int:
    policy.only(content, {"role", "parts"}, "content")
    parts = content.get("parts")
    listed = policy.objects([parts] if isinstance(parts, dict) else parts, "parts")
    return sum(_check_part(_one_spelling(part, "part"), depth) for part in listed)


def _check_part(part: dict[str, Any], depth: int) -> int:
    policy.only(part, PARTS, "part", REFUSED_PARTS)
    pictures = 0
    if part.get("inlineData") is not None:
        data = _one_spelling(part["inlineData"], "inlineData")
        policy.inline_image(data.get("mimeType"), "inline data")
        pictures += 1
    response = _one_spelling(part.get("functionResponse"), "functionResponse")
    if response.get("parts") is not None:
        if depth:
            raise Refusal(Reason.BODY, "function responses are nested")
        pictures += _check_content({"parts": response["parts"]}, depth + 1)
    return pictures


def _check_generation(config: dict[str, Any]) -> int | None:
    """Refuses other outputs than one text; the largest output asked for, in tokens."""
    policy.only(config, GENERATION, "generationConfig")
    if config.get("candidateCount") not in (None, 1):
        raise policy.refuse("candidateCount above 1", policy.HIDDEN_COST)
    for modality in config.get("responseModalities") or []:
        policy.one_of(modality, {"TEXT", "text"}, "responseModalities", policy.HIDDEN_COST)
    return policy.whole(config.get("maxOutputTokens"), "maxOutputTokens")
