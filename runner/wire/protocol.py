"""Messages as lines: one JSON object a line, both ways; and a long text packed into one.

Standard library only: this folder's files are copied into every image, side by side, and are the
only source that host and containers share. They do not import each other, because the host and the
images know them by different names. A line that starts with ``{"event":`` is a message; every
other line is text for a person. Whatever a container says is a claim by an untrusted party:
decoding bounds sizes and checks types, and never raises anything but `ProtocolError`.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import zlib
from collections.abc import Mapping
from typing import Any, TypeVar

MARK = '{"event":'
MAX_LINE_BYTES = 256 * 1024
M = TypeVar("M")


class ProtocolError(ValueError):
    """A line that looks like a message but is none; the text says what is wrong with it."""


# A run that is resumed keeps the images that it began with, and the earliest know these fields by
# another name: they are sent under both names.
_FORMER_NAMES = {"trial.finished": {"value": "val_bpb"}}

_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "float | None": (int, float, type(None)),
    "bool": (bool,),
    "dict[str, Any]": (dict,),
    "dict[str, str]": (dict,),
    "list[str]": (list,),
}


def encode(message: Any) -> bytes:
    """A message of messages.py as one line, newline included.

    Raises:
        ProtocolError: the line would be longer than `MAX_LINE_BYTES`.
    """
    body = {"event": message.event, **vars(message)}
    for name, former in _FORMER_NAMES.get(message.event, {}).items():
        body[former] = body[name]
    line = json.dumps(body, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise ProtocolError(f"{message.event}: {len(line)} bytes, at most {MAX_LINE_BYTES}")
    return line


def decode(line: bytes | str, kinds: Mapping[str, type[M]]) -> M | None:
    """The message in a line, or None when the line is text for a person.

    Args:
        line: a line with or without its newline.
        kinds: name on the wire → class of message; `MESSAGES` of messages.py.

    Fields that this version does not know are dropped, so that a newer peer is understood.

    Raises:
        ProtocolError: too long, no JSON, an unknown event, or a field missing or of a wrong type.
    """
    text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
    if not text.startswith(MARK):
        return None
    if len(text) > MAX_LINE_BYTES:
        raise ProtocolError(f"message of {len(text)} characters, at most {MAX_LINE_BYTES}")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"no JSON: {error}") from None
    cls: Any = kinds.get(str(body.pop("event")))
    if cls is None:
        raise ProtocolError(f"unknown event in {text[:80]!r}")
    fields = {f.name: f for f in dataclasses.fields(cls)}
    values = {name: value for name, value in body.items() if name in fields}
    for name, value in values.items():
        allowed = _JSON_TYPES[str(fields[name].type)]
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            raise ProtocolError(f"{cls.event}: {name} is {type(value).__name__}")
    try:
        made: M = cls(**values)
    except TypeError as error:
        raise ProtocolError(f"{cls.event}: {error}") from None
    return made


def pack_text(text: str) -> str:
    """A text small enough for one message: base64 of its zlib form."""
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def unpack_text(packed: str, most_bytes: int) -> bytes:
    """The text that `pack_text` packed, in UTF-8.

    Raises:
        ValueError: it is not packed so, or is larger than `most_bytes` (and not unpacked then).
    """
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(base64.b64decode(packed, validate=True), most_bytes)
    except (ValueError, zlib.error):
        raise ValueError("the text is not base64 of zlib") from None
    if not unpacker.eof:
        raise ValueError(f"the text is cut short or larger than {most_bytes} bytes")
    return text
