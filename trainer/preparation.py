"""Makes a task's tokenizer and the packed rows of its text.

Invariant: `task.json` is in a folder exactly when everything else in it is complete.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from account import Account, BadInputError, shown
from catalog import Task, make_task, token_type
from corpus import HELD_OUT_EVERY, SOURCES, Material
from packing import Packed, pack_best_fit
from pieces import size_of
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL_TOKENS = ("<|bos|>", "<|reserved_1|>", "<|reserved_2|>", "<|reserved_3|>")
BOS = 0
MOST_HIDDEN_ROWS = 4096  # of a held-out split, beyond those that are scored

# How text is split into words before BPE: as for GPT-4, but with numbers in groups of two digits.
SPLIT_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)

SPLITS = ("train", "val", "test")
SHUFFLED = SPLITS[1:]
# What each folder gets beside task.json. A trial sees the first folder and no other.
DATA_FILES = ("tokenizer.json", "token_bytes.npy", "train.bin")
HELD_OUT_FILES = ("token_bytes.npy", "val.bin")
TEST_FILES = ("token_bytes.npy", "test.bin")
ASIDE, DOWNLOADS = ".aside", ".downloads"


@dataclasses.dataclass(frozen=True)
class Places:
    """The folders to read and write.

    Attributes:
        data: what a trial gets.
        held_out: what the judge alone gets.
        test: what the referee's judge alone gets.
        input: the user's own text, if the task needs one.
    """

    data: Path
    held_out: Path
    test: Path
    input: Path

    def files(self) -> dict[Path, set[str]]:
        """The files of each folder. Folders may be one and the same, where no contestant looks."""
        found: dict[Path, set[str]] = {}
        for folder, names in (
            (self.test, TEST_FILES),
            (self.held_out, HELD_OUT_FILES),
            (self.data, DATA_FILES),
        ):
            found.setdefault(folder, set()).update(names)
        return found


def prepare(task: Task, places: Places) -> None:
    """Writes the folders of a task's data that are not complete already.

    Files are written aside and renamed, `task.json` last. Downloads are kept until then, so that an
    interrupted one can be resumed. A complete folder is left as it is: the same text gives the same
    files, and a trial may be reading them.

    Raises:
        BadInputError: the text cannot be used.
        OSError: a disk is full, or a folder is not writable.
    """
    wanted = {
        folder: names for folder, names in places.files().items() if not _is_whole(folder, task)
    }
    if not wanted:
        say(f"{task.name}: the data is complete; nothing to do")
        return
    aside, downloads = places.data / ASIDE, places.data / DOWNLOADS
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        made = _write_aside(task, places.input, downloads, aside)
        for folder, names in wanted.items():
            _publish(aside, folder, sorted(names), task, made)
        shutil.rmtree(downloads, ignore_errors=True)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write_aside(task: Task, source: Path, downloads: Path, aside: Path) -> dict[str, Any]:
    """Writes all files; returns the fields of the record that describe how they were made."""
    files = tuple(_downloaded(task, downloads))
    material = Material(source, files, task.document_bytes)

    def texts(split: str) -> Iterator[str]:
        """Reads the documents of a split anew, without blank ones, and never all into memory."""
        documents = SOURCES[task.source](material)
        return (d.text for d in documents if d.split == split and d.text.strip())

    first = next(texts("train"), None)
    account = material.survey.account
    if account.files:
        _tell(account)
    if first is None:
        raise BadInputError("there is no text: all documents are empty", "give some text")
    say(f"learning a vocabulary of {task.vocabulary} tokens")
    tokenizer = train_tokenizer(texts("train"), task)
    tokenizer.save(str(aside / "tokenizer.json"))
    np.save(aside / "token_bytes.npy", token_bytes(tokenizer))
    packed = _write_splits(tokenizer, texts, task, aside, carry_on=False)
    if task.needs_input and _lost_share(packed) > account.cropped_share:
        say(f"{_lost_share(packed):.0%} would be cropped: documents continue in a later row")
        packed = _write_splits(tokenizer, texts, task, aside, carry_on=True)
    record = {"packed": {split: dataclasses.asdict(counts) for split, counts in packed.items()}}
    return record | ({"read": dataclasses.asdict(account)} if account.files else {})


def _tell(account: Account) -> None:
    for line in account.lines():
        say(line)
    account.check()


def _write_splits(
    tokenizer: Tokenizer,
    texts: Callable[[str], Iterator[str]],
    task: Task,
    aside: Path,
    *,
    carry_on: bool,
) -> dict[str, Packed]:
    return {
        split: write_rows(tokenizer, texts(split), task, aside / f"{split}.bin", carry_on=carry_on)
        for split in SPLITS
    }


def _lost_share(packed: dict[str, Packed]) -> float:
    """The share of the bytes of all splits that is in no row."""
    return sum(p.bytes_lost for p in packed.values()) / sum(p.bytes_in for p in packed.values())


def _downloaded(task: Task, folder: Path) -> Iterator[Path]:
    if task.urls:
        from download import download

        for url, sha256 in zip(task.urls, task.sha256 or ("",) * len(task.urls), strict=True):
            yield download(url, folder, sha256, say)


def train_tokenizer(texts: Iterable[str], task: Task) -> Tokenizer:
    """A byte-level BPE tokenizer with exactly `task.vocabulary` tokens, special ones first.

    Raises:
        BadInputError: the text has too few different pieces for the vocabulary.
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
            f"the text yields a vocabulary of {tokenizer.get_vocab_size()} tokens, and the task "
            f"needs {task.vocabulary}",
            "give more text, or choose a task with a smaller vocabulary",
        )
    return _without_special_words(tokenizer)


