"""Makes a task's tokenizer and packed rows of its text, so that half is never taken for whole.

Invariant: `task.json` is in a folder exactly when everything else in it is whole.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from catalog import Task, make_task, token_type
from corpus import SOURCES, BadInputError, Material
from packing import Packed, pack_best_fit
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL_TOKENS = ("<|bos|>", "<|reserved_1|>", "<|reserved_2|>", "<|reserved_3|>")
BOS = 0

# How text falls apart into words before BPE: as GPT-4 does it, numbers in groups of two digits.
SPLIT_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)

SPLITS = ("train", "val", "test")
DATA_FILES = ("tokenizer.json", "token_bytes.npy", "train.bin", "val.bin")  # no test split
ASIDE, DOWNLOADS = ".aside", ".downloads"


@dataclasses.dataclass(frozen=True)
class Places:
    """Where preparing reads and writes; `test_data` is the referee's and may be absent."""

    data: Path
    input: Path
    test_data: Path | None


def prepare(task: Task, places: Places) -> None:
    """Writes a task's data, or nothing when it is whole already.

    Files are written aside and renamed, `task.json` last. Downloads stay until then, so that one
    that was interrupted goes on where it stopped.

    Raises:
        BadInputError: the text cannot be used.
        OSError: a disk is full, a folder not writable.
    """
    wanted = [folder for folder in (places.test_data, places.data) if folder]
    if all(_is_whole(folder, task) for folder in wanted):
        say(f"{task.name}: the data is whole; nothing to do")
        return
    aside, downloads = places.data / ASIDE, places.data / DOWNLOADS
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        counts = _write_aside(task, places.input, downloads, aside)
        if places.test_data:
            _publish(aside, places.test_data, ("test.bin",), task, counts)
        _publish(aside, places.data, DATA_FILES, task, counts)
        shutil.rmtree(downloads, ignore_errors=True)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write_aside(task: Task, source: Path, downloads: Path, aside: Path) -> dict[str, Packed]:
    files = tuple(_downloaded(task, downloads))
    material = Material(source, files, task.document_bytes)

    def texts(split: str) -> Iterator[str]:
        """The documents of a split that are not empty; read anew each time, never all in memory."""
        documents = SOURCES[task.source](material)
        return (d.text for d in documents if d.split == split and d.text.strip())

    if next(texts("train"), None) is None:
        raise BadInputError("there is no text: all documents are empty", "give some text")
    say(f"learning a vocabulary of {task.vocabulary} tokens")
    tokenizer = train_tokenizer(texts("train"), task)
    tokenizer.save(str(aside / "tokenizer.json"))
    np.save(aside / "token_bytes.npy", token_bytes(tokenizer))
    return {
        split: write_rows(tokenizer, texts(split), task, aside / f"{split}.bin") for split in SPLITS
    }


def _downloaded(task: Task, folder: Path) -> Iterator[Path]:
    if task.urls:
        from download import download

        for url, sha256 in zip(task.urls, task.sha256 or ("",) * len(task.urls), strict=True):
            yield download(url, folder, sha256, say)


def train_tokenizer(texts: Iterable[str], task: Task) -> Tokenizer:
    """A byte-level BPE tokenizer of exactly `task.vocabulary` tokens, special ones first.

    Raises:
        BadInputError: the text has fewer different pieces than the vocabulary asks for.
    """
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
        raise BadInputError(
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


def write_rows(tokenizer: Tokenizer, texts: Iterable[str], task: Task, path: Path) -> Packed:
    """Tokenizes and packs a split's documents into a file of rows [N, T + 1].

    Raises:
        BadInputError: they do not fill one row.
    """
    counts = Packed()
    row_tokens = task.sequence_tokens + 1
    with path.open("wb") as file:
        for row in pack_best_fit(_encoded(tokenizer, texts), row_tokens, counts):
            file.write(row.astype(token_type(task)).tobytes())
        file.flush()
        os.fsync(file.fileno())
    if not counts.rows:
        raise BadInputError(
            f"too little text: {counts.documents} documents came to the {path.stem} split, "
            f"{counts.tokens_in} tokens, and one row takes {row_tokens}",
            "give more text; some hundred kilobytes are the least that a model learns from",
        )
    cropped = counts.tokens_cropped / counts.tokens_in
    say(f"{path.stem}: {counts.documents} documents, {counts.rows} rows, {cropped:.0%} cropped")
    return counts


def _encoded(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[Any]:
    """Token ids behind BOS, shape [n] each."""
    remaining = iter(texts)
    while some := list(itertools.islice(remaining, 1024)):
        for encoding in tokenizer.encode_batch_fast(some):
            yield np.array([BOS, *encoding.ids], np.uint32)


def _publish(
    aside: Path, folder: Path, names: tuple[str, ...], task: Task, counts: dict[str, Packed]
) -> None:
    """Moves finished files into place, `task.json` after all others."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "task.json").unlink(missing_ok=True)
    for name in names:
        shutil.move(aside / name, folder / f".{name}")
        (folder / f".{name}").replace(folder / name)
    record = dataclasses.asdict(task) | {
        "packed": {split: dataclasses.asdict(packed) for split, packed in counts.items()},
        "files": {name: _sha256(folder / name) for name in names},
    }
    pending = folder / ".task.json"
    with pending.open("w") as file:
        file.write(json.dumps(record, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    pending.replace(folder / "task.json")


def _is_whole(folder: Path, task: Task) -> bool:
    try:
        return make_task(json.loads((folder / "task.json").read_text())) == task
    except (FileNotFoundError, TypeError, ValueError):
        return False


def _up_to(texts: Iterable[str], limit_bytes: int) -> Iterator[str]:
    taken = 0
    for text in texts:
        yield text
        taken += len(text.encode("utf-8", "replace"))
        if taken >= limit_bytes:
            return


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_BEGAN = time.monotonic()


def say(what: str) -> None:
    """One line of progress for a person."""
    print(f"[{time.monotonic() - _BEGAN:5.1f} s] {what}", flush=True)
