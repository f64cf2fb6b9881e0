"""Prompts through Google's SDK: `generateContent`, not streamed.

The prompt is the one user content. Thinking is turned off, or down as far as the model lets it:
the Pro models always think, and their thoughts count in `max_tokens`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import httpx2
from google import genai
from google.genai import errors, types

from models.replies import (
    ANSWER_SECONDS,
    BASE_URL,
    REQUEST_HEADER,
    Fallback,
    Reply,
    connecting,
    open_http,
    reading,
    status_error,
    unreadable,
)
from models.terms import Prompt

# Gemini 2.5 has a budget, 0 is off; Gemini 3 has levels, none of which is off.
THINKING = {
    "thinking budget 0": types.ThinkingConfig(thinking_budget=0),
    "thinking level minimal": types.ThinkingConfig(thinking_level=types.ThinkingLevel.MINIMAL),
    "thinking level low": types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW),
}
REFUSED_THINKING = re.compile(r"thinking|thought|budget", re.I)
FINE = (None, types.FinishReason.STOP, types.FinishReason.FINISH_REASON_UNSPECIFIED)


class GoogleApi:
    """A model of Google's.

    Args:
        model: its name.
        token: what the gateway takes in place of a key.
        socket: the gateway's.
    """

    fallbacks: tuple[Fallback, ...] = (
        Fallback("temperature", re.compile(r"temperature", re.I)),
        *(Fallback(name, REFUSED_THINKING) for name in THINKING),
        Fallback("JSON schema", re.compile(r"schema|json|mime", re.I)),
    )

    def __init__(self, model: str, token: str, socket: str) -> None:
        self._model = model
        # The gateway repeats what the provider refuses; without retry_options the SDK does not.
        options = types.HttpOptions(
            base_url=BASE_URL, httpx_client=open_http(socket), timeout=int(ANSWER_SECONDS * 1000)
        )
        self._sdk = genai.Client(api_key=token, http_options=options)

    def send(self, prompt: Prompt, without: Collection[str]) -> Reply:
        """See `Api.send`."""
        try:
            with connecting(), reading():
                response = self._sdk.models.generate_content(
                    model=self._model, contents=prompt.text, config=_config(prompt, without)
                )
                return _reply(response)
        except errors.APIError as error:
            if isinstance(error.response, httpx2.Response):
                raise status_error(error.response) from None
            raise unreadable(error) from None


def _config(prompt: Prompt, without: Collection[str]) -> types.GenerateContentConfig:
    parts: dict[str, Any] = {"max_output_tokens": prompt.max_tokens}
    if prompt.temperature is not None and "temperature" not in without:
        parts["temperature"] = prompt.temperature
    if thinking := [config for name, config in THINKING.items() if name not in without]:
        parts["thinking_config"] = thinking[0]
    if prompt.schema is not None and "JSON schema" not in without:
        parts["response_mime_type"] = "application/json"
        parts["response_json_schema"] = dict(prompt.schema)
    return types.GenerateContentConfig(**parts)


def _reply(response: types.GenerateContentResponse) -> Reply:
    http = response.sdk_http_response
    headers = {name.lower(): text for name, text in ((http and http.headers) or {}).items()}
    request = headers.get(REQUEST_HEADER, "")
    feedback = response.prompt_feedback
    if feedback is not None and feedback.block_reason is not None:
        return Reply("", request, declined=str(feedback.block_reason.value))
    candidate = (response.candidates or [types.Candidate()])[0]
    parts = (candidate.content and candidate.content.parts) or []
    text = "".join(part.text or "" for part in parts if not part.thought)
    reason = candidate.finish_reason
    cut = reason is types.FinishReason.MAX_TOKENS
    declined = "" if cut or reason in FINE or reason is None else str(reason.value)
    return Reply(text, request, cut=cut, declined=declined)
