"""The dialects that the gateway speaks: one file each, and the table of who speaks which."""

from __future__ import annotations

from gatewayd.dialects.anthropic import AnthropicMessages
from gatewayd.dialects.base import Dialect
from gatewayd.dialects.google import GoogleGenerate
from gatewayd.dialects.openai_chat import OpenAIChat
from gatewayd.dialects.openai_responses import OpenAIResponses

DIALECTS: dict[str, tuple[Dialect, ...]] = {
    "anthropic": (AnthropicMessages(),),
    "openai": (OpenAIResponses(), OpenAIChat()),
    "google": (GoogleGenerate(),),
}
