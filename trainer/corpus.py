"""Where a task's text comes from, and which split a document belongs to.

Invariant: a document's split depends on its name or number alone, so that preparing twice gives the
same splits and no document is in two of them. The text may be the user's own and is checked: every
fault in it becomes one `BadInputError` with a hint.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from account import REPEATED, Account, BadInputError
from pieces import size_of
from python_text import read_python
from rows import read_parquet
from texts import Reader

HELD_OUT_EVERY = 20  # one document of so many for each of the two splits
TINYSTORIES_HELD_OUT_ROWS = 10_000

__all__ = ["SOURCES", "BadInputError", "Document", "Material"]


@dataclass(frozen=True)
class Document:
    """A text and the split (train, val or test) that it belongs to."""

    split: str
    text: str


@dataclass
class Survey:
    """The results of a first reading of a text.

    Attributes:
        account: the account of that reading.
        documents: the documents of that reading as (split, text), if they are few enough to keep.
        repeats: for each document number, whether the document repeats a held-out one.
        reader: the reader of all readings.
    """

    account: Account = field(default_factory=Account)
    documents: list[tuple[str, str]] | None = None
    repeats: Any = None
    reader: Reader | None = None


@dataclass(frozen=True)
class Material:
    """What a source may read: the user's own text, or downloaded files in the task's order."""

    input: Path
    downloads: tuple[Path, ...]
    document_bytes: int
    survey: Survey = field(default_factory=Survey)


def python_files(material: Material) -> Iterator[Document]:
    """The standard library and the packages of the data image, read once; see `python_text`.

    Raises:
        BadInputError: the packages are not there.
    """
    survey = material.survey
    if survey.documents is None:
        survey.documents = read_python(material.document_bytes, survey.account)
    yield from (Document(split, text) for split, text in survey.documents)


def user_files(material: Material) -> Iterator[Document]:
    """The user's own files at or under `material.input`, in the order of their names.

    The first call reads everything once more to fill `material.survey`.

    Raises:
        BadInputError: there is no file, no text, or a file cannot be read to its end.
    """
    survey = material.survey
    reader = survey.reader = survey.reader or Reader(material.input, material.document_bytes)
    if survey.repeats is None:
        survey.repeats = _repeats(reader, survey.account)
    for number, pieces in enumerate(reader.documents(Account())):
        if not survey.repeats[number]:
            split = split_of_number(number)
            yield from (Document(split, piece) for piece in pieces)


def _repeats(reader: Reader, account: Account) -> Any:
    """Which documents repeat a held-out one, bool [N]; a test document never counts as a repeat.

    Documents are compared by eight bytes of a digest, so that a large text does not fill memory.
    """
    digests, sizes = array("Q"), array("Q")
    for pieces in reader.documents(account):
        text = "".join(pieces)
        digest = hashlib.blake2b(text.strip().encode("utf-8", "replace"), digest_size=8)
        digests.append(int.from_bytes(digest.digest(), "little"))
        sizes.append(size_of(text))
    which, size = np.array(digests, np.uint64), np.array(sizes, np.uint64)
    split = np.array([split_of_number(n) for n in range(HELD_OUT_EVERY)])
    splits = np.resize(split, len(which))
    in_test = np.isin(which, which[splits == "test"])
    in_val = np.isin(which, which[splits == "val"])
    repeats = (splits != "test") & (in_test | (in_val & (splits == "train")))
    account.documents, account.bytes = int((~repeats).sum()), int(size[~repeats].sum())
    if repeats.any():
        account.leave_out(REPEATED, int(size[repeats].sum()), count=int(repeats.sum()))
    return repeats


def tinystories(material: Material) -> Iterator[Document]:
    """One Parquet file: 10,000 rows for the test split, 10,000 for validation, then training."""
    for row, text in enumerate(read_parquet(material.downloads[0])):
        part = row // TINYSTORIES_HELD_OUT_ROWS
        yield Document("test" if part == 0 else "val" if part == 1 else "train", text)


def climbmix(material: Material) -> Iterator[Document]:
    """Shards: the last is for validation, the one before it for testing, the rest for training."""
    *train, test, val = material.downloads
    for split, shards in (("train", train), ("test", [test]), ("val", [val])):
        for shard in shards:
            yield from (Document(split, text) for text in read_parquet(shard))


SOURCES: dict[str, Callable[[Material], Iterator[Document]]] = {
    "pystdlib": python_files,
    "text": user_files,
    "tinystories": tinystories,
    "climbmix": climbmix,
}


def split_of_number(number: int) -> str:
    """The split of a document by its number; twenty documents already have all three splits."""
    place = number % HELD_OUT_EVERY
    if place == HELD_OUT_EVERY // 2:
        return "val"
    return "test" if place == HELD_OUT_EVERY - 1 else "train"
