"""Anthropic's Messages API: policy table, usage and errors.

Source: https://docs.claude.com/en/api/messages and the requests of Claude Code 2.1.328.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from .. import policy
from ..refusal import Reason, Refusal, Reply
from ..tokens import Tokens, count_in
from .base import Ask, Dialect, Report, Route, bearer, kept

# --- the policy table ------------------------------------------------------------------------

GENERATE = ("/v1/messages", "/v1/messages?beta=true")
COUNT = ("/v1/messages/count_tokens", "/v1/messages/count_tokens?beta=true")

FIELDS = policy.words(
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
# Tools that run where the request comes from: the client carries them out.
CLIENT_TOOLS = ("bash_20", "text_editor_20", "memory_20")
TOOL_FIELDS = policy.words(
    """
    type name description input_schema cache_control strict eager_input_streaming defer_loading
    input_examples max_characters
    """
)
CONTENT = policy.words(
    """
    text image document tool_use tool_result thinking redacted_thinking search_result
    tool_reference
    """
)
SOURCES = frozenset({"base64", "text", "content"})
MAX_NESTING = 4
CONTEXT_EDITS = ("clear_tool_uses_", "clear_thinking_")
SERVICE_TIERS = frozenset({"auto", "standard_only"})
# Betas of server-side features; their fields and tools are refused above in any case.
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
    Reason.MODEL: (403, "permission_error"),
    Reason.POLICY: (403, "permission_error"),
    Reason.BUSY: (529, "overloaded_error"),
    Reason.CAP: (402, "billing_error"),
    Reason.QUOTA: (402, "billing_error"),
    Reason.LEDGER: (529, "overloaded_error"),
    Reason.PROVIDER: (529, "overloaded_error"),
}


class AnthropicMessages(Dialect):
    """`POST /v1/messages`, streamed or not, and its token count."""

    default_output_tokens = 128_000

    def route(self, method: str, target: str) -> Route | None:
        if method != "POST" or target not in GENERATE + COUNT:
            return None
        return Route(target, counts=target in COUNT)

    def presented(self, headers: Mapping[str, str]) -> str:
        return headers.get("x-api-key") or bearer(headers)

    def request_headers(self, client: Mapping[str, str], api_key: str) -> dict[str, str]:
        headers = {"anthropic-version": "2023-06-01"}
        headers |= kept(client, "anthropic-version", "User-Agent")
        asked = kept(client, "anthropic-beta").get("anthropic-beta", "")
        betas = [beta.strip() for beta in asked.split(",")]
        allowed = [beta for beta in betas if beta and not beta.startswith(DROPPED_BETAS)]
        if allowed:
            headers["anthropic-beta"] = ",".join(allowed)
        return headers | {"x-api-key": api_key}

    def read(self, route: Route, body: dict[str, Any]) -> Ask:
        policy.only(body, FIELDS, "request", REFUSED_FIELDS)
        policy.one_of(body.get("service_tier"), SERVICE_TIERS, "service_tier", policy.HIDDEN_COST)
        _check_tools(body.get("tools"))
        _check_context(policy.table(body.get("context_management"), "context_management"))
        blocks = [*_blocks(body.get("system"))]
        for message in policy.objects(body.get("messages"), "messages"):
            blocks += _blocks(message.get("content"))
        for block in blocks:
            _check_block(block)
        thinking = policy.table(body.get("thinking"), "thinking")
        budget = policy.whole(thinking.get("budget_tokens"), "thinking.budget_tokens") or 0
        return Ask(
            route=route,
            model=policy.text(body.get("model"), "model"),
            body=body,
            streamed=policy.flag(body.get("stream"), "stream"),
            output_tokens=_output_tokens(route, body),
            output_floor=budget + 1024,
            images=sum(block["type"] == "image" for block in blocks),
            cache_writes=_cache_writes([body, *(body.get("tools") or []), *blocks]),
        )

    def limited(self, body: dict[str, Any], output_tokens: int) -> dict[str, Any]:
        return body | {"max_tokens": output_tokens}

    def counting(self, ask: Ask) -> tuple[str, dict[str, Any]]:
        wanted = ("model", "messages", "system", "tools", "tool_choice", "thinking")
        body = {name: ask.body[name] for name in wanted if name in ask.body}
        return ask.route.path.replace("/v1/messages", "/v1/messages/count_tokens"), body

    def counted(self, answer: dict[str, Any]) -> int:
        return count_in(answer, "input_tokens")

    def absorb(self, report: Report, event: dict[str, Any]) -> None:
        kind = event.get("type")
        usage = event.get("usage")
        if kind == "message_start":
            message = event.get("message")
            usage = message.get("usage") if isinstance(message, dict) else None
        if isinstance(usage, dict):
            report.tokens = _merged(report.tokens, usage)
            report.seen = True
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
    asked = policy.whole(body.get("max_tokens"), "max_tokens")
    if asked is None and not route.counts:
        raise Refusal(Reason.BODY, "max_tokens is missing")
    return asked


def _check_tools(tools: Any) -> None:
    for tool in policy.objects(tools, "tools"):
        kind = tool.get("type") or "custom"
        if kind != "custom" and not str(kind).startswith(CLIENT_TOOLS):
            raise policy.refuse(f"tool type {str(kind)[:80]!r}", policy.SERVER_SIDE)
        policy.only(tool, TOOL_FIELDS, "tool", {"allowed_callers": policy.SERVER_SIDE})


def _check_context(management: dict[str, Any]) -> None:
    policy.only(management, {"edits"}, "context_management")
    for edit in policy.objects(management.get("edits"), "context_management.edits"):
        if not str(edit.get("type")).startswith(CONTEXT_EDITS):
            raise policy.refuse(f"context edit {str(edit.get('type'))[:80]!r}", policy.HIDDEN_COST)


def _blocks(content: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Every block of a content, those inside of tool results and documents included."""
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


