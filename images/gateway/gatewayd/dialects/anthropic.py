"""Anthropic's Messages API: policy table, usage and errors.

Source: https://docs.claude.com/en/api/messages and the requests of Claude Code 2.1.328.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..refusal import Reason, Refusal, Reply
from . import policy
from .anthropic_usage import read_usage
from .attachments import Attachments
from .base import Dialect, ModelRequest, Route, UsageReport, bearer, plain_headers
from .tokens import count_in

# --- the policy table ------------------------------------------------------------------------

GENERATE = ("/v1/messages", "/v1/messages?beta=true")
COUNT = ("/v1/messages/count_tokens", "/v1/messages/count_tokens?beta=true")

FIELDS = policy.names(
    """
    model messages system max_tokens metadata stop_sequences stream temperature top_k top_p
    tools tool_choice thinking context_management output_config output_format cache_control
    service_tier diagnostics
    """
)
REFUSED_FIELDS = {
    "mcp_servers": policy.SERVER_SIDE,
    "container": policy.SERVER_SIDE,
    "speed": policy.HIDDEN_COST,
    "inference_geo": policy.HIDDEN_COST,
    "fallbacks": policy.HIDDEN_COST,
}
# Tools that the client runs.
CLIENT_TOOLS = ("bash_20", "text_editor_20", "memory_20")
TOOL_FIELDS = policy.names(
    """
    type name description input_schema cache_control strict eager_input_streaming defer_loading
    input_examples max_characters
    """
)
CONTENT = policy.names(
    """
    text image document tool_use tool_result thinking redacted_thinking search_result
    tool_reference
    """
)
SOURCES = frozenset({"base64", "text", "content"})
MAX_NESTING = 4
CONTEXT_EDITS = ("clear_tool_uses_", "clear_thinking_")
SERVICE_TIERS = frozenset({"auto", "standard_only"})
# Betas of server-side features; their fields and tools are refused in any case.
DROPPED_BETAS = (
    "mcp-client-", "code-execution-", "files-api-", "web-fetch-", "web-search-", "skills-",
    "fast-mode-", "message-batches-", "compact-", "advisor-tool-", "computer-use-",
)  # fmt: skip
ERRORS: dict[Reason, tuple[int, str]] = {
    Reason.TOKEN: (401, "authentication_error"),
    Reason.FRAMING: (400, "invalid_request_error"),
    Reason.PATH: (404, "not_found_error"),
    Reason.BODY: (400, "invalid_request_error"),
    Reason.SIZE: (413, "request_too_large"),
    # Claude Code takes a 403 as bad credentials and ends; after a 404 or a 400 it goes on.
    Reason.MODEL: (404, "not_found_error"),
    Reason.POLICY: (400, "invalid_request_error"),
    Reason.BUSY: (529, "overloaded_error"),
    Reason.CAP: (402, "billing_error"),
    Reason.QUOTA: (402, "billing_error"),
    Reason.LEDGER: (529, "overloaded_error"),
    Reason.PROVIDER: (529, "overloaded_error"),
    Reason.ADDRESS: (403, "permission_error"),
    Reason.UNCOUNTED: (404, "not_found_error"),
    Reason.ORPHANED: (529, "overloaded_error"),
}


class AnthropicMessages(Dialect):
    """`POST /v1/messages`, streamed or not, and its token count."""

    body_bytes = 32 << 20
    default_output_tokens = 128_000

    def route(self, method: str, target: str) -> Route | None:
        if method != "POST" or target not in GENERATE + COUNT:
            return None
        return Route(target, counts=target in COUNT)

    def credential(self, headers: Mapping[str, str]) -> str:
        return headers.get("x-api-key") or bearer(headers)

    def request_headers(self, client_headers: Mapping[str, str], api_key: str) -> dict[str, str]:
        headers = {"anthropic-version": "2023-06-01"}
        headers |= plain_headers(client_headers, "anthropic-version", "User-Agent")
        asked = plain_headers(client_headers, "anthropic-beta").get("anthropic-beta", "")
        betas = [beta.strip() for beta in asked.split(",")]
        allowed = [beta for beta in betas if beta and not beta.startswith(DROPPED_BETAS)]
        if allowed:
            headers["anthropic-beta"] = ",".join(allowed)
        return headers | {"x-api-key": api_key}

    def parse(self, route: Route, body: dict[str, Any]) -> ModelRequest:
        policy.check_fields(body, FIELDS, "request", REFUSED_FIELDS)
        policy.check_value(
            body.get("service_tier"), SERVICE_TIERS, "service_tier", policy.HIDDEN_COST
        )
        _check_tools(body.get("tools"))
        _check_context(policy.table(body.get("context_management"), "context_management"))
        blocks = [*_blocks(body.get("system"))]
        for message in policy.objects(body.get("messages"), "messages"):
            blocks += _blocks(message.get("content"))
        attachments = Attachments()
        for block in blocks:
            _check_block(block, attachments)
        thinking = policy.table(body.get("thinking"), "thinking")
        budget = policy.positive(thinking.get("budget_tokens"), "thinking.budget_tokens") or 0
        return ModelRequest(
            route=route,
            model=policy.text(body.get("model"), "model"),
            body=body,
            streamed=policy.flag(body.get("stream"), "stream"),
            output_tokens=_output_tokens(route, body),
            output_floor=budget + 1024,
            attachments=attachments,
            cache_writes=_cache_writes([body, *(body.get("tools") or []), *blocks]),
        )

    def with_output_limit(self, body: dict[str, Any], output_tokens: int) -> dict[str, Any]:
        return body | {"max_tokens": output_tokens}

    def count_request(self, request: ModelRequest) -> tuple[str, dict[str, Any]]:
        wanted = ("model", "messages", "system", "tools", "tool_choice", "thinking")
        body = {name: request.body[name] for name in wanted if name in request.body}
        return request.route.path.replace("/v1/messages", "/v1/messages/count_tokens"), body

    def counted_tokens(self, answer: dict[str, Any]) -> int:
        return count_in(answer, "input_tokens")

    def read_event(self, report: UsageReport, event: dict[str, Any]) -> None:
        kind = event.get("type")
        usage = event.get("usage")
        if kind == "message_start":
            message = event.get("message")
            usage = message.get("usage") if isinstance(message, dict) else None
        if isinstance(usage, dict):
            report.add(usage, read_usage)
            report.final = report.final or kind in ("message_delta", "message")

    def failure(self, event: dict[str, Any]) -> str:
        if event.get("type") != "error":
            return ""
        error = event.get("error")
        return str(error.get("type", "error")) if isinstance(error, dict) else "error"

    def reply(self, refusal: Refusal) -> Reply:
        status, kind = ERRORS[refusal.reason]
        body = {"type": "error", "error": {"type": kind, "message": f"gateway: {refusal.detail}"}}
        headers = {}
        if refusal.wait_seconds is not None:
            headers["retry-after"] = str(math.ceil(refusal.wait_seconds))
        return Reply(status, json.dumps(body).encode(), headers=headers)


def _output_tokens(route: Route, body: dict[str, Any]) -> int | None:
    asked = policy.positive(body.get("max_tokens"), "max_tokens")
    if asked is None and not route.counts:
        raise Refusal(Reason.BODY, "max_tokens is missing")
    return asked


def _check_tools(tools: Any) -> None:
    for tool in policy.objects(tools, "tools"):
        kind = tool.get("type") or "custom"
        if kind != "custom" and not str(kind).startswith(CLIENT_TOOLS):
            raise policy.refuse(f"tool type {str(kind)[:80]!r}", policy.SERVER_SIDE)
        policy.check_fields(tool, TOOL_FIELDS, "tool", {"allowed_callers": policy.SERVER_SIDE})


def _check_context(management: dict[str, Any]) -> None:
    policy.check_fields(management, {"edits"}, "context_management")
    for edit in policy.objects(management.get("edits"), "context_management.edits"):
        if not str(edit.get("type")).startswith(CONTEXT_EDITS):
            raise policy.refuse(f"context edit {str(edit.get('type'))[:80]!r}", policy.HIDDEN_COST)


def _blocks(content: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Every block of a content, including those inside of tool results and documents."""
    if content is None or isinstance(content, str):
        return
    if depth > MAX_NESTING:
        raise Refusal(Reason.BODY, "content is nested too deeply")
    for block in policy.objects(content, "content"):
        yield block
        yield from _blocks(block.get("content"), depth + 1)
        yield from _blocks(policy.table(_source(block), "source").get("content"), depth + 1)


