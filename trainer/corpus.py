"""Where a task's text comes from, and which split a document belongs to.

Invariant: a document's split depends on its name or number alone, so that preparing twice gives the
same splits and no document is in two of them. What is read may be the user's own and is checked:
whatever is wrong with it becomes one `BadInputError` with a hint.
"""

from __future__ import annotations

import hashlib
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TEXT_SUFFIXES = (".txt", ".md", ".py")
PARQUET_SUFFIX = ".parquet"
MAX_LINE_BYTES = 16 * 1024 * 1024
HELD_OUT_SHARE = 0.05  # of files, for validation, and as much again for the test
HELD_OUT_EVERY = 20  # one document of so many, likewise
TINYSTORIES_HELD_OUT_ROWS = 10_000


class BadInputError(ValueError):
    """The text cannot be used; `hint` says what to do about it."""

    def __init__(self, message: str, hint: str) -> None:
        """An error of one line, and a hint of one line."""
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class Document:
    """A text and the split (train, val or test) that it belongs to."""

    split: str
    text: str


@dataclass(frozen=True)
class Material:
    """What a source may read: the user's own text, or files downloaded in the task's order."""

    input: Path
    downloads: tuple[Path, ...]
    document_bytes: int


def standard_library(material: Material) -> Iterator[Document]:
    """The running Python's own library, split by file; tests and installed packages left out."""
    root = Path(sysconfig.get_path("stdlib"))
    skipped = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"}
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root)
        if skipped.isdisjoint(name.parts):
            lines = path.read_text("utf-8", "replace").splitlines(keepends=True)
            for piece in cut(lines, material.document_bytes):
                yield Document(split_of_file(name.as_posix()), piece)


def user_files(material: Material) -> Iterator[Document]:
    """The text and parquet files at or under `material.input`, in order of their names.

    Raises:
        BadInputError: nothing there, no text, a line without end, a broken parquet.
    """
    pieces = (piece for path in find_files(material.input) for piece in _pieces(path, material))
    for number, piece in enumerate(piece for piece in pieces if piece.strip()):
        yield Document(split_of_number(number), piece)


def tinystories(material: Material) -> Iterator[Document]:
    """One parquet whose first rows are held out: 10,000 for the test, 10,000 for validation."""
    for row, text in enumerate(read_parquet(material.downloads[0])):
        part = row // TINYSTORIES_HELD_OUT_ROWS
        yield Document("test" if part == 0 else "val" if part == 1 else "train", text)


def climbmix(material: Material) -> Iterator[Document]:
    """Shards: the last is for validation, the one before it for the test, all others to train."""
    *train, test, val = material.downloads
    for split, shards in (("train", train), ("test", [test]), ("val", [val])):
        for shard in shards:
            yield from (Document(split, text) for text in read_parquet(shard))


SOURCES: dict[str, Callable[[Material], Iterator[Document]]] = {
    "pystdlib": standard_library,
    "text": user_files,
    "tinystories": tinystories,
    "climbmix": climbmix,
}


def split_of_file(name: str) -> str:
    """The split of a file, by a hash of its name: the same on all machines."""
    share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
    if share < HELD_OUT_SHARE:
        return "val"
    return "test" if share < 2 * HELD_OUT_SHARE else "train"


def split_of_number(number: int) -> str:
    """The split of a document by its number: even twenty documents have all three."""
    place = number % HELD_OUT_EVERY
    if place == HELD_OUT_EVERY // 2:
        return "val"
    return "test" if place == HELD_OUT_EVERY - 1 else "train"


def cut(lines: Iterable[str], limit_bytes: int) -> Iterator[str]:
    """Lines joined to pieces of at most `limit_bytes`, cut after blank lines, else at line ends.

    A longer line is a piece of its own; no character is lost. A limit of 0 never cuts.
    """
    if limit_bytes <= 0:
        yield "".join(lines)
        return
    held: list[str] = []
    size = 0
    for line in lines:
        while held and size + _bytes(line) > limit_bytes:
            end = _paragraph_end(held)
            yield "".join(held[:end])
            size -= sum(map(_bytes, held[:end]))
            del held[:end]
        held.append(line)
        size += _bytes(line)
    if held:
        yield "".join(held)


def find_files(root: Path) -> list[Path]:
    """The file itself, or the files under a folder that can be read as text.

    Raises:
        BadInputError: there is none.
    """
    if root.is_file():
        return [root]
    wanted = (*TEXT_SUFFIXES, PARQUET_SUFFIX)
    found = sorted(p for p in root.rglob("*") if p.is_file() and p.suffix.lower() in wanted)
    if not found:
        raise BadInputError(
            f"no text to read: no file ends in {', '.join(wanted)}",
            "point DATA at a text or parquet file, or at a folder of them",
        )
    return found


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a text file, their ends kept, bounded as they are read.

    Raises:
        BadInputError: a line is no UTF-8 or far too long.
    """
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise BadInputError(
                    f"{path.name}: line {number} is longer than {MAX_LINE_BYTES} bytes",
                    "is it text? break it into lines",
                )
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise BadInputError(
                    f"{path.name}: line {number} is no UTF-8 ({error.reason})",
                    f"convert it, for example with: iconv -t UTF-8 {path.name}",
                ) from None


def read_parquet(path: Path) -> Iterator[str]:
    """The texts of a parquet file: its column `text`, or its only column of strings.

    Raises:
        BadInputError: it is not a whole parquet file, or has no such column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as table:
            column = _text_column(table.schema_arrow, path)
            for batch in table.iter_batches(batch_size=1024, columns=[column]):
                yield from (text for text in batch.column(0).to_pylist() if text is not None)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BadInputError(
            f"{path.name} is no whole parquet file: {reason}",
            "one cut short while it was downloaded looks like this; get it again",
        ) from None


def _pieces(path: Path, material: Material) -> Iterator[str]:
    if path.suffix.lower() == PARQUET_SUFFIX:
        for text in read_parquet(path):
            yield from cut(text.splitlines(keepends=True), material.document_bytes)
    else:
        yield from cut(read_lines(path), material.document_bytes)


def _text_column(schema: Any, path: Path) -> str:
    import pyarrow as pa

    strings = (pa.types.is_string, pa.types.is_large_string)
    names = [field.name for field in schema if any(is_kind(field.type) for is_kind in strings)]
    if "text" in names:
        return "text"
    if len(names) == 1:
        return str(names[0])
    raise BadInputError(
        f"{path.name} has no one column of text: strings are in {', '.join(names) or 'none'}",
        "call the column `text`",
    )


def _paragraph_end(lines: list[str]) -> int:
    """How many lines to take so that the last of them is blank; all where none is."""
    for end in range(len(lines), 0, -1):
        if not lines[end - 1].strip():
            return end
    return len(lines)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
