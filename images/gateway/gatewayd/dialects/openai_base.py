"""What OpenAI's two dialects share: credentials, limits, service tiers, and refusals.

Codex does not survive a 429 and repeats a request six times after a 403. It does wait after a
streamed `response.failed` of code `rate_limit_exceeded`, and it ends cleanly after
`insufficient_quota` or a 400 (docs/limitations.md says where this was observed). So a request for a
stream is refused inside of a stream.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from ..refusal import Reason, Refusal, Reply
from .base import Dialect, bearer, plain_headers

SERVICE_TIERS = frozenset({"auto", "default"})
ERRORS: dict[Reason, tuple[int, str, str]] = {
    Reason.TOKEN: (401, "invalid_request_error", "invalid_api_key"),
    Reason.FRAMING: (400, "invalid_request_error", "bad_request"),
    Reason.PATH: (404, "invalid_request_error", "not_found"),
    Reason.BODY: (400, "invalid_request_error", "bad_request"),
    Reason.SIZE: (413, "invalid_request_error", "request_too_large"),
    Reason.MODEL: (400, "invalid_request_error", "model_not_found"),
    Reason.POLICY: (400, "invalid_request_error", "policy"),
    Reason.BUSY: (503, "server_error", "rate_limit_exceeded"),
    Reason.CAP: (402, "insufficient_quota", "insufficient_quota"),
    Reason.QUOTA: (402, "insufficient_quota", "insufficient_quota"),
    Reason.LEDGER: (503, "server_error", "rate_limit_exceeded"),
    Reason.PROVIDER: (503, "server_error", "rate_limit_exceeded"),
    Reason.ADDRESS: (400, "invalid_request_error", "address"),
    Reason.UNCOUNTED: (404, "invalid_request_error", "not_found"),
    Reason.ORPHANED: (503, "server_error", "rate_limit_exceeded"),
}
STREAMED_REASONS = (
    Reason.BUSY, Reason.CAP, Reason.QUOTA, Reason.LEDGER, Reason.PROVIDER, Reason.ORPHANED,
)  # fmt: skip
DEFAULT_WAIT_SECONDS = 10.0


class OpenAIDialect(Dialect):
    """One of OpenAI's two APIs."""

    body_bytes = 50 << 20
    default_output_tokens = 128_000

    def credential(self, headers: Mapping[str, str]) -> str:
        return bearer(headers)

    def request_headers(self, client_headers: Mapping[str, str], api_key: str) -> dict[str, str]:
        headers = plain_headers(client_headers, "User-Agent")
        return headers | {"Authorization": f"Bearer {api_key}"}

    def reply(self, refusal: Refusal) -> Reply:
        status, kind, code = ERRORS[refusal.reason]
        message = f"gateway: {refusal.detail}"
        body = {"error": {"message": message, "type": kind, "code": code, "param": None}}
        headers = {}
        if refusal.wait_seconds is not None:
            headers["retry-after"] = str(math.ceil(refusal.wait_seconds))
        return Reply(status, json.dumps(body).encode(), headers=headers)


def failed_stream(refusal: Refusal) -> Reply:
    """The refusal as a Responses stream of one `response.failed`."""
    _, _, code = ERRORS[refusal.reason]
    message = f"gateway: {refusal.detail}"
    if code == "rate_limit_exceeded":
        wait = refusal.wait_seconds or DEFAULT_WAIT_SECONDS
        message += f" Please try again in {wait:.1f}s."
    failed = {
        "type": "response.failed",
        "sequence_number": 0,
        "response": {
            "id": "resp_gateway",
            "object": "response",
            "status": "failed",
            "output": [],
            "error": {"code": code, "message": message},
        },
    }
    body = f"event: response.failed\ndata: {json.dumps(failed)}\n\n".encode()
    return Reply(200, body, content_type="text/event-stream")
