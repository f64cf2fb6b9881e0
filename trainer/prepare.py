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
import hashlib
import json
import math
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Any

import numpy as np

from catalog import Task, UnknownTask
from catalog import load_task as load_task_table

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

    from packing import Packed

SPECIAL_TOKENS = ("<|bos|>", "<|reserved_1|>", "<|reserved_2|>", "<|reserved_3|>")
BOS = 0

# How text falls apart into words before BPE: as GPT-4 does it, numbers in groups of two digits.
SPLIT_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)

ASIDE = ".aside"

# --- what train.py uses --------------------------------------------------------------------------


def data_folder() -> Path:
    """Where the prepared data lies: `BAKEOFF_DATA`, or /data."""
    return Path(os.environ.get("BAKEOFF_DATA", "/data"))


def load_task() -> Task:
    """The constants of the prepared task; the referee may give another seed by `BAKEOFF_SEED`."""
    constants = json.loads((data_folder() / "task.json").read_text())
    known = {field.name for field in dataclasses.fields(Task)}
    task = Task(**{key: value for key, value in constants.items() if key in known})
    return dataclasses.replace(task, seed=int(os.environ.get("BAKEOFF_SEED", task.seed)))


def train_seconds(task: Task) -> float:
    """The training budget of this trial, seconds of training alone."""
    return float(os.environ.get("BAKEOFF_TRAIN_SECONDS", task.train_seconds))


def batches(
    task: Task, rows: int, device: torch.device
) -> Iterator[tuple[torch.Tensor, torch.Tensor, int]]:
    """Training batches without end, in an order that the task's seed alone decides.

    Args:
        rows: sequences a batch, B.

    Yields:
        inputs [B, T] and targets [B, T] of int64 on the device, and the epoch, from 1.
    """
    packed = _rows("train")
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
        rows: sequences a batch, B.
        tokens: targets to cover; the task's `eval_tokens` unless given.
    """
    import torch

    split = os.environ.get("BAKEOFF_EVAL_SPLIT", "val")
    wanted = max(1, (tokens or task.eval_tokens) // task.sequence_tokens)
    packed = _rows(split)[:wanted]
    token_bytes = torch.from_numpy(np.load(data_folder() / "token_bytes.npy")).to(device)
    nats = torch.zeros((), dtype=torch.float64)
    total_bytes = 0
    with torch.no_grad():
        for start in range(0, len(packed), rows):
            inputs, targets = _split_rows(packed[start : start + rows], device)
            losses = model(inputs, targets, reduction="none").reshape(-1)
            stands_for = token_bytes[targets.reshape(-1)]
            nats += (losses * (stands_for > 0)).sum(dtype=torch.float32).cpu()
            total_bytes += int(stands_for.sum())
    return float(nats) / (math.log(2) * total_bytes)


def _rows(split: str) -> Any:
    """Packed rows [N, T + 1] of a split, mapped rather than read.

    The test split is in no data folder but the referee's, which `BAKEOFF_TEST_DATA` names.
    """
    folder = data_folder()
    if split == "test":
        folder = Path(os.environ.get("BAKEOFF_TEST_DATA", folder))
    return np.load(folder / f"{split}.npy", mmap_mode="r")


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


def _split_rows(rows: Any, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    whole = torch.from_numpy(rows.astype(np.int64))  # [B, T + 1]
    if device.type == "cuda":
        whole = whole.pin_memory().to(device, non_blocking=True)
    whole = whole.to(device)
    return whole[:, :-1].contiguous(), whole[:, 1:].contiguous()


# --- preparing, once a task ----------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Places:
    """Where preparing reads and writes; `test_data` is the referee's and may be absent."""

    data: Path
    input: Path
    test_data: Path | None


def prepare(task: Task, places: Places) -> None:
    """Writes a task's data, or nothing when it is whole already.

    Files are written aside and renamed, `task.json` last.

    Raises:
        BadInput: the text cannot be used.
        OSError: a disk is full, a folder not writable.
    """
    targets = [folder for folder in (places.test_data, places.data) if folder]
    if all(_is_whole(folder, task) for folder in targets):
        print(f"{task.name}: the data at {places.data} is whole; nothing to do", flush=True)
        return
    aside = places.data / ASIDE
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        counts = _write_aside(task, places.input, aside)
        if places.test_data:
            _publish(aside, places.test_data, ["test.npy"], task, counts)
        _publish(aside, places.data, ["tokenizer.json", "token_bytes.npy", "train.npy", "val.npy"], task, counts)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write_aside(task: Task, source: Path, aside: Path) -> dict[str, Any]:
    from corpus import SOURCES, BadInput

    say("reading the text")
    texts: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for document in SOURCES[task.source](source, task.document_bytes):
        if document.text.strip():
            texts[document.split].append(document.text)
    thin = [split for split, found in texts.items() if not found]
    if thin:
        found = sum(len(found) for found in texts.values())
        raise BadInput(
            f"{found} documents that are not empty: none is left for {', '.join(thin)}",
            "give more text; a few hundred kilobytes are the least that a model learns from",
        )
    tokenizer = train_tokenizer(texts["train"], task)
    tokenizer.save(str(aside / "tokenizer.json"))
    np.save(aside / "token_bytes.npy", token_bytes(tokenizer))
    return {split: _write_rows(tokenizer, texts[split], task, aside / f"{split}.npy") for split in texts}


