"""Texts as users have them, and what a preparation made of one."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

BOS = 0
SPLITS = ("train", "val", "test")


def documents(count: int, words: int = 40) -> list[str]:
    """Different documents of about 450 bytes; the one with number 12 begins with `w12x`."""
    drawn = np.random.default_rng(1).integers(0, 10**6, (count, words)).tolist()
    return [
        f"w{number}x " + " ".join(f"{STEMS[word % 10]}{word:x}" for word in row)
        for number, row in enumerate(drawn)
    ]


def with_each(sentence: str) -> str:
    """A text with that sentence before every document."""
    return "".join(f"{sentence}\n{text}\n\n" for text in DOCUMENTS)


STEMS = ["def", "return", "class", "import", "yield", "while", "assert", "raise", "global", "del"]
DOCUMENTS = documents(400)
PROSE = "\n\n".join(DOCUMENTS) + "\n"
WORDS = PROSE.split()
JSON_LINES = "".join(json.dumps({"text": text}) + "\n" for text in DOCUMENTS)
LATIN = with_each("Voilà l'été, où les élèves français fêtent Noël à la forêt.")


@dataclass
class Prepared:
    """The output and the files of a preparation."""

    code: int
    said: str
    error: str
    hint: str
    data: Path

    @property
    def record(self) -> dict[str, Any]:
        """The contents of task.json."""
        record: dict[str, Any] = json.loads((self.data / "task.json").read_text())
        return record

    def rows(self, split: str) -> np.ndarray:
        """The token ids [N, 257] of a split."""
        folder = f"{self.data}-test" if split == "test" else self.data
        return np.fromfile(Path(folder) / f"{split}.bin", "<u2").reshape(-1, 257)

    def text(self, *splits: str) -> str:
        """The text in the rows of some splits, or of all splits."""
        tokenizer = Tokenizer.from_file(str(self.data / "tokenizer.json"))
        rows = [row.tolist() for split in splits or SPLITS for row in self.rows(split)]
        return "\n".join(tokenizer.decode([t for t in row if t != BOS]) for row in rows)

    @property
    def kept_share(self) -> float:
        """The share of the documents' bytes that is in a row."""
        packed = self.record["packed"].values()
        lost, whole = (sum(p[key] for p in packed) for key in ("bytes_lost", "bytes_in"))
        return 1 - float(lost / whole)


Prepare = Callable[[Path], Prepared]


def written(folder: Path, name: str, content: bytes | str) -> Path:
    """Writes a file with that content."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def parquet(**columns: Any) -> bytes:
    """The bytes of a Parquet file with those columns."""
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def zstandard(content: bytes) -> bytes:
    """The content, compressed as `zstd` does it."""
    return bytes(pa.compress(content, codec="zstd", asbytes=True))


def zipped(content: str) -> bytes:
    """The bytes of a zip archive with one text."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", content)
    return file.getvalue()


TEXTS = pa.array(DOCUMENTS)
