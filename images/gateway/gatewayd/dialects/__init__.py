"""The provider APIs that the gateway understands, one file each, and the table of providers."""

from __future__ import annotations

from .anthropic import AnthropicMessages
from .base import Dialect
from .google import GoogleGenerate
from .openai_chat import OpenAIChat
from .openai_responses import OpenAIResponses

DIALECTS: dict[str, tuple[Dialect, ...]] = {
    "anthropic": (AnthropicMessages(),),
    "openai": (OpenAIResponses(), OpenAIChat()),
    "google": (GoogleGenerate(),),
}
