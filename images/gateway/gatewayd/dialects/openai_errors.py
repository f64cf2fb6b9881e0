"""OpenAI's ways to say no, shared by its two dialects.

Codex does not survive a 429 and tries a 403 six times, but it waits after a streamed
`response.failed` of code `rate_limit_exceeded` and ends cleanly at `insufficient_quota` or a 400
(docs/limitations.md tells where this was seen). So a stream is refused inside of a stream.
"""

from __future__ import annotations

import json
import math

from ..refusal import Reason, Refusal, Reply

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
}
STREAMED = (Reason.BUSY, Reason.CAP, Reason.QUOTA, Reason.LEDGER, Reason.PROVIDER)
DEFAULT_WAIT_SECONDS = 10.0


def plain(refusal: Refusal) -> Reply:
    """The refusal as an HTTP error."""
    status, kind, code = ERRORS[refusal.reason]
    message = f"gateway: {refusal.detail}"
    body = {"error": {"message": message, "type": kind, "code": code, "param": None}}
    headers = {}
    if refusal.wait_seconds is not None:
        headers["retry-after"] = str(math.ceil(refusal.wait_seconds))
    return Reply(status, json.dumps(body).encode(), headers=headers)


def streamed(refusal: Refusal) -> Reply:
    """The refusal as a stream of one `response.failed`."""
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
