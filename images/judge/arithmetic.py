"""Receives the logits of a batch and makes losses of them, a block of positions at a time.

The trial is not trusted: the shape is checked before a byte is taken, memory is bounded by one
block and the few places that the audit compares, and every fault is a `FaultError` with a name.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import frames
import torch
from audit import Difference
from torch import Tensor

BLOCK_NUMBERS = 2**21  # logits that are worked on at a time
LOWEST_LOG = -1e4  # a less likely token is as good as impossible
ERROR_TEXT = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,60}( at line \d{1,7})?")


class FaultError(Exception):
    """The trial did what rejects it; the text is the name of the fault."""


class ModelError(Exception):
    """The trial says that its model raised an error; the text is its type and line."""


@dataclass
class Answer:
    """What came back for one batch.

    Attributes:
        dtype: the dtype in which the logits were sent.
        nats: the loss at each place, float32 [rows, T].
        kept: slot of the batch → the logits of the places that were asked for, float32 [k, V].
    """

    dtype: str
    nats: Tensor
    kept: dict[int, Tensor] = field(default_factory=dict)


def receive(
    connection: socket.socket, targets: Tensor, vocabulary: int, keep: Mapping[int, list[int]]
) -> Answer:
    """Takes the logits of one batch.

    Args:
        connection: where they come from, with a timeout.
        targets: the token that follows each place, int64 [rows, T].
        vocabulary: V.
        keep: slot of the batch → places whose logits are wanted.

    Raises:
        FaultError: the trial sent something else, or nothing for too long.
        ModelError: the trial says that its model failed.
        ClosedError: the trial went away.
    """
    try:
        dtype = _announced(connection, [*targets.shape, vocabulary])
        return _received(connection, dtype, targets, vocabulary, keep)
    except frames.FrameError:
        raise FaultError("bad frame") from None
    except TimeoutError:
        raise FaultError("stalled") from None


def _announced(connection: socket.socket, shape: list[int]) -> str:
    answer = frames.receive_json(connection)
    if "error" in answer:
        said = answer["error"]
        known = isinstance(said, str) and ERROR_TEXT.fullmatch(said)
        raise ModelError(said if known else "an error")
    dtype = answer.get("dtype")
    if not isinstance(dtype, str) or dtype not in frames.DTYPES:
        raise FaultError("wrong dtype")
    if answer.get("shape") != shape:
        raise FaultError("wrong shape")
    return dtype


def _received(
    connection: socket.socket,
    dtype: str,
    targets: Tensor,
    vocabulary: int,
    keep: Mapping[int, list[int]],
) -> Answer:
    flat = targets.reshape(-1)
    length = targets.size(1)
    nats = torch.empty(len(flat), dtype=torch.float32)
    wanted = {slot * length + place: slot for slot, some in keep.items() for place in some}
    kept: dict[int, list[Tensor]] = {slot: [] for slot in keep}
    start = 0
    for block in _blocks(connection, dtype, len(flat), vocabulary):
        end = start + len(block)
        if not bool(torch.isfinite(block).all()):
            raise FaultError("not finite")
        chosen = block.gather(1, flat[start:end, None]).squeeze(1)
        nats[start:end] = torch.logsumexp(block, 1) - chosen
        for place in range(start, end) if wanted else ():
            if place in wanted:
                kept[wanted[place]].append(block[place - start].clone())
        start = end
    if not bool(torch.isfinite(nats).all()):
        raise FaultError("not finite")
    stacked = {slot: torch.stack(some) for slot, some in kept.items()}
    return Answer(dtype, nats.view_as(targets), stacked)


def _blocks(
    connection: socket.socket, dtype: str, positions: int, vocabulary: int
) -> Iterator[Tensor]:
    """The logits of some positions at a time, float32 [n, V]; the memory is used again."""
    width = vocabulary * frames.DTYPES[dtype]
    buffer = bytearray(width * max(1, min(positions, BLOCK_NUMBERS // vocabulary)))
    view, filled, left = memoryview(buffer), 0, positions * width
    while left:
        kind, length = frames.receive_header(connection)
        if kind != frames.LOGITS or not 0 < length <= min(frames.MAX_LOGITS_BYTES, left):
            raise frames.FrameError("no piece of this batch")
        left -= length
        while length:
            some = min(length, len(buffer) - filled)
            frames.receive_into(connection, view[filled : filled + some])
            filled, length = filled + some, length - some
            if filled == len(buffer) or not (left or length):
                plain = torch.frombuffer(buffer, dtype=getattr(torch, dtype))
                yield plain[: filled * vocabulary // width].view(-1, vocabulary).float()
                filled = 0


def difference(first: Tensor, second: Tensor) -> Difference:
    """How two sets of logits of the same places differ; both float32 [k, V]."""
    apart = (first.double() - second.double()).abs()
    one = first.log_softmax(1).clamp_min(LOWEST_LOG)
    other = second.log_softmax(1).clamp_min(LOWEST_LOG)
    change = ((one.exp() + other.exp()) / 2 * (one - other).abs()).sum(1)
    return Difference(len(first), float(apart.max()), float(apart.mean()), float(change.max()))
