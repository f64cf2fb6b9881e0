"""Texts that cannot be used are refused, with a reason and a hint that helps."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import gzip
import json
import lzma
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from text_rig import (
    DOCUMENTS,
    JSON_LINES,
    PROSE,
    TEXTS,
    Prepare,
    parquet,
    with_each,
    written,
    zipped,
)

REFUSED: dict[str, tuple[bytes | str, str, str]] = {
    "cut.txt.gz": (gzip.compress(PROSE.encode())[:-5000], "cannot be read to its end", "again"),
    "cut.txt.xz": (lzma.compress(PROSE.encode())[:-5000], "cannot be read to its end", "again"),
    "cut.parquet": (parquet(text=TEXTS)[:-9], "not a complete Parquet file", "again"),
    "cut.json": (json.dumps(DOCUMENTS)[:-90], "not complete JSON", "again"),
    "a.zip": (zipped(PROSE), "a zip archive", "unpack"),
    "zip.txt": (zipped(PROSE), "a zip archive", "unpack"),
    "picture.txt": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 200, "a picture", "text"),
    "book.pdf": (b"%PDF-1.7\n" + bytes(range(256)) * 200, "a PDF", "pdftotext book.pdf"),
    "database.txt": (b"SQLite format 3\0" + bytes(range(256)) * 200, "a database", "sqlite3"),
    "zeros.txt": (bytes(100_000), "data that is not text", "text"),
    "noise": (np.random.default_rng(1).bytes(100_000), "data that is not text", "text"),
    "mixed.txt": ("żółć ąę\n".encode() * 900 + b"\xbf\xf3\xb3\xe6\n" * 900, "mixes UTF-8", "join"),
    "empty.txt": ("", "there is no text", "give some text"),
    "blank.txt": ("\n \t\n" * 9000, "there is no text", "give some text"),
    "one-byte.txt": ("x", "the text yields", "more text"),
    "unquoted-commas.csv": (
        "text\n" + "".join(f"{text}, {n}\n" for n, text in enumerate(DOCUMENTS)),
        "more cells than columns",
        "repair",
    ),
    "two-columns.jsonl": (
        "".join(json.dumps({"q": "?", "a": text}) + "\n" for text in DOCUMENTS),
        "columns that hold strings: q, a",
        "jq -c",
    ),
    "nested.jsonl": (
        "".join(json.dumps({"a": {"b": text}}) + "\n" for text in DOCUMENTS),
        "columns that hold strings: none",
        "jq -c '.. | strings'",
    ),
    "object.json": (json.dumps({"data": DOCUMENTS}, indent=1), "neither an array", "jq -c"),
    "half-json.jsonl": (
        JSON_LINES + "no json\n" * 99_000,
        "lines that are not JSON: 99000",
        "repair",
    ),
    "two-keys.jsonl": (
        JSON_LINES + JSON_LINES.replace('"text"', '"content"'),
        "50% of the text would be lost",
        "repair",
    ),
    "two-columns.csv": ("q,a\n" + "".join(f"?,{text}\n" for text in DOCUMENTS), "q, a", "`text`"),
    "open-quote.csv": ('text\n"never closed\n' + PROSE, "the table cannot be read", "quote"),
    "numbers.parquet": (parquet(n=pa.array(range(9))), "columns that hold strings: none", "`text`"),
    "two-columns.parquet": (
        parquet(q=TEXTS, a=TEXTS),
        "columns that hold strings: q, a",
        "two-columns.parquet a",
    ),
    "no-rows.parquet": (parquet(text=pa.array([], pa.string())), "there is no text", "give some"),
    "the-same.txt": ((DOCUMENTS[0] + "\n\n") * 3000, "95% of it repeats", "differ"),
    "three-rows.jsonl": (
        "".join(json.dumps({"text": PROSE[n:]}) + "\n" for n in range(3)),
        "the val split has 0 documents",
        "a row of a table is one",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_text_is_refused_with_the_reason(
    name: str, tmp_path: Path, prepare_text: Prepare
) -> None:
    """Such a text gives one error, one hint for that error, and no data."""
    content, reason, hint = REFUSED[name]
    done = prepare_text(written(tmp_path, name, content))
    assert done.code == 2
    assert reason in done.error
    assert hint in done.hint


def test_an_encoding_that_cannot_be_told_is_refused_and_the_hint_mends_it(
    tmp_path: Path, prepare_text: Prepare
) -> None:
    """The command in the hint, run in the file's folder, makes a file with an odd name readable."""
    czech = with_each("Příliš žluťoučký kůň úpěl ďábelské ódy, šťastně.")
    source = written(tmp_path, "it's $odd.txt", czech.encode("iso8859-2"))
    done = prepare_text(source)
    assert done.code == 2
    assert "its text does not show which encoding it has" in done.error
    command = done.hint[done.hint.index("iconv") :]
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    assert prepare_text(source).code == 0


@pytest.mark.parametrize("name", ["two-columns.jsonl", "nested.jsonl", "object.json"])
def test_a_hint_for_rows_is_a_command_for_a_shell(
    name: str, tmp_path: Path, prepare_text: Prepare
) -> None:
    """A shell splits the command into the right words, even if the file's name has a quote."""
    source = written(tmp_path, f"it's {name}", REFUSED[name][0])
    hint = prepare_text(source).hint
    words = shlex.split(hint[hint.index("jq -c") :])
    assert words[3:] == [source.name, ">", "text.jsonl"]
