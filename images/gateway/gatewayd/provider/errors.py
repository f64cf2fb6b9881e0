"""What a provider's error says besides its status: the account is empty, or how long to wait."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

PAYMENT_REQUIRED = 402
# Errors that waiting does not cure, whatever their status: the account has no money left.
EMPTY_ACCOUNT = re.compile(
    rb"insufficient_quota|billing_hard_limit_reached|credit balance is too low"
    rb"|credits are depleted|insufficient (credits|balance|funds)",
    re.IGNORECASE,
)


def is_account_empty(status: int, body: bytes) -> bool:
    """Whether an error says that the account has no money left."""
    return status == PAYMENT_REQUIRED or EMPTY_ACCOUNT.search(body) is not None


def wait_seconds(headers: Mapping[str, str], body: bytes) -> float | None:
    """The wait that a provider asks for: in a header or, as Google does, in the body; else None."""
    in_header = _retry_after(headers)
    return _retry_info(body) if in_header is None else in_header


def _retry_info(body: bytes) -> float | None:
    """The `retryDelay` of a google.rpc.RetryInfo in an error (google/rpc/error_details.proto)."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    content = content[0] if isinstance(content, list) and content else content
    error = content.get("error") if isinstance(content, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)s", delay) if isinstance(delay, str) else None
        if found:
            return float(found[1])
    return None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds in a `retry-after` header: a number, or a date (RFC 9110, 10.2.3)."""
    asked = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", asked):
        return float(asked)
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
