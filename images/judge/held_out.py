"""The held-out data of a task, and the reference's losses on it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from catalog import Task, make_task, token_type

Ids = npt.NDArray[Any]


def task_of(folder: Path) -> Task:
    """The constants of the task whose data is in the folder.

    Raises:
        OSError: there is no task.json.
        ValueError: it is not a task's.
    """
    try:
        return make_task(json.loads((folder / "task.json").read_text()))
    except TypeError as error:
        raise ValueError(f"{folder}/task.json: {error}") from None


def rows_of(folder: Path, split: str, task: Task) -> Ids:
    """The rows of a split, mapped into memory: unsigned integers [N, T + 1].

    Raises:
        OSError: they are not there.
        ValueError: they are no whole rows.
    """
    flat = np.memmap(folder / f"{split}.bin", mode="r", dtype=token_type(task))
    return flat.reshape(-1, task.sequence_tokens + 1)


def token_bytes_of(folder: Path) -> Ids:
    """How many bytes each token stands for; 0 for a special one; [V]."""
    found: Ids = np.load(folder / "token_bytes.npy", allow_pickle=False)
    return found


def references_of(files: Mapping[str, str], rows: Mapping[str, Ids]) -> dict[str, Ids]:
    """The losses of the reference by split, in nats, float16 [N, T], where they are there.

    Raises:
        ValueError: they are not those of the rows.
    """
    found: dict[str, Ids] = {}
    for split, file in files.items():
        if split in rows and Path(file).is_file():
            losses: Ids = np.load(file, mmap_mode="r", allow_pickle=False)
            if losses.shape != (len(rows[split]), rows[split].shape[1] - 1):
                raise ValueError(f"{file} has the shape {losses.shape}, which is not the data's")
            found[split] = losses
    return found