def train_tokenizer(texts: list[str], task: Task) -> Tokenizer:
    """A byte-level BPE tokenizer of exactly `task.vocabulary` tokens, special ones first.

    Raises:
        BadInput: the text has fewer different pieces than the vocabulary asks for.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    from corpus import BadInput

    say(f"learning a vocabulary of {task.vocabulary} tokens")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=task.vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_up_to(texts, task.bpe_bytes), trainer)
    if tokenizer.get_vocab_size() < task.vocabulary:
        raise BadInput(
            f"the text supports {tokenizer.get_vocab_size()} tokens, not {task.vocabulary}",
            "give more text or choose a task with a smaller vocabulary",
        )
    return tokenizer


def token_bytes(tokenizer: Tokenizer) -> Any:
    """How many bytes each token stands for, int32 [V]; none for special tokens.

    In a byte-level vocabulary each character of a token is one byte, so that a token that is part
    of a character counts as what it is.
    """
    sizes = np.zeros(tokenizer.get_vocab_size(), np.int32)
    for token, index in tokenizer.get_vocab().items():
        sizes[index] = 0 if token in SPECIAL_TOKENS else len(token)
    return sizes


def _write_rows(tokenizer: Tokenizer, texts: list[str], task: Task, path: Path) -> Packed:
    from corpus import BadInput
    from packing import Packed, pack_best_fit

    say(f"packing {path.stem}: {len(texts)} documents")
    counts = Packed()
    row_tokens = task.sequence_tokens + 1
    rows = list(pack_best_fit(_encoded(tokenizer, texts), row_tokens, counts))
    if not rows:
        raise BadInput(
            f"the {path.stem} split has {counts.tokens_in} tokens, one row needs {row_tokens}",
            "give more text",
        )
    np.save(path, np.stack(rows).astype(np.uint16 if task.vocabulary <= 2**16 else np.uint32))
    return counts


def _encoded(tokenizer: Tokenizer, texts: list[str]) -> Iterator[Any]:
    for start in range(0, len(texts), 1024):
        for encoding in tokenizer.encode_batch_fast(texts[start : start + 1024]):
            yield np.array([BOS, *encoding.ids], np.uint32)


def _publish(aside: Path, folder: Path, names: list[str], task: Task, counts: dict[str, Any]) -> None:
    """Moves finished files into place, `task.json` after all others."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "task.json").unlink(missing_ok=True)
    for name in names:
        _synced(aside / name)
        shutil.move(aside / name, folder / f".{name}")
        os.replace(folder / f".{name}", folder / name)
    record = dataclasses.asdict(task) | {
        "packed": {split: dataclasses.asdict(packed) for split, packed in counts.items()},
        "sha256": {name: _sha256(folder / name) for name in names},
    }
    pending = folder / ".task.json"
    pending.write_text(json.dumps(record, indent=2) + "\n")
    _synced(pending)
    os.replace(pending, folder / "task.json")


def _is_whole(folder: Path, task: Task) -> bool:
    try:
        constants = json.loads((folder / "task.json").read_text())
    except FileNotFoundError:
        return False
    return all(constants.get(key) == value for key, value in dataclasses.asdict(task).items())


def _up_to(texts: Iterable[str], limit_bytes: int) -> Iterator[str]:
    taken = 0
    for text in texts:
        yield text
        taken += len(text.encode("utf-8", "replace"))
        if taken >= limit_bytes:
            return


def _synced(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_BEGAN = time.monotonic()


def say(what: str) -> None:
    """One line of progress for a person."""
    print(f"[{time.monotonic() - _BEGAN:5.1f} s] {what}", flush=True)


def main(argv: list[str] | None = None) -> int:
    """The program: prepares, or says in one line and a hint why not; 2 for bad input."""
    parser = argparse.ArgumentParser(description="Prepares a task's data, once.")
    parser.add_argument("--task", required=True)
    parser.add_argument("--data", type=Path, default=data_folder())
    parser.add_argument("--input", type=Path, default=Path("/input"), help="the user's own text")
    parser.add_argument("--test-data", type=Path, help="where the referee's test split goes")
    args = parser.parse_args(argv)
    from corpus import BadInput

    try:
        task = load_task_table(args.task)
        prepare(task, Places(args.data, args.input, args.test_data))
    except BadInput as error:
        return _fail(args.task, str(error), error.hint)
    except UnknownTask as error:
        return _fail(args.task, str(error), "see trainer/tasks/")
    except OSError as error:
        return _fail(args.task, str(error), "free some space or choose another folder")
    say("done")
    return 0


def _fail(task: str, message: str, hint: str) -> int:
    print(f"error: preparing {task}: {message}\nhint: {hint}", file=sys.stderr, flush=True)
    return 2


if __name__ == "__main__":
    sys.exit(main())
