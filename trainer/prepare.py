"""The fixed half of the task: data, tokenizer, packing and the way to a score. Do not edit it.

`train.py` imports `load_task`, `batches`, `train_seconds`, `estimate_shares`, `estimate_bpb` and
`evaluate_bpb` from here; scoring.py has the last two. As a program it prepares a task's data once:

    python prepare.py --task pystdlib --data /data --heldout /heldout --test-data /test

Invariant: `task.json` is in a data folder exactly when everything else in it is complete. A trial
uses the pristine copy of this file, even if a contestant has changed its own copy.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Any

import numpy as np
from catalog import Task, UnknownTaskError, make_task, named_task, token_type
from scoring import estimate_bpb, evaluate_bpb

if TYPE_CHECKING:
    import torch

__all__ = [
    "batches",
    "estimate_bpb",
    "estimate_shares",
    "evaluate_bpb",
    "load_task",
    "main",
    "train_seconds",
]


def data_folder() -> Path:
    """The folder of the prepared data: `BAKEOFF_DATA`, or /data."""
    return Path(os.environ.get("BAKEOFF_DATA", "/data"))


def load_task() -> Task:
    """The constants of the prepared task; the referee may set another seed in `BAKEOFF_SEED`."""
    task = make_task(json.loads((data_folder() / "task.json").read_text()))
    return dataclasses.replace(task, seed=int(os.environ.get("BAKEOFF_SEED", task.seed)))


def train_seconds(task: Task) -> float:
    """The training budget of this trial in seconds of training alone."""
    return float(os.environ.get("BAKEOFF_TRAIN_SECONDS", task.train_seconds))


def estimate_shares(own: tuple[float, ...]) -> tuple[float, ...]:
    """The shares of its budget at which a training is estimated, rising, each between 0 and 1.

    Args:
        own: those of train.py itself. A search that prunes sets others in `BAKEOFF_ESTIMATE_AT`.
    """
    asked = os.environ.get("BAKEOFF_ESTIMATE_AT")
    return own if asked is None else tuple(map(float, asked.split()))


def batches(
    task: Task, rows: int, device: torch.device
) -> Iterator[tuple[torch.Tensor, torch.Tensor, int]]:
    """Yields training batches without end, in an order that the task's seed alone decides.

    Args:
        task: the task whose data is read.
        rows: the number of sequences in a batch, B.
        device: the device that holds the batches.

    Yields:
        inputs [B, T] and targets [B, T] of int64 on the device, and the epoch, counted from 1.
    """
    packed = rows_of("train", task)
    order = _shuffled(len(packed), task.seed)
    ready: Queue[tuple[torch.Tensor, torch.Tensor, int]] = Queue(maxsize=4)
    if device.type != "cuda":  # on the CPU a second thread would only slow the first one down
        while True:
            yield _batch(packed, order, rows, device)

    def prefetch() -> None:
        while True:
            ready.put(_batch(packed, order, rows, device))

    threading.Thread(target=prefetch, daemon=True).start()
    while True:
        yield ready.get()


def rows_of(split: str, task: Task) -> Any:
    """The packed rows [N, T + 1] of a split, mapped into memory. A trial has `train` alone."""
    flat = np.memmap(data_folder() / f"{split}.bin", mode="r", dtype=token_type(task))
    return flat.reshape(-1, task.sequence_tokens + 1)


def _shuffled(count: int, seed: int) -> Iterator[tuple[int, int]]:
    """Yields (row, epoch) for ever; each epoch has every row once, in a new seeded order."""
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


def _split_rows(rows: Any, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    whole = torch.from_numpy(rows.astype(np.int64))  # [B, T + 1]
    if device.type == "cuda":
        whole = whole.pin_memory().to(device, non_blocking=True)
    whole = whole.to(device)
    return whole[:, :-1].contiguous(), whole[:, 1:].contiguous()


def main(argv: list[str] | None = None) -> int:
    """Prepares a task's data; if that fails, prints one error and one hint and returns 2."""
    parser = argparse.ArgumentParser(description="Prepares a task's data, once.")
    parser.add_argument("--task", required=True)
    parser.add_argument("--data", type=Path, default=data_folder(), help="what a trial gets")
    parser.add_argument(
        "--heldout", type=Path, default=Path("/heldout"), help="where the validation split goes"
    )
    parser.add_argument(
        "--test-data", type=Path, default=Path("/test"), help="where the test split goes"
    )
    parser.add_argument("--input", type=Path, default=Path("/input"), help="the user's own text")
    parser.add_argument("--url", action="append", help="download this URL; repeat for each file")
    parser.add_argument(
        "--sha256", action="append", default=[], help="the SHA-256 of each URL's file"
    )
    args = parser.parse_args(argv)
    from account import BadInputError
    from preparation import Places, prepare

    try:
        task = named_task(args.task)
        if args.url:
            task = dataclasses.replace(task, urls=tuple(args.url), sha256=tuple(args.sha256))
        prepare(task, Places(args.data, args.heldout, args.test_data, args.input))
    except BadInputError as error:
        return _fail(args.task, str(error), error.hint)
    except UnknownTaskError as error:
        return _fail(args.task, str(error), "choose one of the tasks in trainer/tasks/")
    except OSError as error:
        return _fail(args.task, str(error), "free some space, or choose another folder")
    return 0


def _fail(task: str, message: str, hint: str) -> int:
    from account import shown

    print(f"error: preparing {task}: {shown(message)}", file=sys.stderr, flush=True)
    print(f"hint: {shown(hint)}", file=sys.stderr, flush=True)
    return 2


if __name__ == "__main__":
    sys.exit(main())
