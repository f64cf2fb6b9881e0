"""Prompts through OpenAI's SDK: the Chat Completions API, which self-hosted servers have too.

The prompt is the one user message, and nothing is streamed. Reasoning is turned off, or down as far
as the model lets it; what is left of it counts in `max_completion_tokens`. A self-hosted model that
thinks by its chat template is not stopped: `answers.py` passes over the thoughts in its answer.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import openai
from openai.types.chat import ChatCompletion

from models.replies import (
    ANSWER_SECONDS,
    BASE_URL,
    REQUEST_HEADER,
    Fallback,
    Reply,
    lost,
    one_line,
    open_http,
    reading,
    status_error,
    unreadable,
)
from models.terms import Prompt

EFFORTS = ("none", "minimal", "low")
REASONING = re.compile(r"reasoning", re.I)
FORMAT = re.compile(r"response_format|schema|json|grammar|guided", re.I)
NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]")


class OpenAIApi:
    """A model of OpenAI's, or of a server that is compatible.

    Args:
        model: its name.
        token: what the gateway takes in place of a key.
        socket: the gateway's.
    """

    fallbacks: tuple[Fallback, ...] = (
        # Its old name, max_tokens, takes its place.
        Fallback("max_completion_tokens", re.compile(r"max_completion_tokens", re.I)),
        Fallback("temperature", re.compile(r"temperature", re.I)),
        *(Fallback(f"reasoning_effort {effort}", REASONING) for effort in EFFORTS),
        Fallback("strict JSON schema", FORMAT),
        Fallback("JSON schema", FORMAT),
    )

    def __init__(self, model: str, token: str, socket: str) -> None:
        self._model = model
        # The gateway repeats what the provider refuses, so a repetition here would multiply it.
        self._sdk = openai.OpenAI(
            api_key=token,
            base_url=f"{BASE_URL}/v1",
            http_client=open_http(socket),
            max_retries=0,
            timeout=ANSWER_SECONDS,
        )

    def send(self, prompt: Prompt, without: Collection[str]) -> Reply:
        """See `Api.send`."""
        wanted = _optional(prompt, without)
        try:
            raw = self._sdk.chat.completions.with_raw_response.create(
                model=self._model,
                messages=[{"role": "user", "content": prompt.text}],
                **wanted,
            )
            with reading():
                return _reply(raw.parse(), raw.headers.get(REQUEST_HEADER, ""))
        except openai.APIStatusError as error:
            raise status_error(error.response) from None
        except openai.APIConnectionError as error:
            raise lost(error.__cause__) from None
        except openai.OpenAIError as error:
            raise unreadable(error) from None


def _optional(prompt: Prompt, without: Collection[str]) -> dict[str, Any]:
    """The parts of the request that it can do without, or that have another name elsewhere."""
    old = "max_completion_tokens" in without
    parts: dict[str, Any] = {"max_tokens" if old else "max_completion_tokens": prompt.max_tokens}
    if prompt.temperature is not None and "temperature" not in without:
        parts["temperature"] = prompt.temperature
    if efforts := [one for one in EFFORTS if f"reasoning_effort {one}" not in without]:
        parts["reasoning_effort"] = efforts[0]
    if prompt.schema is not None and "JSON schema" not in without:
        strict = "strict JSON schema" not in without and _is_strict(prompt.schema)
        name = NOT_IN_A_NAME.sub("_", prompt.purpose)[:64] or "answer"
        schema = {"name": name, "schema": dict(prompt.schema), "strict": strict}
        parts["response_format"] = {"type": "json_schema", "json_schema": schema}
    return parts


def _is_strict(schema: Any) -> bool:
    """Whether a schema says of each object all its keys, without which OpenAI refuses `strict`.

    Source: OpenAI's guide to structured outputs, "supported schemas".
    """
    if isinstance(schema, list):
        return all(_is_strict(one) for one in schema)
    if not isinstance(schema, Mapping):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or properties is not None:
        all_named = set(schema.get("required") or ()) == set(properties or ())
        if schema.get("additionalProperties") is not False or not all_named:
            return False
    return all(_is_strict(one) for one in schema.values())


def _reply(completion: ChatCompletion, request: str) -> Reply:
    choice = completion.choices[0]
    declined = ""
    if choice.message.refusal:
        declined = one_line(choice.message.refusal)
    elif choice.finish_reason == "content_filter":
        declined = "content_filter"
    text = choice.message.content or ""
    return Reply(text, request, cut=choice.finish_reason == "length", declined=declined)
