"""A long text in one message: the runner packs it, and PID 1 of a trial unpacks it.

Standard library only: this file is copied into every image.
"""

from __future__ import annotations

import base64
import zlib


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
