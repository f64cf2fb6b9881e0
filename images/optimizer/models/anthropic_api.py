"""Prompts through Anthropic's SDK: the Messages API, not streamed.

The prompt is the one user message. Thinking is turned off; a model that refuses that thinks as it
likes, and its thoughts then count in `max_tokens`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import anthropic

from models.replies import (
    ANSWER_SECONDS,
    BASE_URL,
    REQUEST_HEADER,
    Fallback,
    Reply,
    lost,
    open_http,
    reading,
    status_error,
    unreadable,
)
from models.terms import Prompt

CUT = ("max_tokens", "model_context_window_exceeded")
FINE = ("end_turn", "stop_sequence", None)


class AnthropicApi:
    """A model of Anthropic's.

    Args:
        model: its name.
        token: what the gateway takes in place of a key.
        socket: the gateway's.
    """

    fallbacks: tuple[Fallback, ...] = (
        Fallback("temperature", re.compile(r"temperature", re.I)),
        Fallback("thinking", re.compile(r"thinking", re.I)),
        Fallback("JSON schema", re.compile(r"output_config|output_format|schema|structured", re.I)),
    )

    def __init__(self, model: str, token: str, socket: str) -> None:
        self._model = model
        # The gateway repeats what the provider refuses, so a repetition here would multiply it.
        self._sdk = anthropic.Anthropic(
            api_key=token,
            base_url=BASE_URL,
            http_client=open_http(socket),
            max_retries=0,
            timeout=ANSWER_SECONDS,
        )

    def send(self, prompt: Prompt, without: Collection[str]) -> Reply:
        """See `Api.send`."""
        wanted = self._optional(prompt, without)
        try:
            raw = self._sdk.messages.with_raw_response.create(
                model=self._model,
                max_tokens=prompt.max_tokens,
                messages=[{"role": "user", "content": prompt.text}],
                **wanted,
            )
            with reading():
                return _reply(raw.parse(), raw.headers.get(REQUEST_HEADER, ""))
        except anthropic.APIStatusError as error:
            raise status_error(error.response) from None
        except anthropic.APIConnectionError as error:
            raise lost(error.__cause__) from None
        except anthropic.AnthropicError as error:
            raise unreadable(error) from None

    def _optional(self, prompt: Prompt, without: Collection[str]) -> dict[str, Any]:
        """The parts of the request that it can do without."""
        parts: dict[str, Any] = {"thinking": {"type": "disabled"}}
        if prompt.temperature is not None:
            parts["temperature"] = prompt.temperature
        if prompt.schema is not None and "JSON schema" not in without:
            schema = anthropic.transform_schema(dict(prompt.schema))
            parts["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        named = {name: part for name, part in parts.items() if name not in without}
        # The SDK has no argument for it, because newer models refuse it; older ones take it.
        temperature = named.pop("temperature", None)
        return (
            named if temperature is None else named | {"extra_body": {"temperature": temperature}}
        )


def _reply(message: anthropic.types.Message, request: str) -> Reply:
    text = "".join(block.text for block in message.content if block.type == "text")
    reason = message.stop_reason
    declined = "" if reason in CUT or reason in FINE else str(reason)
    return Reply(text, request, cut=reason in CUT, declined=declined)