def _without_special_words(tokenizer: Tokenizer) -> Tokenizer:
    """The same tokenizer, for which `<|bos|>` in a text is seven characters like any other seven.

    The special tokens keep their numbers, but no text is encoded as one. A setting of the library
    (`encode_special_tokens`) would do the same, but is lost when a tokenizer is saved.
    """
    made = json.loads(tokenizer.to_str())
    return Tokenizer.from_str(json.dumps(made | {"added_tokens": []}))


def token_bytes(tokenizer: Tokenizer) -> Any:
    """How many bytes each token stands for, int32 [V]; a special token stands for none.

    In a byte-level vocabulary each character of a token is one byte. A token that is a part of a
    character therefore counts correctly.
    """
    sizes = np.zeros(tokenizer.get_vocab_size(), np.int32)
    for token, index in tokenizer.get_vocab().items():
        sizes[index] = 0 if token in SPECIAL_TOKENS else len(token)
    return sizes


def write_rows(
    tokenizer: Tokenizer, texts: Iterable[str], task: Task, path: Path, *, carry_on: bool = False
) -> Packed:
    """Tokenizes and packs a split's documents into a file of rows [N, T + 1].

    The rows of a held-out split come in a random order, the same on all machines: the judge scores
    some of them and compares them with others, so no part may differ from another in kind.

    Raises:
        BadInputError: the documents do not fill one row.
    """
    counts = Packed()
    row_tokens, sizes = task.sequence_tokens + 1, token_bytes(tokenizer)
    with path.open("wb") as file:
        documents = _encoded(tokenizer, texts, counts)
        for row in pack_best_fit(documents, row_tokens, counts, carry_on=carry_on):
            counts.bytes_lost -= int(sizes[row].sum())
            file.write(row.astype(token_type(task)).tobytes())
    if path.stem in SHUFFLED:
        _choose_held_out_rows(path, task, counts, sizes)
    counts.bytes_lost += counts.bytes_in
    if not counts.rows:
        raise BadInputError(
            f"too little text: the {path.stem} split has {counts.documents} documents with "
            f"{counts.tokens_in} tokens, and one row takes {row_tokens}",
            "give more text: a model needs some hundred kilobytes to learn anything, and two of "
            f"every {HELD_OUT_EVERY} documents are held out (a row of a table is one document of "
            "any length; a text file is cut into many documents)",
        )
    lost = counts.bytes_lost / max(counts.bytes_in, 1)
    say(
        f"{path.stem}: {counts.documents} documents, {counts.rows} rows, {lost:.0%} cropped "
        f"({counts.bytes_lost} of {counts.bytes_in} bytes are in no row)"
    )
    if counts.rows_left_out:
        say(f"{path.stem}: left out {counts.rows_left_out} rows that are training rows too")
    if counts.rows_beyond:
        say(f"{path.stem}: left out {counts.rows_beyond} rows, because {counts.rows} are enough")
    return counts


