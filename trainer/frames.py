"""The frames in which a trial and the judge talk over a Unix socket; docs/judge.md has their order.

Standard library only: both ends use this module. A frame is one byte for its kind, four bytes
(big-endian) for its length, then that many bytes. Whatever the other end sends, reading raises
nothing but `FrameError`, `ClosedError` and `TimeoutError`, and takes no more memory than the caller
gives it.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any, NoReturn

JSON, TOKENS, LOGITS = b"J", b"T", b"L"
HEADER = struct.Struct(">cI")
MAX_JSON_BYTES = 64 * 1024
MAX_LOGITS_BYTES = 64 * 1024 * 1024
MAX_ROWS = 1024  # rows of one batch
MAX_NUMBERS = 2**27  # logits of one batch
MAX_ESTIMATES = 8  # of one trial
SILENCE_SECONDS = 60.0  # a trial that sends no byte for so long is not waited for
# How many bytes one number takes, by the names that a trial may say.
DTYPES = {"float32": 4, "bfloat16": 2, "float16": 2}


class FrameError(ValueError):
    """The other end sent what is no frame, or not the frame that must come now."""


class ClosedError(ConnectionError):
    """The other end closed the connection."""


def rows_of_a_batch(wanted: int, sequence_tokens: int, vocabulary: int) -> int:
    """How many rows each batch of a call has.

    Args:
        wanted: how many train.py likes to have.
        sequence_tokens: T.
        vocabulary: V.
    """
    return max(1, min(wanted, MAX_ROWS, MAX_NUMBERS // (sequence_tokens * vocabulary)))


def send_frame(connection: socket.socket, kind: bytes, content: Any) -> None:
    """Sends one frame; the content is anything with the bytes of a buffer.

    Raises:
        OSError: the other end is gone, or takes nothing for longer than the socket's timeout.
    """
    content = memoryview(content).cast("B")
    connection.sendall(HEADER.pack(kind, len(content)))
    connection.sendall(content)


def send_json(connection: socket.socket, body: dict[str, Any]) -> None:
    """Sends one JSON object.

    Raises:
        OSError: as `send_frame`.
    """
    send_frame(connection, JSON, json.dumps(body).encode())


def receive_header(connection: socket.socket) -> tuple[bytes, int]:
    """The kind and the length of the next frame.

    Raises:
        ClosedError: the other end closed the connection.
        TimeoutError: no byte came within the socket's timeout.
    """
    header = bytearray(HEADER.size)
    receive_into(connection, memoryview(header))
    kind, length = HEADER.unpack(header)
    return kind, length


def receive_into(connection: socket.socket, space: memoryview) -> None:
    """Fills a buffer with the next bytes.

    Raises:
        ClosedError: the other end closed the connection.
        TimeoutError: no byte came within the socket's timeout.
    """
    while len(space):
        try:
            count = connection.recv_into(space)
        except ConnectionError as error:
            raise ClosedError(str(error)) from None
        if count == 0:
            raise ClosedError("the connection was closed")
        space = space[count:]


def receive_json(connection: socket.socket) -> dict[str, Any]:
    """The next frame, which must be a JSON object of at most `MAX_JSON_BYTES`.

    Raises:
        FrameError: it is something else.
        ClosedError: the other end closed the connection.
        TimeoutError: no byte came within the socket's timeout.
    """
    kind, length = receive_header(connection)
    if kind != JSON or length > MAX_JSON_BYTES:
        raise FrameError(f"a frame of kind {kind!r} and {length} bytes where JSON must come")
    content = bytearray(length)
    receive_into(connection, memoryview(content))
    return read_json(bytes(content))


def read_json(content: bytes) -> dict[str, Any]:
    """The JSON object in the content of a frame; NaN and infinities are no JSON.

    Raises:
        FrameError: it holds no JSON object.
    """
    try:
        body = json.loads(content, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"no JSON: {type(error).__name__}") from None
    if not isinstance(body, dict):
        raise FrameError("JSON that is no object")
    return body


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)
