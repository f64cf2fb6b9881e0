"""Reads the user's own files, of every supported kind, as documents cut into pieces.

A text file is a series of documents: each has as many whole paragraphs as fit into a piece. A row
of a table or of JSON is one document with any number of pieces.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from account import Account, BadInputError, NoTextError
from decoding import HEAD_BYTES, PACKED, decoded
from detection import Encoding, UnknownEncodingError, convert, encoding_of
from json_rows import read_json, read_json_lines
from pieces import cut, short_lines, size_of
from rows import read_csv, read_parquet

PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
TEXT_SUFFIXES = (".txt", ".md", ".py", ".text", ".rst", ".tex", ".html", ".xml", ".log")
ROWS = {
    ".jsonl": read_json_lines, ".ndjson": read_json_lines, ".jsonlines": read_json_lines,
    ".json": read_json, ".csv": read_csv, ".tsv": read_csv,
}  # fmt: skip
PARQUET_SUFFIX = ".parquet"
KNOWN = (*TEXT_SUFFIXES, *ROWS, PARQUET_SUFFIX)
HIDDEN, LINKED = "hidden files and folders", "links to folders, which are not followed"
OTHER, NO_TEXT = "files that are not text", "files without the text that their ending promises"
BLANK = "blank documents"


@dataclass
class Reader:
    """Reads what DATA names; every reading gives the same. Each file's kind is determined once.

    Attributes:
        root: a file or a folder.
        piece_bytes: the largest size of a piece.
        encodings: the encodings of the files that were read; None for a file without text.
    """

    root: Path
    piece_bytes: int
    encodings: dict[Path, Encoding | None] = field(default_factory=dict)

    @cached_property
    def found(self) -> tuple[list[Path], Account]:
        """The files to read, in the order of their names, and an account of what is left out.

        Raises:
            BadInputError: there is no file to read.
        """
        account = Account()
        files = [self.root] if self.root.is_file() else sorted(_walked(self.root, account))
        if not files:
            raise BadInputError(
                "there is no file to read",
                "point DATA at a file of text, JSON, CSV or Parquet, or a folder of them",
            )
        return files, account

    def documents(self, account: Account) -> Iterator[list[str]]:
        """Yields each document as its pieces without blank ones, and counts what is left out.

        Raises:
            BadInputError: a file is damaged, or no text can be found; a file without text beside
                other files is only counted.
        """
        files, left_out = self.found
        account.left_out |= left_out.left_out
        for path in files:
            name = path.relative_to(self.root).as_posix() if path != self.root else path.name
            if self.encodings.get(path, True) is None:
                continue
            own = Account(files=1)  # dropped if the file turns out to hold no text
            try:
                yield from self._of_file(path, name, own)
                account.add(own)
            except (NoTextError, UnknownEncodingError) as error:
                known = _suffix(path) in KNOWN
                if len(files) == 1 or (known and not isinstance(error, NoTextError)):
                    raise
                self.encodings[path] = None
                count = account.lose if known else account.leave_out
                count(NO_TEXT if known else OTHER, path.stat().st_size, str(error))
        if not account.files:
            raise NoTextError(
                f"none of the {len(files)} files is text",
                "point DATA at files of text, JSON, CSV or Parquet",
            )

    def _of_file(self, path: Path, name: str, account: Account) -> Iterator[list[str]]:
        suffix = _suffix(path)
        try:
            with path.open("rb") as file:
                head = file.read(HEAD_BYTES)
        except OSError as error:
            raise BadInputError(f"opening {name}: {error.strerror}", "make it readable") from None
        if head[:4] == b"PAR1" or (suffix == PARQUET_SUFFIX and not PACKED.match(head)):
            yield from self._rows(read_parquet(path, name, account), account)
            return
        text = decoded(path, name, self._encoding(path, name, account).codec, account)
        if suffix in ROWS:
            yield from self._rows(ROWS[suffix](text, name, account), account)
            return
        lines = _counted(short_lines(text, self.piece_bytes), account)
        for piece in cut(lines, self.piece_bytes):
            yield from ([kept] for kept in _kept([piece], account))

    def _rows(self, texts: Iterable[str], account: Account) -> Iterator[list[str]]:
        account.tables += 1
        for text in texts:
            pieces = cut(short_lines([text], self.piece_bytes), self.piece_bytes)
            if kept := _kept(pieces, account):
                yield kept

    def _encoding(self, path: Path, name: str, account: Account) -> Encoding:
        encoding = self.encodings.get(path) or encoding_of(path, name)
        if encoding.guessed:
            if _suffix(path) not in KNOWN and len(self.found[0]) > 1:
                raise UnknownEncodingError(f"{name} is not UTF-8", convert(name, encoding.codec))
            account.note(
                f"{name} is not UTF-8: it was read as {encoding.codec}, a guess from its text; "
                "if the guess is wrong, " + convert(name, encoding.codec)
            )
        self.encodings[path] = encoding
        return encoding


def _walked(root: Path, account: Account) -> list[Path]:
    """The files under a folder that are not hidden; the only file is read even if it is hidden."""

    def fail(error: OSError) -> None:
        raise BadInputError(f"opening a folder: {error}", "make it readable") from None

    files, hidden = [], []
    for folder, folders, names in os.walk(root, onerror=fail):
        here = Path(folder)
        for name in sorted(folders):
            if name.startswith(".") or (here / name).is_symlink():
                account.leave_out(HIDDEN if name.startswith(".") else LINKED, 0, name)
        folders[:] = [n for n in folders if not n.startswith(".")]
        some = [here / name for name in names if (here / name).is_file()]
        files += [path for path in some if not path.name.startswith(".")]
        hidden += [path for path in some if path.name.startswith(".")]
    if not files and len(hidden) == 1:
        return hidden
    for path in hidden:
        account.leave_out(HIDDEN, path.stat().st_size, path.name)
    return files


def _suffix(path: Path) -> str:
    """The ending of a file's name, without endings of compression."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    while suffixes and suffixes[-1] in PACKED_SUFFIXES:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _counted(lines: Iterable[str], account: Account) -> Iterator[str]:
    """The lines; if a line has no line end and another line follows, it counts as divided."""
    divided = False
    for line in lines:
        account.divided += divided
        divided = not line.endswith("\n")
        yield line


def _kept(pieces: Iterable[str], account: Account) -> list[str]:
    kept = []
    for piece in pieces:
        if piece.strip():
            kept.append(piece)
        else:
            account.leave_out(BLANK, size_of(piece))
    return kept
