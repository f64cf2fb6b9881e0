"""Why the gateway does not forward a request, and the replies that say so."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

# Headers of a response: the `request` of its usage record, and the reason of a refusal.
REQUEST_HEADER = "x-bakeoff-request"
REFUSAL_HEADER = "x-bakeoff-refusal"


class Reason(enum.StrEnum):
    """Why the gateway refused; the value is the `reason` of `request.denied`."""

    TOKEN = "token"
    FRAMING = "framing"
    PATH = "path"
    BODY = "body"
    SIZE = "size"
    MODEL = "model"
    POLICY = "policy"
    BUSY = "busy"
    CAP = "cap"
    QUOTA = "quota"
    LEDGER = "ledger"
    PROVIDER = "provider"
    ADDRESS = "address"
    UNCOUNTED = "uncounted"
    ORPHANED = "orphaned"


class Refusal(Exception):  # noqa: N818 # a decision of the gateway, not an error in it
    """A request that is not forwarded (or, for PROVIDER, was forwarded and got no answer).

    Attributes:
        reason: the rule that applied.
        detail: one sentence for the agent and the journal; it never quotes a credential.
        wait_seconds: when another attempt may succeed; None when it never will.
    """

    def __init__(self, reason: Reason, detail: str, wait_seconds: float | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.wait_seconds = wait_seconds


@dataclass(frozen=True)
class Reply:
    """A whole HTTP response that the gateway makes itself."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
