"""OpenAI's Responses API: policy table, usage and errors.

Source: https://platform.openai.com/docs/api-reference/responses and the requests of Codex 0.169.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from ..refusal import Reason, Refusal, Reply
from . import policy
from .attachments import Attachments
from .base import ModelRequest, Route, UsageReport
from .openai_base import SERVICE_TIERS, STREAMED_REASONS, OpenAIDialect, failed_stream
from .openai_usage import RESPONSES_SUMS, read_usage
from .tokens import count_in

# --- the policy table ------------------------------------------------------------------------

GENERATE = "/v1/responses"
COUNT = "/v1/responses/input_tokens"

FIELDS = policy.names(
    """
    model input instructions tools tool_choice parallel_tool_calls reasoning store stream
    stream_options include prompt_cache_key prompt_cache_retention text truncation temperature
    top_p top_logprobs max_output_tokens max_tool_calls metadata client_metadata
    safety_identifier user service_tier background
    """
)
REFUSED_FIELDS = {
    "previous_response_id": policy.BY_REFERENCE,
    "conversation": policy.BY_REFERENCE,
    "prompt": policy.BY_REFERENCE,
    "context_management": policy.HIDDEN_COST,
}
INCLUDES = frozenset({"reasoning.encrypted_content", "message.output_text.logprobs"})
# Tools that the client runs; `namespace` groups further ones.
CLIENT_TOOLS = frozenset({"function", "custom", "local_shell", "apply_patch", "namespace"})
ITEMS = policy.names(
    """
    message function_call function_call_output custom_tool_call custom_tool_call_output
    local_shell_call local_shell_call_output apply_patch_call apply_patch_call_output reasoning
    additional_tools agent_message
    """
)
CONTENT = policy.names(
    """
    input_text output_text summary_text reasoning_text text refusal input_image input_file
    encrypted_content
    """
)


class OpenAIResponses(OpenAIDialect):
    """`POST /v1/responses`, streamed or not, and its token count."""

    def route(self, method: str, target: str) -> Route | None:
        if method != "POST" or target not in (GENERATE, COUNT):
            return None
        return Route(target, counts=target == COUNT)

    def parse(self, route: Route, body: dict[str, Any]) -> ModelRequest:
        policy.check_fields(body, FIELDS, "request", REFUSED_FIELDS)
        policy.check_value(
            body.get("service_tier"), SERVICE_TIERS, "service_tier", policy.HIDDEN_COST
        )
        if policy.flag(body.get("background"), "background"):
            raise policy.refuse("background", policy.HIDDEN_COST)
        for name in body.get("include") or []:
            policy.check_value(name, INCLUDES, "include", policy.SERVER_SIDE)
        _check_tools(body.get("tools"))
        items = body.get("input")
        attachments = Attachments()
        for item in [] if isinstance(items, str) else policy.objects(items, "input"):
            _check_item(item, attachments)
        return ModelRequest(
            route=route,
            model=policy.text(body.get("model"), "model"),
            body=body,
            streamed=policy.flag(body.get("stream"), "stream"),
            output_tokens=policy.positive(body.get("max_output_tokens"), "max_output_tokens"),
            cache_writes="5m",
            attachments=attachments,
        )

    def with_output_limit(self, body: dict[str, Any], output_tokens: int) -> dict[str, Any]:
        return body | {"max_output_tokens": output_tokens}

    def count_request(self, request: ModelRequest) -> tuple[str, dict[str, Any]]:
        wanted = ("model", "input", "instructions", "tools", "tool_choice", "reasoning", "text")
        return COUNT, {name: request.body[name] for name in wanted if name in request.body}

    def counted_tokens(self, answer: dict[str, Any]) -> int:
        return count_in(answer, "input_tokens")

    def read_event(self, report: UsageReport, event: dict[str, Any]) -> None:
        response = event.get("response")
        answer = response if isinstance(response, dict) else event
        usage = answer.get("usage")
        if not isinstance(usage, dict) or not usage:
            return
        report.add(usage, partial(read_usage, RESPONSES_SUMS))
        report.final = answer.get("status") in ("completed", "incomplete", "failed", "cancelled")

    def failure(self, event: dict[str, Any]) -> str:
        response = event.get("response")
        answer = response if isinstance(response, dict) else event
        kind = event.get("type")
        failed = kind in ("response.failed", "error") or (
            event.get("object") == "response" and event.get("status") == "failed"
        )
        if not failed:
            return ""
        error = answer.get("error")
        return str((error if isinstance(error, dict) else answer).get("code") or "error")

    def streamed_reply(self, refusal: Refusal) -> Reply:
        return failed_stream(refusal) if refusal.reason in STREAMED_REASONS else self.reply(refusal)


def _check_tools(tools: Any, nested: bool = False) -> None:
    for tool in policy.objects(tools, "tools"):
        kind = str(tool.get("type"))
        on_client = kind == "tool_search" and tool.get("execution") == "client"
        if kind not in CLIENT_TOOLS and not on_client:
            raise policy.refuse(f"tool type {kind[:80]!r}", policy.SERVER_SIDE)
        if kind == "namespace":
            if nested:
                raise Refusal(Reason.BODY, "a namespace of tools contains another one")
            _check_tools(tool.get("tools"), nested=True)


def _check_item(item: dict[str, Any], attachments: Attachments) -> None:
    """Checks an item against `ITEMS`, and collects its pictures and files."""
    kind = str(item.get("type") or "message")
    on_client = kind in ("tool_search_call", "tool_search_output") and (
        item.get("execution") == "client"
    )
    if kind not in ITEMS and not on_client:
        raise policy.refuse(f"input of type {kind[:80]!r}", policy.SERVER_SIDE)
    _check_tools(item.get("tools"))
    for part in _parts(item):
        _check_part(part, attachments)


def _parts(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name in ("content", "output", "summary"):
        value = item.get(name)
        if isinstance(value, list):
            yield from policy.objects(value, name)


def _check_part(part: dict[str, Any], attachments: Attachments) -> None:
    kind = str(part.get("type"))
    if _is_shell_output(part):
        return
    if kind not in CONTENT:
        raise policy.refuse(f"content of type {kind[:80]!r}", policy.BY_REFERENCE)
    if kind in ("input_image", "input_file") and part.get("file_id") is not None:
        raise policy.refuse(f"{kind} by file_id", policy.BY_REFERENCE)
    if kind == "input_image":
        attachments.add_picture_url(part.get("image_url"))
    elif kind == "input_file":
        if part.get("file_url") is not None:
            raise policy.refuse("input_file by file_url", policy.BY_REFERENCE)
        attachments.add_document_url(part.get("file_data"))


def _is_shell_output(part: dict[str, Any]) -> bool:
    """Whether a part is the output of a local command, which has stdout and stderr but no type."""
    return "type" not in part and "stdout" in part
