"""Asks the judge for a score: its inputs go to the model, and the model's logits go back.

The judge is another process, in a run another container. It chooses the rows, holds the targets and
does the arithmetic; docs/judge.md has the contract. `prepare` passes the two functions on.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import frames
import numpy as np
from catalog import Task
from handing_out import hand_out

if TYPE_CHECKING:
    import torch

    Predict = Callable[[torch.Tensor], torch.Tensor]

PIECE_NUMBERS = 2**20  # logits that are sent at a time
WITHOUT_JUDGE = (
    "there is no judge to ask for a score: BAKEOFF_JUDGE is not set. "
    "Run train.py as `python judge.py run --data FOLDER -- python train.py`"
)

_said: dict[str, float] = {}  # token of the trial → its score
_estimates: dict[str, int] = {}  # token of the trial → estimates that it has asked for


class ScoringError(RuntimeError):
    """The judge gave no answer, or refused to score."""


def evaluate_bpb(predict: Predict, task: Task, rows: int, device: torch.device) -> float:
    """Ends the training and has the model scored, once: bits per byte of held-out text.

    A second call returns the same score. If the judge rejects the trial, that is printed and the
    value is NaN.

    Args:
        predict: from token ids [rows, T] of int64 on the device to logits [rows, T, V] of float32,
            bfloat16 or float16. The logits at position t predict the token at t + 1.
        task: the task whose data is read.
        rows: how many rows a batch should have; the judge may choose fewer.
        device: the device that holds the model.

    Raises:
        ScoringError: there is no judge, it refused, or it went away.
    """
    token = os.environ.get("BAKEOFF_JUDGE_TOKEN", "")
    if token not in _said:
        wanted: dict[str, Any] = {"purpose": "final", "rows": rows}
        digest = hand_out(predict)
        if digest is not None:
            wanted["model"] = digest
        value = _asked(wanted, predict, task, device)
        if value is None:
            print("not scored: the judge rejected this trial", flush=True)
        _said[token] = math.nan if value is None else value
    return _said[token]


def estimate_bpb(
    predict: Predict, task: Task, rows: int, device: torch.device, fraction: float
) -> None:
    """Has the model scored on a few rows that are never final ones. The runner gets the result.

    Calls after the first `MAX_ESTIMATES` do nothing.

    Args:
        predict: as for `evaluate_bpb`.
        task: the task whose data is read.
        rows: how many rows a batch should have.
        device: the device that holds the model.
        fraction: the share of the training budget that is spent, 0 to 1.

    Raises:
        ScoringError: there is no judge, or it went away.
    """
    token = os.environ.get("BAKEOFF_JUDGE_TOKEN", "")
    _estimates[token] = _estimates.get(token, 0) + 1
    if _estimates[token] <= frames.MAX_ESTIMATES:
        wanted = {"purpose": "estimate", "rows": rows, "fraction": fraction}
        _asked(wanted, predict, task, device)


def _asked(
    wanted: dict[str, Any], predict: Predict, task: Task, device: torch.device
) -> float | None:
    """One call: the judge's value, or None if it gave none.

    Raises:
        ScoringError: there is no judge, it refused, or it went away.
    """
    with contextlib.closing(_connected()) as connection:
        try:
            token = os.environ.get("BAKEOFF_JUDGE_TOKEN", "")
            frames.send_json(connection, {"hello": 1, "token": token, **wanted})
            answer = frames.receive_json(connection)
            if "refused" in answer:
                if wanted["purpose"] == "estimate":
                    return None
                raise ScoringError(f"the judge does not score: {answer['refused']}")
            if "done" in answer:  # it was scored before
                return _value(answer)
            return _served(connection, int(answer["rows"]), predict, task, device)
        except (OSError, frames.FrameError) as error:
            raise ScoringError(f"the judge went away: {error}") from None


def _connected() -> socket.socket:
    path = os.environ.get("BAKEOFF_JUDGE")
    if not path:
        raise ScoringError(WITHOUT_JUDGE)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(path)
    except OSError as error:
        connection.close()
        raise ScoringError(f"there is no judge at {path}: {error}") from None
    return connection


def _served(
    connection: socket.socket, rows: int, predict: Predict, task: Task, device: torch.device
) -> float | None:
    """Answers batch after batch, until the judge has enough; its value."""
    import torch

    with _evaluating(predict), torch.no_grad():
        while True:
            kind, length = frames.receive_header(connection)
            content = bytearray(length)
            frames.receive_into(connection, memoryview(content))
            if kind == frames.JSON:
                return _value(frames.read_json(bytes(content)))
            ids = np.frombuffer(content, "<i4").astype(np.int64)
            tokens = torch.from_numpy(ids.reshape(rows, task.sequence_tokens)).to(device)
            try:
                logits = predict(tokens)
                dtype = _dtype(logits)
            except Exception as error:
                with contextlib.suppress(OSError):
                    frames.send_json(connection, {"error": _place(error)})
                raise
            try:
                _send(connection, logits, dtype)
            except BrokenPipeError:
                return None  # the judge has seen enough: it rejects the trial


def _dtype(logits: Any) -> str:
    """The name of the dtype in which the logits are sent.

    Raises:
        TypeError: they are no tensor of floating-point numbers.
    """
    import torch

    if not isinstance(logits, torch.Tensor) or not logits.is_floating_point():
        raise TypeError(f"predict must return a tensor of logits, not {type(logits).__name__}")
    name = str(logits.dtype).removeprefix("torch.")
    return name if name in frames.DTYPES else "float32"


def _send(connection: socket.socket, logits: torch.Tensor, dtype: str) -> None:
    """Sends the logits of one batch, some at a time."""
    import torch

    frames.send_json(connection, {"dtype": dtype, "shape": list(logits.shape)})
    for piece in logits.detach().reshape(-1).split(PIECE_NUMBERS):
        plain = piece.to("cpu", getattr(torch, dtype)).contiguous()
        frames.send_frame(connection, frames.LOGITS, plain.view(torch.uint8).numpy())


def _value(answer: dict[str, Any]) -> float | None:
    value = answer.get("value")
    return None if value is None else float(value)


def _place(error: Exception) -> str:
    """The type of an error and the line of train.py that it came from."""
    lines = [
        f.lineno for f in traceback.extract_tb(error.__traceback__) if "train.py" in f.filename
    ]
    return type(error).__name__ + (f" at line {lines[-1]}" if lines else "")


@contextlib.contextmanager
def _evaluating(predict: Any) -> Iterator[None]:
    """Puts a module, or the module whose method it is, into eval mode, and back afterwards."""
    from torch import nn

    owner = predict if isinstance(predict, nn.Module) else getattr(predict, "__self__", None)
    modules = list(owner.modules()) if isinstance(owner, nn.Module) else []
    modes = [module.training for module in modules]
    if isinstance(owner, nn.Module):
        owner.eval()
    try:
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
