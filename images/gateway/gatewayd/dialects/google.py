"""Google's Gemini API: policy table, usage and errors.

The attack that is special to this dialect: proto3 JSON accepts each field in two spellings
(`googleSearch`, `google_search`). So every object is converted to one spelling before it is
checked, and a field that is given in both spellings is refused.

Source: https://ai.google.dev/api/generate-content and the requests of Gemini CLI 0.61.0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..refusal import Reason, Refusal, Reply
from . import policy
from .attachments import Attachments
from .base import Dialect, ModelRequest, Route, UsageReport, plain_headers
from .google_usage import read_usage
from .tokens import count_in

# --- the policy table ------------------------------------------------------------------------

TARGET = re.compile(
    r"/(?P<version>v1|v1beta)/models/(?P<model>[A-Za-z0-9][A-Za-z0-9._-]{0,127})"
    r":(?P<call>generateContent|streamGenerateContent\?alt=sse|countTokens)"
)
FIELDS = policy.names(
    """
    model contents systemInstruction tools toolConfig generationConfig safetySettings labels
    serviceTier store
    """
)
REFUSED_FIELDS = {"cachedContent": policy.BY_REFERENCE}
SERVICE_TIERS = frozenset({"standard", "SERVICE_TIER_STANDARD", "unspecified"})
TOOLS = frozenset({"functionDeclarations"})
TOOL_CONFIG = frozenset({"functionCallingConfig"})
PARTS = policy.names(
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
GENERATION = policy.names(
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
    Reason.MODEL: (404, "NOT_FOUND"),
    Reason.POLICY: (400, "INVALID_ARGUMENT"),
    Reason.BUSY: (503, "UNAVAILABLE"),
    Reason.CAP: (402, "FAILED_PRECONDITION"),
    Reason.QUOTA: (402, "FAILED_PRECONDITION"),
    Reason.LEDGER: (503, "UNAVAILABLE"),
    Reason.PROVIDER: (503, "UNAVAILABLE"),
    Reason.ADDRESS: (403, "PERMISSION_DENIED"),
    Reason.UNCOUNTED: (404, "NOT_FOUND"),
    Reason.ORPHANED: (503, "UNAVAILABLE"),
}


class GoogleGenerate(Dialect):
    """`generateContent`, `streamGenerateContent?alt=sse` and `countTokens`."""

    body_bytes = 100 << 20
    default_output_tokens = 65_536

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

    def credential(self, headers: Mapping[str, str]) -> str:
        return headers.get("x-goog-api-key", "")

    def request_headers(self, client_headers: Mapping[str, str], api_key: str) -> dict[str, str]:
        headers = plain_headers(client_headers, "User-Agent", "x-goog-api-client")
        return headers | {"x-goog-api-key": api_key}

    def parse(self, route: Route, body: dict[str, Any]) -> ModelRequest:
        checked = _one_spelling(body, "request")
        if route.counts and "generateContentRequest" in checked:
            policy.check_fields(checked, {"generateContentRequest"}, "request")
            inner = policy.table(checked["generateContentRequest"], "generateContentRequest")
            checked = _one_spelling(inner, "generateContentRequest")
        attachments = Attachments()
        _check_request(route, checked, attachments)
        generation = _one_spelling(checked.get("generationConfig"), "generationConfig")
        return ModelRequest(
            route=route,
            model=route.model,
            body=body,
            streamed=route.streamed,
            output_tokens=_check_generation(generation),
            attachments=attachments,
        )

    def with_output_limit(self, body: dict[str, Any], output_tokens: int) -> dict[str, Any]:
        lowered = _one_spelling(body, "request")
        generation = _one_spelling(lowered.get("generationConfig"), "generationConfig")
        return lowered | {"generationConfig": generation | {"maxOutputTokens": output_tokens}}

    def count_request(self, request: ModelRequest) -> tuple[str, dict[str, Any]]:
        version = request.route.path.split("/")[1]
        path = f"/{version}/models/{request.model}:countTokens"
        inner = _one_spelling(request.body, "request") | {"model": f"models/{request.model}"}
        return path, {"generateContentRequest": inner}

    def counted_tokens(self, answer: dict[str, Any]) -> int:
        return count_in(answer, "totalTokens")

    def read_event(self, report: UsageReport, event: dict[str, Any]) -> None:
        report.finished = report.finished or _finished(event)
        usage = event.get("usageMetadata")
        if isinstance(usage, dict) and usage:
            report.add(usage, read_usage)

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
        Refusal: a field is given in two spellings.
    """
    spelled = {_camel(name): item for name, item in policy.table(value, where).items()}
    if len(spelled) != len(value or {}):
        raise Refusal(Reason.BODY, f"{where} has a field in two spellings")
    return spelled


def _check_request(route: Route, body: dict[str, Any], attachments: Attachments) -> None:
    """Checks a request against the policy, and collects its pictures and documents."""
    policy.check_fields(body, FIELDS, "request", REFUSED_FIELDS)
    if body.get("model") not in (None, route.model, f"models/{route.model}"):
        raise Refusal(Reason.MODEL, "the body names another model than the path")
    policy.check_value(body.get("serviceTier"), SERVICE_TIERS, "serviceTier", policy.HIDDEN_COST)
    for tool in policy.objects(body.get("tools"), "tools"):
        for name in _one_spelling(tool, "tool"):
            if name not in TOOLS:
                raise policy.refuse(f"tool {name[:80]!r}", policy.SERVER_SIDE)
    policy.check_fields(
        _one_spelling(body.get("toolConfig"), "toolConfig"), TOOL_CONFIG, "toolConfig"
    )
    contents = body.get("contents")
    listed = policy.objects([contents] if isinstance(contents, dict) else contents, "contents")
    system = body.get("systemInstruction")
    if system is not None:
        listed = [*listed, policy.table(system, "systemInstruction")]
    for content in listed:
        _check_content(content, attachments)


def _check_content(content: dict[str, Any], attachments: Attachments, depth: int = 0) -> None:
    policy.check_fields(content, {"role", "parts"}, "content")
    parts = content.get("parts")
    for part in policy.objects([parts] if isinstance(parts, dict) else parts, "parts"):
        _check_part(_one_spelling(part, "part"), attachments, depth)


def _check_part(part: dict[str, Any], attachments: Attachments, depth: int) -> None:
    policy.check_fields(part, PARTS, "part", REFUSED_PARTS)
    if part.get("inlineData") is not None:
        data = _one_spelling(part["inlineData"], "inlineData")
        attachments.add(data.get("mimeType"), data.get("data"), "inline data")
    response = _one_spelling(part.get("functionResponse"), "functionResponse")
    if response.get("parts") is not None:
        if depth:
            raise Refusal(Reason.BODY, "function responses are nested")
        _check_content({"parts": response["parts"]}, attachments, depth + 1)


def _check_generation(config: dict[str, Any]) -> int | None:
    """Checks that one text is asked for; the largest output asked for, in tokens."""
    policy.check_fields(config, GENERATION, "generationConfig")
    if config.get("candidateCount") not in (None, 1):
        raise policy.refuse("candidateCount above 1", policy.HIDDEN_COST)
    for modality in config.get("responseModalities") or []:
        policy.check_value(modality, {"TEXT", "text"}, "responseModalities", policy.HIDDEN_COST)
    return policy.positive(config.get("maxOutputTokens"), "maxOutputTokens")