def _source(block: dict[str, Any]) -> Any:
    return block.get("source") if block.get("type") in ("image", "document") else None


def _check_block(block: dict[str, Any], attachments: Attachments) -> None:
    kind = str(block.get("type"))
    if kind not in CONTENT:
        raise policy.refuse(f"content of type {kind[:80]!r}", policy.SERVER_SIDE)
    if kind in ("image", "document"):
        source = policy.table(_source(block), "source")
        if source.get("type") not in SOURCES:
            name = str(source.get("type"))[:80]
            raise policy.refuse(f"{kind} source {name!r}", policy.BY_REFERENCE)
        if source["type"] == "base64":
            _add_attachment(kind, source, attachments)


def _add_attachment(kind: str, source: dict[str, Any], attachments: Attachments) -> None:
    """Adds a picture or a PDF.

    Anything else is refused with a sentence at which Claude Code 2.1.328 drops the block from its
    session; without that sentence every later request would be refused as well.
    """
    add = attachments.add_picture if kind == "image" else attachments.add_document
    try:
        add(source.get("media_type"), source.get("data"), f"inline {kind}")
    except Refusal as refusal:
        known = "Could not process image" if kind == "image" else "The PDF specified was not valid"
        raise Refusal(refusal.reason, f"{known}. {refusal.detail}") from None


def _cache_writes(places: Iterable[dict[str, Any]]) -> str:
    """The longest-lived cache that any `cache_control` asks for."""
    controls = [place["cache_control"] for place in places if place.get("cache_control")]
    if not controls:
        return ""
    short = all(isinstance(one, dict) and one.get("ttl", "5m") == "5m" for one in controls)
    return "5m" if short else "1h"
