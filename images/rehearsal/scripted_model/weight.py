"""How many tokens a request has, as a provider would count it: a picture is not its letters."""

from __future__ import annotations

import json
from typing import Any

CHARACTERS_PER_TOKEN = 4
PICTURE_TOKENS = 1500
PDF_TOKENS = 4500  # three pages
MEDIA_KEYS = ("media_type", "mimeType", "mime_type")


def tokens(text: str) -> int:
    """About how many tokens `text` has: one for four characters, at least one."""
    return max(1, len(text) // CHARACTERS_PER_TOKEN)


def weigh(value: Any) -> int:
    """The tokens of a request or a part of it; pictures and PDFs inside count as such."""
    found: list[str] = []
    text = json.dumps(_bare(value, found))
    return tokens(text) + sum(PDF_TOKENS if "pdf" in kind else PICTURE_TOKENS for kind in found)


def media(value: Any) -> tuple[str, ...]:
    """The kinds of all media in a request (`image/png`), in their order."""
    found: list[str] = []
    _bare(value, found)
    return tuple(found)


def _bare(value: Any, media: list[str]) -> Any:
    """`value` without the bytes of its media, whose kinds go to `media`."""
    if isinstance(value, list):
        return [_bare(item, media) for item in value]
    if isinstance(value, str) and value.startswith("data:"):
        media.append(value[5:64].partition(";")[0])
        return ""
    if not isinstance(value, dict):
        return value
    kinds = [value[key] for key in MEDIA_KEYS if isinstance(value.get(key), str)]
    if kinds and isinstance(value.get("data"), str):
        media.append(kinds[0])
        value = value | {"data": ""}
    return {key: _bare(item, media) for key, item in value.items()}
