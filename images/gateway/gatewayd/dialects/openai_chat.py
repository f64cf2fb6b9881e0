"""OpenAI's Chat Completions API, which self-hosted servers (vLLM, Ollama) offer as well.

Source: https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from functools import partial
from typing import Any

from typing_extensions import override

from . import policy
from .attachments import Attachments
from .base import ModelRequest, Route, UsageReport
from .openai_base import SERVICE_TIERS, OpenAIDialect
from .openai_usage import CHAT_SUMS, read_usage

# --- the policy table ------------------------------------------------------------------------

GENERATE = "/v1/chat/completions"

FIELDS = policy.names(
    """
    model messages tools tool_choice parallel_tool_calls stream stream_options temperature top_p
    top_logprobs logprobs logit_bias frequency_penalty presence_penalty stop seed n max_tokens
    max_completion_tokens response_format reasoning_effort verbosity store metadata user
    safety_identifier prompt_cache_key prompt_cache_retention service_tier
    """
)
REFUSED_FIELDS = {
    "web_search_options": policy.SERVER_SIDE,
    "audio": policy.HIDDEN_COST,
    "modalities": policy.HIDDEN_COST,
    "prediction": policy.HIDDEN_COST,
}
CLIENT_TOOLS = frozenset({"function", "custom"})
CONTENT = frozenset({"text", "refusal", "image_url", "file"})


class OpenAIChat(OpenAIDialect):
    """`POST /v1/chat/completions`, streamed or not."""

    def route(self, method: str, target: str) -> Route | None:
        return Route(target) if (method, target) == ("POST", GENERATE) else None

    def parse(self, route: Route, body: dict[str, Any]) -> ModelRequest:
        policy.check_fields(body, FIELDS, "request", REFUSED_FIELDS)
        policy.check_value(
            body.get("service_tier"), SERVICE_TIERS, "service_tier", policy.HIDDEN_COST
        )
        if body.get("n") not in (None, 1):
            raise policy.refuse("n above 1", policy.HIDDEN_COST)
        for tool in policy.objects(body.get("tools"), "tools"):
            if tool.get("type") not in CLIENT_TOOLS:
                raise policy.refuse(f"tool type {str(tool.get('type'))[:80]!r}", policy.SERVER_SIDE)
        attachments = Attachments()
        for message in policy.objects(body.get("messages"), "messages"):
            _check_message(message, attachments)
        streamed = policy.flag(body.get("stream"), "stream")
        options = policy.table(body.get("stream_options"), "stream_options")
        return ModelRequest(
            route=route,
            model=policy.text(body.get("model"), "model"),
            body=body,
            streamed=streamed,
            output_tokens=_output_tokens(body),
            attachments=attachments,
            cache_writes="5m",
            changes={"stream_options": options | {"include_usage": True}} if streamed else None,
        )

    def with_output_limit(self, body: dict[str, Any], output_tokens: int) -> dict[str, Any]:
        name = "max_tokens" if "max_tokens" in body else "max_completion_tokens"
        return body | {name: output_tokens}

    @override
    def count_request(self, request: ModelRequest) -> tuple[str, dict[str, Any]]:
        return "", {}

    @override
    def counted_tokens(self, answer: dict[str, Any]) -> int:
        return 0

    def read_event(self, report: UsageReport, event: dict[str, Any]) -> None:
        choices = event.get("choices")
        if isinstance(choices, list) and any(_finished(choice) for choice in choices):
            report.finished = True
        usage = event.get("usage")
        if isinstance(usage, dict) and usage:
            report.add(usage, partial(read_usage, CHAT_SUMS))
            report.final = event.get("object") == "chat.completion" or choices == []

    def failure(self, event: dict[str, Any]) -> str:
        error = event.get("error")
        return str(error.get("code") or "error") if isinstance(error, dict) else ""


def _finished(choice: Any) -> bool:
    return isinstance(choice, dict) and choice.get("finish_reason") is not None


def _output_tokens(body: dict[str, Any]) -> int | None:
    """The output limit; the larger of its two names, so that neither can hide the other."""
    named = [
        policy.positive(body.get(name), name) for name in ("max_tokens", "max_completion_tokens")
    ]
    return max((limit for limit in named if limit is not None), default=None)


def _check_message(message: dict[str, Any], attachments: Attachments) -> None:
    """Checks the content of a message, and collects its pictures and files."""
    if message.get("audio") is not None:
        raise policy.refuse("audio", policy.BY_REFERENCE)
    content = message.get("content")
    if content is None or isinstance(content, str):
        return
    for part in policy.objects(content, "content"):
        kind = str(part.get("type"))
        if kind not in CONTENT:
            raise policy.refuse(f"content of type {kind[:80]!r}", policy.BY_REFERENCE)
        if kind == "image_url":
            attachments.add_picture_url(policy.table(part.get("image_url"), "image_url").get("url"))
        elif kind == "file":
            file = policy.table(part.get("file"), "file")
            if file.get("file_id") is not None:
                raise policy.refuse("a file by file_id", policy.BY_REFERENCE)
            attachments.add_document_url(file.get("file_data"))
