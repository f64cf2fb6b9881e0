"""The file that is imported: a bounded number of bytes, and text or a database.

A file beyond a bound is refused whole: half of somebody's results would be taken for all of them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from runner.claims.sheet import Bounds
from runner.errors import UserError

MAX_BYTES = 64 << 20
MAX_ROWS = 200_000
BOUNDS = Bounds(
    size=MAX_BYTES,
    rows=MAX_ROWS,
    cells=1024,
    depth=8,
    kept=256 << 20,
    unread=MAX_ROWS,
    cell=64_000,
    whole=True,
)
SQLITE = b"SQLite format 3\0"
_WIDE = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}  # what spreadsheets export
_OTHERS = {
    b"PK\x03\x04": "a ZIP archive or a spreadsheet",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF",
}
_AS_TEXT = "name a text file: CSV, TSV, Markdown, JSON lines, or a study of Optuna"


@dataclass(frozen=True)
class Source:
    """A file and its content.

    Args:
        path: where it lies.
        data: its content; text is UTF-8.
        sha256: of the file, 64 hex digits.
    """

    path: Path
    data: bytes
    sha256: str


def read_source(path: Path) -> Source:
    """The file at `path`.

    Raises:
        UserError: it is absent, no file, empty, larger than `MAX_BYTES`, or of another kind.
    """
    doing = f"importing {path}"
    try:
        if not path.is_file():
            what = "it is no file" if path.exists() else "there is no such file"
            raise UserError(f"{doing}: {what}", hint=_AS_TEXT)
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise UserError(
                f"{doing}: it has {size / (1 << 20):,.0f} MiB, and the bound is "
                f"{MAX_BYTES >> 20} MiB",
                hint="split it, or leave out the columns that hold texts",
            )
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UserError(f"{doing}: {error}", hint=_AS_TEXT) from error
    if not data.strip():
        raise UserError(f"{doing}: it is empty", hint=_AS_TEXT)
    return Source(path, _as_text(data, doing), hashlib.sha256(data).hexdigest())


def _as_text(data: bytes, doing: str) -> bytes:
    for begins, kind in _OTHERS.items():
        if data.startswith(begins):
            raise UserError(f"{doing}: it is {kind}", hint="export it as CSV, and import that")
    if encoding := _WIDE.get(data[:2]):
        return data[2:].decode(encoding, "replace").encode()
    return data
