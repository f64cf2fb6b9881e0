"""The words in which every provider's policy table is written: deny what is not listed.

The attack: a request that makes the *provider* act for the sandboxed agent (search, fetch a URL,
run code, open a stored file) or that hides its cost from the meter. A table lists the fields,
tools and contents that are understood; everything else is refused by name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .refusal import Reason, Refusal

SERVER_SIDE = "is carried out on the provider's side, outside the sandbox"
BY_REFERENCE = "points at content outside the request"
HIDDEN_COST = "would cost more than this request shows"


def words(text: str) -> frozenset[str]:
    """A table row: names with blanks between them."""
    return frozenset(text.split())


def refuse(what: str, why: str) -> Refusal:
    """The refusal of something by policy, in one sentence."""
    return Refusal(Reason.POLICY, f"{what} is refused: it {why}")


def only(
    table: Mapping[str, Any],
    allowed: Collection[str],
    where: str,
    known: Mapping[str, str] | None = None,
) -> None:
    """Refuses the first field that is not allowed.

    Args:
        table: the object that is checked.
        allowed: its permitted fields.
        where: what the object is, for the message.
        known: reasons for fields that are refused on purpose.
    """
    for name in table:
        if name not in allowed:
            why = (known or {}).get(name, "is not on the gateway's list")
            raise refuse(f"{where} field {name[:80]!r}", why)


def objects(value: Any, where: str) -> list[dict[str, Any]]:
    """A list of objects, as it must be; nothing counts as an empty list.

    Raises:
        Refusal: it is something else.
    """
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Refusal(Reason.BODY, f"{where} is not a list of objects")
    return value


def table(value: Any, where: str) -> dict[str, Any]:
    """An object, as it must be; nothing counts as an empty one.

    Raises:
        Refusal: it is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refusal(Reason.BODY, f"{where} is not an object")
    return value


def text(value: Any, where: str) -> str:
    """A string, as it must be.

    Raises:
        Refusal: it is something else.
    """
    if not isinstance(value, str):
        raise Refusal(Reason.BODY, f"{where} is not a string")
    return value


def flag(value: Any, where: str) -> bool:
    """A boolean, as it must be; nothing counts as false.

    Raises:
        Refusal: it is something else.
    """
    if value is None:
        return False
    if not isinstance(value, bool):
        raise Refusal(Reason.BODY, f"{where} is not true or false")
    return value


def whole(value: Any, where: str) -> int | None:
    """A whole number of at least 1, or None where there is none.

    Raises:
        Refusal: it is something else.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise Refusal(Reason.BODY, f"{where} is not a whole number of at least 1")
    return value


def one_of(value: Any, allowed: Collection[str], where: str, why: str) -> None:
    """Refuses a value that is neither absent nor one of `allowed`."""
    if value is not None and (not isinstance(value, str) or value not in allowed):
        raise refuse(f"{where} {str(value)[:80]!r}", why)


def inline_image(media_type: Any, where: str) -> None:
    """Refuses inline data that is no image: a PDF's or a film's bytes do not bound its tokens."""
    if not isinstance(media_type, str) or not media_type.startswith("image/"):
        raise refuse(f"{where} of type {str(media_type)[:80]!r}", "cannot be priced beforehand")
