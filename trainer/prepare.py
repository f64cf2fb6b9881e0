"""The fixed half of the task: data, tokenizer, packing, and the measure. Not to be edited.

`train.py` imports `load_task`, `batches`, `evaluate_bpb` and `train_seconds` from here. As a
program it prepares a task's data once:

    python prepare.py --task pystdlib --data /data [--input /input] [--test-data DIR]

Invariant: `task.json` is in a data folder exactly when everything else in it is whole. A trial runs
with the pristine copy of this file, whatever a contestant did to its own.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Any

import numpy as np
from catalog import Task, UnknownTaskError, make_task, named_task, token_type

if TYPE_CHECKING:
    import torch


def data_folder() -> Path:
    """Where the prepared data lies: `BAKEOFF_DATA`, or /data."""
    return Path(os.environ.get("BAKEOFF_DATA", "/data"))


def load_task() -> Task:
    """The constants of the prepared task; the referee may give another seed by `BAKEOFF_SEED`."""
    task = make_task(json.loads((data_folder() / "task.json").read_text()))
    return dataclasses.replace(task, seed=int(os.environ.get("BAKEOFF_SEED", task.seed)))


def train_seconds(task: Task) -> float:
    """The training budget of this trial, seconds of training alone."""
    return float(os.environ.get("BAKEOFF_TRAIN_SECONDS", task.train_seconds))


def batches(
    task: Task, rows: int, device: torch.device
) -> Iterator[tuple[torch.Tensor, torch.Tensor, int]]:
    """Training batches without end, in an order that the task's seed alone decides.

    Args:
        task: whose data.
        rows: sequences a batch, B.
        device: where the batches shall be.

    Yields:
        inputs [B, T] and targets [B, T] of int64 on the device, and the epoch, from 1.
    """
    packed = rows_of("train", task)
    order = _shuffled(len(packed), task.seed)
    ready: Queue[tuple[torch.Tensor, torch.Tensor, int]] = Queue(maxsize=4)
    if device.type != "cuda":  # on the CPU a second thread would only take from the first
        while True:
            yield _batch(packed, order, rows, device)

    def prefetch() -> None:
        while True:
            ready.put(_batch(packed, order, rows, device))

    threading.Thread(target=prefetch, daemon=True).start()
    while True:
        yield ready.get()


def evaluate_bpb(
    model: Any, task: Task, rows: int, device: torch.device, tokens: int | None = None
) -> float:
    """Bits per byte of held-out text: Σ nats / (ln 2 · Σ bytes) over targets that stand for bytes.

    Always the same targets from the start of the split, in whatever batches; special tokens count
    neither as nats nor as bytes.

    Args:
        model: called as `model(inputs, targets, reduction="none")`, gives nats [B, T] or [B·T].
        task: whose data.
        rows: sequences a batch, B.
        device: where the model is.
        tokens: targets to cover; the task's `eval_tokens` unless given.
    """
    import torch

    split = os.environ.get("BAKEOFF_EVAL_SPLIT", "val")
    wanted = max(1, (tokens or task.eval_tokens) // task.sequence_tokens)
    packed = rows_of(split, task)[:wanted]
    token_bytes = torch.from_numpy(np.load(data_folder() / "token_bytes.npy")).to(device)
    nats = torch.zeros((), dtype=torch.float64)
    total_bytes = 0
    with torch.no_grad():
        for start in range(0, len(packed), rows):
            some = packed[start : start + rows]
            inputs, targets = _split_rows(_filled(some, rows, device), device)
            losses = model(inputs, targets, reduction="none").view(targets.shape)[: len(some)]
            stands_for = token_bytes[targets[: len(some)]]
            nats += (losses * (stands_for > 0)).sum(dtype=torch.float32).cpu()
            total_bytes += int(stands_for.sum())
    return float(nats) / (math.log(2) * total_bytes)


def rows_of(split: str, task: Task) -> Any:
    """Packed rows [N, T + 1] of a split, mapped rather than read.

    The test split is in no data folder but the referee's, which `BAKEOFF_TEST_DATA` names.
    """
    folder = data_folder()
    if split == "test":
        folder = Path(os.environ.get("BAKEOFF_TEST_DATA", folder))
    flat = np.memmap(folder / f"{split}.bin", mode="r", dtype=token_type(task))
    return flat.reshape(-1, task.sequence_tokens + 1)


def _shuffled(count: int, seed: int) -> Iterator[tuple[int, int]]:
    """(row, epoch) for ever: each epoch every row once, in a new seeded order."""
    epoch = 1
    while True:
        for row in np.random.default_rng([seed, epoch]).permutation(count):
            yield int(row), epoch
        epoch += 1


def _batch(
    packed: Any, order: Iterator[tuple[int, int]], rows: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, int]:
    chosen = [next(order) for _ in range(rows)]
    inputs, targets = _split_rows(packed[[row for row, _ in chosen]], device)
    return inputs, targets, chosen[-1][1]


def _filled(some: Any, rows: int, device: torch.device) -> Any:
    """On a GPU as many rows as in every batch, which a compiled model needs; the last one again."""
    if device.type != "cuda" or len(some) == rows:
        return some
    return np.concatenate([some, np.repeat(some[-1:], rows - len(some), axis=0)])


def _split_rows(rows: Any, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    whole = torch.from_numpy(rows.astype(np.int64))  # [B, T + 1]
    if device.type == "cuda":
        whole = whole.pin_memory().to(device, non_blocking=True)
    whole = whole.to(device)
    return whole[:, :-1].contiguous(), whole[:, 1:].contiguous()


def main(argv: list[str] | None = None) -> int:
    """The program: prepares, or says in one line and a hint why not; 2 for bad input."""
    parser = argparse.ArgumentParser(description="Prepares a task's data, once.")
    parser.add_argument("--task", required=True)
    parser.add_argument("--data", type=Path, default=data_folder())
    parser.add_argument("--input", type=Path, default=Path("/input"), help="the user's own text")
    parser.add_argument("--test-data", type=Path, help="where the referee's test split goes")
    parser.add_argument("--url", action="append", help="download this instead; once a file")
    parser.add_argument(
        "--sha256", action="append", default=[], help="what each url's file must be"
    )
    args = parser.parse_args(argv)
    from corpus import BadInputError
    from preparation import Places, prepare

    try:
        task = named_task(args.task)
        if args.url:
            task = dataclasses.replace(task, urls=tuple(args.url), sha256=tuple(args.sha256))
        prepare(task, Places(args.data, args.input, args.test_data))
    except BadInputError as error:
        return _fail(args.task, str(error), error.hint)
    except UnknownTaskError as error:
        return _fail(args.task, str(error), "see trainer/tasks/")
    except OSError as error:
        return _fail(args.task, str(error), "free some space or choose another folder")
    return 0


def _fail(task: str, message: str, hint: str) -> int:
    print(f"error: preparing {task}: {message}\nhint: {hint}", file=sys.stderr, flush=True)
    return 2


if __name__ == "__main__":
    sys.exit(main())
