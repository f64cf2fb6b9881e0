"""Reads a request body in such a way that no other reader can understand it differently.

The attack: a body that the gateway reads as harmless and the provider as something else
(a key that is given twice, another encoding, NaN). Every ambiguous body is refused.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from ..refusal import Reason, Refusal


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice in one object")
    return found


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def read_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in a body.

    Raises:
        Refusal: it is not UTF-8, not JSON, ambiguous, nested too deeply, or not an object.
    """
    try:
        body = _DECODER.decode(raw.decode("utf-8"))
    except RecursionError:
        raise Refusal(Reason.BODY, "the body is nested too deeply") from None
    except ValueError as error:
        raise Refusal(Reason.BODY, f"the body is not plain JSON: {_brief(error)}") from None
    if not isinstance(body, dict):
        raise Refusal(Reason.BODY, "the body is not a JSON object")
    return body


def _brief(error: ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos}"
    return str(error)[:200]


def compact(body: dict[str, Any]) -> bytes:
    """The object as JSON, for a body that the gateway had to change."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=True).encode()
