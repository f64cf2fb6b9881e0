"""Where a task's text comes from, and which split a document belongs to.

Invariant: a document's split depends on nothing but its name and number, so that preparing twice
gives the same splits, and no document is in two of them. Everything read here may be the user's
own and is checked: what is wrong becomes one `BadInput` with a hint.
"""

from __future__ import annotations

import hashlib
import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TEXT_SUFFIXES = (".txt", ".md", ".py")
PARQUET_SUFFIX = ".parquet"
MAX_LINE_BYTES = 16 * 1024 * 1024
VAL_SHARE, TEST_SHARE = 0.05, 0.05


class BadInput(ValueError):
    """The text cannot be used; `hint` says what to do about it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class Document:
    """A text and the split (train, val or test) that it belongs to."""

    split: str
    text: str


def split_of(name: str) -> str:
    """The split of a document, by a hash of its name: stable over machines and orders."""
    share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
    if share < VAL_SHARE:
        return "val"
    return "test" if share < VAL_SHARE + TEST_SHARE else "train"


def cut(text: str, limit_bytes: int) -> Iterator[str]:
    """The text in pieces of at most about `limit_bytes`, cut at blank lines, else at line ends.

    A line longer than the limit is a piece of its own; no character is lost. Zero: never cut.
    """
    if limit_bytes <= 0:
        yield text
        return
    piece: list[str] = []
    size = 0
    for paragraph in _paragraphs(text):
        for part in [paragraph] if _bytes(paragraph) <= limit_bytes else paragraph.splitlines(True):
            if piece and size + _bytes(part) > limit_bytes:
                yield "".join(piece)
                piece, size = [], 0
            piece.append(part)
            size += _bytes(part)
    if piece:
        yield "".join(piece)


def standard_library(document_bytes: int) -> Iterator[Document]:
    """The running Python's own library, split by file; tests and installed packages left out."""
    root = Path(sysconfig.get_path("stdlib"))
    skipped = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"}
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root)
        if skipped.isdisjoint(name.parts):
            for piece in cut(path.read_text("utf-8", "replace"), document_bytes):
                yield Document(split_of(name.as_posix()), piece)


def user_files(root: Path, document_bytes: int) -> Iterator[Document]:
    """The text and parquet files at or under `root`, in order of their names.

    A text file is cut into documents, a parquet row is one; each goes to a split of its own.

    Raises:
        BadInput: nothing there, no text, a line without end, a broken parquet.
    """
    for path in _files(root):
        name = path.name if path == root else path.relative_to(root).as_posix()
        texts = read_parquet(path) if path.suffix == PARQUET_SUFFIX else _read_text(path)
        pieces = (piece for text in texts for piece in cut(text, document_bytes))
        for number, piece in enumerate(pieces):
            yield Document(split_of(f"{name}#{number}"), piece)


def read_parquet(path: Path) -> Iterator[str]:
    """The texts of a parquet file: its column `text`, or its only column of strings.

    Raises:
        BadInput: not a whole parquet file, or no such column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    hint = "a download that was cut short looks like this; get the file again"
    try:
        with pq.ParquetFile(path) as table:
            column = _text_column(table.schema_arrow, path)
            for batch in table.iter_batches(batch_size=1024, columns=[column]):
                yield from (text for text in batch.column(0).to_pylist() if text is not None)
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{path.name} is no whole parquet file: {_one_line(error)}", hint) from None


def _text_column(schema: object, path: Path) -> str:
    import pyarrow as pa

    assert isinstance(schema, pa.Schema)
    names = [f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
    if "text" in names:
        return "text"
    if len(names) == 1:
        return str(names[0])
    raise BadInput(
        f"{path.name} has no column of text to take: strings are in {names or 'none'}",
        "name the column `text`",
    )


def _files(root: Path) -> list[Path]:
    wanted = (*TEXT_SUFFIXES, PARQUET_SUFFIX)
    if root.is_file():
        return [root]
    found = sorted(p for p in root.rglob("*") if p.is_file() and p.suffix.lower() in wanted)
    if not found:
        raise BadInput(
            f"no text under {root}: none of its files ends in {', '.join(wanted)}",
            "point DATA at a text or parquet file, or at a folder of them",
        )
    return found


def _read_text(path: Path) -> Iterator[str]:
    """The whole file as one text, its lines bounded as they are read."""
    lines: list[str] = []
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE_BYTES + 1):
            if len(line) > MAX_LINE_BYTES:
                raise BadInput(
                    f"{path.name}: line {len(lines) + 1} is longer than {MAX_LINE_BYTES} bytes",
                    "is it text? break it into lines",
                )
            try:
                lines.append(line.decode("utf-8"))
            except UnicodeDecodeError as error:
                raise BadInput(
                    f"{path.name}: line {len(lines) + 1} is no UTF-8 ({error.reason})",
                    f"convert it, for example: iconv -t UTF-8 {path.name}",
                ) from None
    yield "".join(lines)


def _paragraphs(text: str) -> Iterator[str]:
    """Runs of lines up to and including their closing blank lines; joined they are the text."""
    block: list[str] = []
    closing = False
    for line in text.splitlines(keepends=True):
        blank = not line.strip()
        if closing and not blank:
            yield "".join(block)
            block = []
        closing = blank
        block.append(line)
    if block:
        yield "".join(block)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or os.strerror(getattr(error, "errno", 0) or 0)


SOURCES = {
    "pystdlib": lambda _, document_bytes: standard_library(document_bytes),
    "text": user_files,
}