def _check_block(block: dict[str, Any]) -> None:
    kind = str(block.get("type"))
    if kind not in CONTENT:
        raise policy.refuse(f"content of type {kind[:80]!r}", policy.SERVER_SIDE)
    if kind in ("image", "document"):
        source = policy.table(_source(block), "source")
        if source.get("type") not in SOURCES:
            name = str(source.get("type"))[:80]
            raise policy.refuse(f"{kind} source {name!r}", policy.BY_REFERENCE)
        if source["type"] == "base64":
            policy.inline_image(source.get("media_type"), f"inline {kind}")


def _cache_writes(places: Iterable[dict[str, Any]]) -> str:
    """The longest cache that any `cache_control` asks for."""
    controls = [place["cache_control"] for place in places if place.get("cache_control")]
    if not controls:
        return ""
    short = all(isinstance(one, dict) and one.get("ttl", "5m") == "5m" for one in controls)
    return "5m" if short else "1h"


def _merged(before: Tokens, usage: dict[str, Any]) -> Tokens:
    """Later figures replace earlier ones; figures that a report leaves out stay."""

    def latest(name: str, known: int) -> int:
        return count_in(usage, name) if usage.get(name) is not None else known

    writes = latest("cache_creation_input_tokens", before.cache_write_5m + before.cache_write_1h)
    long_writes = before.cache_write_1h
    if isinstance(usage.get("cache_creation"), dict):
        long_writes = count_in(usage, "cache_creation", "ephemeral_1h_input_tokens")
    long_writes = min(long_writes, writes)
    thoughts = count_in(usage, "output_tokens_details", "thinking_tokens")
    return replace(
        before,
        input=latest("input_tokens", before.input),
        cached_read=latest("cache_read_input_tokens", before.cached_read),
        cache_write_5m=writes - long_writes,
        cache_write_1h=long_writes,
        output=latest("output_tokens", before.output),
        reasoning=max(before.reasoning, thoughts),
    )
