"""OpenAI's Chat Completions API, which self-hosted servers (vLLM, Ollama) speak as well.

Source: https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from .. import policy
from ..refusal import Refusal, Reply
from ..tokens import Tokens, count_in
from . import openai_errors
from .base import Ask, Dialect, Report, Route, bearer, kept
from .openai_responses import SERVICE_TIERS, inline_picture

# --- the policy table ------------------------------------------------------------------------

GENERATE = "/v1/chat/completions"

FIELDS = policy.words(
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
CONTENT = frozenset({"text", "refusal", "image_url"})


class OpenAIChat(Dialect):
    """`POST /v1/chat/completions`, streamed or not."""

    default_output_tokens = 128_000

    def route(self, method: str, target: str) -> Route | None:
        return Route(target) if (method, target) == ("POST", GENERATE) else None

    def presented(self, headers: Mapping[str, str]) -> str:
        return bearer(headers)

    def request_headers(self, client: Mapping[str, str], api_key: str) -> dict[str, str]:
        return kept(client, "User-Agent") | {"Authorization": f"Bearer {api_key}"}

    def read(self, route: Route, body: dict[str, Any]) -> Ask:
        policy.only(body, FIELDS, "request", REFUSED_FIELDS)
        policy.one_of(body.get("service_tier"), SERVICE_TIERS, "service_tier", policy.HIDDEN_COST)
        if body.get("n") not in (None, 1):
            raise policy.refuse("n above 1", policy.HIDDEN_COST)
        for tool in policy.objects(body.get("tools"), "tools"):
            if tool.get("type") not in CLIENT_TOOLS:
                raise policy.refuse(f"tool type {str(tool.get('type'))[:80]!r}", policy.SERVER_SIDE)
        messages = policy.objects(body.get("messages"), "messages")
        streamed = policy.flag(body.get("stream"), "stream")
        options = policy.table(body.get("stream_options"), "stream_options")
        return Ask(
            route=route,
            model=policy.text(body.get("model"), "model"),
            body=body,
            streamed=streamed,
            output_tokens=_output_tokens(body),
            images=sum(_check_message(message) for message in messages),
            changes={"stream_options": options | {"include_usage": True}} if streamed else None,
        )

    def limited(self, body: dict[str, Any], output_tokens: int) -> dict[str, Any]:
        name = "max_tokens" if "max_tokens" in body else "max_completion_tokens"
        return body | {name: output_tokens}

    @override
    def counting(self, ask: Ask) -> tuple[str, dict[str, Any]]:
        return "", {}

    @override
    def counted(self, answer: dict[str, Any]) -> int:
        return 0

    def absorb(self, report: Report, event: dict[str, Any]) -> None:
        usage = event.get("usage")
        if not isinstance(usage, dict) or not usage:
            return
        cached = count_in(usage, "prompt_tokens_details", "cached_tokens")
        report.tokens = Tokens(
            input=max(0, count_in(usage, "prompt_tokens") - cached),
            cached_read=cached,
            output=count_in(usage, "completion_tokens"),
            reasoning=count_in(usage, "completion_tokens_details", "reasoning_tokens"),
        )
        report.seen = True
        whole = event.get("object") == "chat.completion"
        report.final = whole or event.get("choices") == []

    def failure(self, event: dict[str, Any]) -> str:
        error = event.get("error")
        return str(error.get("code") or "error") if isinstance(error, dict) else ""

    def reply(self, refusal: Refusal) -> Reply:
        return openai_errors.plain(refusal)


def _output_tokens(body: dict[str, Any]) -> int | None:
    """The larger of the two names for the same limit, so that neither can hide the other."""
    named = [policy.whole(body.get(name), name) for name in ("max_tokens", "max_completion_tokens")]
    return max((limit for limit in named if limit is not None), default=None)


def _check_message(message: dict[str, Any]) -> int:
    """Refuses content that is not listed; the number of inline pictures."""
    if message.get("audio") is not None:
        raise policy.refuse("audio", policy.BY_REFERENCE)
    content = message.get("content")
    if content is None or isinstance(content, str):
        return 0
    pictures = 0
    for part in policy.objects(content, "content"):
        kind = str(part.get("type"))
        if kind not in CONTENT:
            raise policy.refuse(f"content of type {kind[:80]!r}", policy.BY_REFERENCE)
        if kind == "image_url":
            inline_picture(policy.table(part.get("image_url"), "image_url").get("url"))
            pictures += 1
    return pictures
