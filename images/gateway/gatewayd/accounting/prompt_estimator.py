"""The length of a prompt in tokens, without a tokenizer: an upper bound, and an estimate.

The bound: no token of a byte-level vocabulary is shorter than a byte, so text has at most as many
tokens as bytes. A picture has a bound of its own. No prompt is longer than its model's context
window, and nothing else bounds a document.

The estimate serves near the end of a budget, on a server that does not count tokens. It assumes
that text is as dense as the densest text that the provider has billed lately.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from ..dialects.base import ModelRequest

# What providers add to a prompt themselves (the text that explains tools to the model).
OVERHEAD_TOKENS = 2048
# Tokens per byte before any request was billed: English and code have 0.25 to 0.3, other languages
# and numbers up to 0.5.
INITIAL_DENSITY = 0.5
# How much denser the next request may be than the densest of the last `REMEMBERED_REQUESTS`.
DENSITY_MARGIN = 1.25
REMEMBERED_REQUESTS = 16


class PromptEstimator:
    """Bounds and estimates the prompts of one run.

    Args:
        window: gives the context window of a model in tokens, by the model's name.
    """

    def __init__(self, window: Callable[[str], int]) -> None:
        self._window = window
        self._densities: dict[str, deque[float]] = {}

    def upper_bound(self, request: ModelRequest, body_bytes: int) -> int:
        """The most tokens that the prompt of a body of `body_bytes` can have."""
        window = self._window(request.model)
        if request.attachments.documents:
            return window
        return min(_text_bytes(request, body_bytes) + _other_tokens(request), window)

    def estimate(self, request: ModelRequest, body_bytes: int) -> int:
        """The tokens that the prompt probably has at most; never above `upper_bound`."""
        text_tokens = math.ceil(_text_bytes(request, body_bytes) * self._density(request.model))
        document_tokens = request.attachments.document_tokens()
        estimate = text_tokens + _other_tokens(request) + document_tokens
        return min(estimate, self.upper_bound(request, body_bytes))

    def learn(self, request: ModelRequest, body_bytes: int, prompt_tokens: int) -> None:
        """Remembers the density of a billed prompt, if the prompt was text alone."""
        text_bytes = _text_bytes(request, body_bytes)
        if text_bytes > 0 and prompt_tokens > 0 and not request.attachments.encoded_bytes:
            densities = self._densities.setdefault(request.model, deque(maxlen=REMEMBERED_REQUESTS))
            densities.append(prompt_tokens / text_bytes)

    def _density(self, model: str) -> float:
        """Tokens per byte of text, at most 1."""
        densities = self._densities.get(model)
        return min(1.0, max(densities) * DENSITY_MARGIN) if densities else INITIAL_DENSITY


def _text_bytes(request: ModelRequest, body_bytes: int) -> int:
    return max(0, body_bytes - request.attachments.encoded_bytes)


def _other_tokens(request: ModelRequest) -> int:
    """A bound on the tokens that are neither the request's text nor its documents."""
    return request.attachments.image_tokens + OVERHEAD_TOKENS
