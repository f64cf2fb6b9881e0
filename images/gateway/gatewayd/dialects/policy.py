"""Checks from which every provider's policy is built: what is not listed is refused.

The attack: a request that makes the *provider* act for the sandboxed agent (search, fetch a URL,
run code, open a stored file), or that hides its cost from the meter. Each policy lists the fields,
tools and contents that the gateway understands; everything else is refused by name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..refusal import Reason, Refusal

SERVER_SIDE = "would run on the provider's side, outside the sandbox"
BY_REFERENCE = "refers to content outside the request"
HIDDEN_COST = "would cost more than this request shows"


def names(text: str) -> frozenset[str]:
    """The names in a text, which are separated by blanks."""
    return frozenset(text.split())


def refuse(what: str, why: str) -> Refusal:
    """A refusal by policy, in one sentence: `what` is refused, because it `why`."""
    return Refusal(Reason.POLICY, f"{what} is refused: it {why}")


def check_fields(
    table: Mapping[str, Any],
    allowed: Collection[str],
    where: str,
    known: Mapping[str, str] | None = None,
) -> None:
    """Checks that an object has only allowed fields.

    Args:
        table: the object.
        allowed: the fields that it may have.
        where: names the object in the message.
        known: reasons for fields that are refused on purpose.

    Raises:
        Refusal: it has another field.
    """
    for name in table:
        if name not in allowed:
            why = (known or {}).get(name, "is not on the gateway's allow-list")
            raise refuse(f"{where} field {name[:80]!r}", why)


def objects(value: Any, where: str) -> list[dict[str, Any]]:
    """The list of objects in `value`; an absent value is an empty list.

    Raises:
        Refusal: it is something else.
    """
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Refusal(Reason.BODY, f"{where} is not a list of objects")
    return value


def table(value: Any, where: str) -> dict[str, Any]:
    """The object in `value`; an absent value is an empty object.

    Raises:
        Refusal: it is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refusal(Reason.BODY, f"{where} is not an object")
    return value


def text(value: Any, where: str) -> str:
    """The string in `value`.

    Raises:
        Refusal: it is something else.
    """
    if not isinstance(value, str):
        raise Refusal(Reason.BODY, f"{where} is not a string")
    return value


def flag(value: Any, where: str) -> bool:
    """The boolean in `value`; an absent value is false.

    Raises:
        Refusal: it is something else.
    """
    if value is None:
        return False
    if not isinstance(value, bool):
        raise Refusal(Reason.BODY, f"{where} is not true or false")
    return value


def positive(value: Any, where: str) -> int | None:
    """The whole number of at least 1 in `value`, or None where it is absent.

    Raises:
        Refusal: it is something else.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise Refusal(Reason.BODY, f"{where} is not a whole number of at least 1")
    return value


def check_value(value: Any, allowed: Collection[str], where: str, why: str) -> None:
    """Checks that a value is absent or one of `allowed`.

    Raises:
        Refusal: it is something else; the message gives the reason `why`.
    """
    if value is not None and (not isinstance(value, str) or value not in allowed):
        raise refuse(f"{where} {str(value)[:80]!r}", why)
