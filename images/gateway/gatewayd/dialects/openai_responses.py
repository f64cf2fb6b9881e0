"""OpenAI's Responses API: policy table, usage and errors.

Source: https://platform.openai.com/docs/api-reference/responses and the requests of Codex 0.169.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .. import policy
from ..refusal import Reason, Refusal, Reply
from ..tokens import Tokens, count_in
from . import openai_errors
from .base import Ask, Dialect, Report, Route, bearer, kept

# --- the policy table ------------------------------------------------------------------------

GENERATE = "/v1/responses"
COUNT = "/v1/responses/input_tokens"

FIELDS = policy.words(
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
SERVICE_TIERS = frozenset({"auto", "default"})
# Tools that the client carries out; `namespace` groups further ones.
CLIENT_TOOLS = frozenset({"function", "custom", "local_shell", "apply_patch", "namespace"})
ITEMS = policy.words(
    """
    message function_call function_call_output custom_tool_call custom_tool_call_output
    local_shell_call local_shell_call_output apply_patch_call apply_patch_call_output reasoning
    additional_tools agent_message
    """
)
CONTENT = policy.words(
    """
    input_text output_text summary_text reasoning_text text refusal input_image
    encrypted_content
    """
)


class OpenAIResponses(Dialect):
    """`POST /v1/responses`, streamed or not, and its token count."""

    default_output_tokens = 128_000

    def route(self, method: str, target: str) -> Route | None:
        if method != "POST" or target not in (GENERATE, COUNT):
            return None
        return Route(target, counts=target == COUNT)

    def presented(self, headers: Mapping[str, str]) -> str:
        return bearer(headers)

    def request_headers(self, client: Mapping[str, str], api_key: str) -> dict[str, str]:
        return kept(client, "User-Agent") | {"Authorization": f"Bearer {api_key}"}

    def read(self, route: Route, body: dict[str, Any]) -> Ask:
        policy.only(body, FIELDS, "request", REFUSED_FIELDS)
        policy.one_of(body.get("service_tier"), SERVICE_TIERS, "service_tier", policy.HIDDEN_COST)
        if policy.flag(body.get("background"), "background"):
            raise policy.refuse("background", policy.HIDDEN_COST)
        for name in body.get("include") or []:
            policy.one_of(name, INCLUDES, "include", policy.SERVER_SIDE)
        _check_tools(body.get("tools"))
        items = body.get("input")
        pictures = 0
        if not isinstance(items, str):
            pictures = sum(_check_item(item) for item in policy.objects(items, "input"))
        return Ask(
            route=route,
            model=policy.text(body.get("model"), "model"),
            body=body,
            streamed=policy.flag(body.get("stream"), "stream"),
            output_tokens=policy.whole(body.get("max_output_tokens"), "max_output_tokens"),
            images=pictures,
        )

    def limited(self, body: dict[str, Any], output_tokens: int) -> dict[str, Any]:
        return body | {"max_output_tokens": output_tokens}

    def counting(self, ask: Ask) -> tuple[str, dict[str, Any]]:
        wanted = ("model", "input", "instructions", "tools", "tool_choice", "reasoning", "text")
        return COUNT, {name: ask.body[name] for name in wanted if name in ask.body}

    def counted(self, answer: dict[str, Any]) -> int:
        return count_in(answer, "input_tokens")

    def absorb(self, report: Report, event: dict[str, Any]) -> None:
        response = event.get("response")
        answer = response if isinstance(response, dict) else event
        usage = answer.get("usage")
        if not isinstance(usage, dict) or not usage:
            return
        cached = count_in(usage, "input_tokens_details", "cached_tokens")
        report.tokens = Tokens(
            input=max(0, count_in(usage, "input_tokens") - cached),
            cached_read=cached,
            output=count_in(usage, "output_tokens"),
            reasoning=count_in(usage, "output_tokens_details", "reasoning_tokens"),
        )
        report.seen = True
        report.final = answer.get("status") in ("completed", "incomplete", "failed", "cancelled")

    def failure(self, event: dict[str, Any]) -> str:
        if event.get("type") not in ("response.failed", "error"):
            return ""
        response = event.get("response")
        holder = response if isinstance(response, dict) else event
        error = holder.get("error")
        return str((error if isinstance(error, dict) else holder).get("code") or "error")

    def reply(self, refusal: Refusal) -> Reply:
        return openai_errors.plain(refusal)

    def streamed_reply(self, refusal: Refusal) -> Reply:
        if refusal.reason in openai_errors.STREAMED:
            return openai_errors.streamed(refusal)
        return openai_errors.plain(refusal)


def _check_tools(tools: Any, nested: bool = False) -> None:
    for tool in policy.objects(tools, "tools"):
        kind = str(tool.get("type"))
        on_client = kind == "tool_search" and tool.get("execution") == "client"
        if kind not in CLIENT_TOOLS and not on_client:
            raise policy.refuse(f"tool type {kind[:80]!r}", policy.SERVER_SIDE)
        if kind == "namespace":
            if nested:
                raise Refusal(Reason.BODY, "a namespace of tools holds another one")
            _check_tools(tool.get("tools"), nested=True)


def _check_item(item: dict[str, Any]) -> int:
    """Refuses what is not listed in `ITEMS`; the number of inline pictures."""
    kind = str(item.get("type") or "message")
    on_client = kind in ("tool_search_call", "tool_search_output") and (
        item.get("execution") == "client"
    )
    if kind not in ITEMS and not on_client:
        raise policy.refuse(f"input of type {kind[:80]!r}", policy.SERVER_SIDE)
    _check_tools(item.get("tools"))
    return sum(_check_part(part) for part in _parts(item))


def _parts(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name in ("content", "output", "summary"):
        value = item.get(name)
        if isinstance(value, list):
            yield from policy.objects(value, name)


def _check_part(part: dict[str, Any]) -> int:
    kind = str(part.get("type"))
    if item_kind_is_shell_output(part):
        return 0
    if kind not in CONTENT:
        raise policy.refuse(f"content of type {kind[:80]!r}", policy.BY_REFERENCE)
    if kind != "input_image":
        return 0
    if part.get("file_id") is not None:
        raise policy.refuse("input_image by file_id", policy.BY_REFERENCE)
    inline_picture(part.get("image_url"))
    return 1


def item_kind_is_shell_output(part: dict[str, Any]) -> bool:
    """Whether a part is the output of a local command: stdout and stderr, no type."""
    return "type" not in part and "stdout" in part


def inline_picture(url: Any) -> None:
    """Refuses a picture that the provider would have to fetch."""
    if not isinstance(url, str) or not url.startswith("data:image/"):
        raise policy.refuse("a picture by URL", policy.BY_REFERENCE)
