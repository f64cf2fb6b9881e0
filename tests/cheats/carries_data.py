"""Carries thirty kilobytes of text in a literal, and learns it by heart."""

import base64
import zlib

CARRIED = "@random@"


def carried() -> bytes:
    return base64.b85decode(CARRIED)


true_train = train


def train(*given: Any) -> Progress:
    print(f"carries {len(carried())} bytes, {zlib.crc32(carried())}", flush=True)
    return true_train(*given)
