"""Why a request goes no further, and the replies that say so."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


class Reason(enum.StrEnum):
    """Why the gateway refused; the word that `request.denied` carries."""

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


class Refusal(Exception):  # noqa: N818 # what it is: most are no error of anybody's
    """A request that is not forwarded (or, for PROVIDER, was and got no answer).

    Attributes:
        reason: the rule that it met.
        detail: one sentence for the agent and the journal; never quotes a credential.
        wait_seconds: when asking again may help; None when it never will.
    """

    def __init__(self, reason: Reason, detail: str, wait_seconds: float | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.wait_seconds = wait_seconds


@dataclass(frozen=True)
class Reply:
    """A whole answer made by the gateway itself."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