def _choose_held_out_rows(path: Path, task: Task, counts: Packed, sizes: Any) -> None:
    """Drops held-out rows that are training rows too, and shuffles the rest by the task's seed.

    Two documents that differ in their ends alone can give the same row. Of a large text, no more
    rows are kept than are scored, with `MOST_HIDDEN_ROWS` for the audit: the pristine train.py
    scores all of them once.
    """
    rows = np.fromfile(path, token_type(task)).reshape(-1, task.sequence_tokens + 1)
    known = {hash(row.tobytes()) for row in rows}
    learned: set[bytes] = set()
    train = path.with_name("train.bin")
    if train.exists():
        flat = np.memmap(train, mode="r", dtype=token_type(task)).reshape(-1, rows.shape[1])
        learned = {row.tobytes() for row in flat if hash(row.tobytes()) in known}
    kept = np.array([row.tobytes() not in learned for row in rows], np.bool_)
    order = np.random.default_rng([task.seed, SPLITS.index(path.stem)]).permutation(len(rows))
    chosen = order[kept[order]]
    most = (task.eval_tokens + task.estimate_tokens) // task.sequence_tokens + MOST_HIDDEN_ROWS
    rows[chosen[:most]].tofile(path)
    counts.rows_left_out, counts.rows_beyond = int((~kept).sum()), len(chosen[most:])
    counts.rows = len(chosen[:most])
    dropped = rows[np.concatenate([order[~kept[order]], chosen[most:]])]
    counts.tokens_cropped += dropped.size
    counts.bytes_lost += int(sizes[dropped].sum())


def _encoded(tokenizer: Tokenizer, texts: Iterable[str], counts: Packed) -> Iterator[Any]:
    """The token ids of each text after a BOS, shape [n] each."""
    remaining = iter(texts)
    while some := list(itertools.islice(remaining, 1024)):
        counts.bytes_in += sum(map(size_of, some))
        for encoding in tokenizer.encode_batch_fast(some):
            yield np.array([BOS, *encoding.ids], np.uint32)


def _publish(aside: Path, folder: Path, names: list[str], task: Task, made: dict[str, Any]) -> None:
    """Copies finished files into place and writes `task.json` after all others.

    Each step is on the disk before the next begins, whenever the machine may fail.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "task.json").unlink(missing_ok=True)
    _sync(folder)
    for name in names:
        pending = folder / f".{name}"
        shutil.copyfile(aside / name, pending)
        _sync(pending)
        pending.replace(folder / name)
    _sync(folder)
    digests = {name: _sha256(folder / name) for name in names}
    record = dataclasses.asdict(task) | made | {"files": digests}
    pending = folder / ".task.json"
    pending.write_text(json.dumps(record, indent=2) + "\n")
    _sync(pending)
    pending.replace(folder / "task.json")
    _sync(folder)


def _sync(path: Path) -> None:
    """Waits until a file's content, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_whole(folder: Path, task: Task) -> bool:
    try:
        return make_task(json.loads((folder / "task.json").read_text())) == task
    except (FileNotFoundError, TypeError, ValueError):
        return False


def _up_to(texts: Iterable[str], limit_bytes: int) -> Iterator[str]:
    taken = 0
    for text in texts:
        yield text
        taken += size_of(text)
        if taken >= limit_bytes:
            return


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_BEGAN = time.monotonic()


def say(what: str) -> None:
    """Prints one line of progress for a person."""
    print(f"[{time.monotonic() - _BEGAN:5.1f} s] {shown(what)}", flush=True)
