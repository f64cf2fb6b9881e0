"""Typical texts of users are prepared completely."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from account import Account
from corpus import Material, user_files
from text_rig import (
    BOS,
    DOCUMENTS,
    JSON_LINES,
    LATIN,
    PROSE,
    SPLITS,
    TEXTS,
    WORDS,
    Prepare,
    parquet,
    with_each,
    written,
    zipped,
    zstandard,
)
from texts import Reader

READ: dict[str, bytes | str] = {
    "one-huge-line.txt": " ".join(WORDS),
    "one-word.txt": "".join(WORDS),
    "lines-of-6000-bytes.txt": "\n".join(
        " ".join(WORDS[n : n + 600]) for n in range(0, len(WORDS), 600)
    ),
    "crlf.txt": PROSE.replace("\n", "\r\n"),
    "cr.txt": PROSE.replace("\n", "\r"),
    "form-feeds.txt": PROSE.replace("\n\n", "\f"),
    "u2028.txt": PROSE.replace("\n\n", "\u2028"),
    "utf-8-mark.txt": PROSE.encode("utf-8-sig"),
    "utf-16-mark.txt": PROSE.encode("utf-16"),
    "utf-32-mark.txt": PROSE.encode("utf-32"),
    "utf-16-le.txt": PROSE.encode("utf-16-le"),
    "utf-16-be.txt": PROSE.encode("utf-16-be"),
    "utf-32-le.txt": PROSE.encode("utf-32-le"),
    "zeros.txt": PROSE.replace("w", "w\0", 20),
    "escapes.txt": PROSE.replace(" ", " \x1b[31m", 500),
    "other.rst": PROSE,
    "no-suffix": PROSE,
    "a.txt.gz": gzip.compress(PROSE.encode()),
    "a.txt.bz2": bz2.compress(PROSE.encode()),
    "a.txt.xz": lzma.compress(PROSE.encode()),
    "a.jsonl.zst": zstandard(JSON_LINES.encode()),
    "packed-under-another-name.txt": gzip.compress(PROSE.encode()),
    "a.jsonl": JSON_LINES,
    "another-key.ndjson": "".join(
        json.dumps({"id": n, "story": text}) + "\n" for n, text in enumerate(DOCUMENTS)
    ),
    "text-among-others.jsonl": "".join(
        json.dumps({"url": "a", "text": text}) + "\n" for text in DOCUMENTS
    ),
    "strings.jsonl": "".join(json.dumps(text) + "\n" for text in DOCUMENTS),
    "lists.jsonl": "".join(json.dumps({"text": [text, "end"]}) + "\n" for text in DOCUMENTS),
    "array-of-objects.json": json.dumps([{"text": text} for text in DOCUMENTS], indent=1),
    "array-of-strings.json": json.dumps(DOCUMENTS),
    "lines.json": JSON_LINES,
    "a-long-first-line.json": "{" + " " * (2 << 20) + JSON_LINES[1:],
    "a.csv": "id,review\n" + "".join(f'{n},"{text}"\n' for n, text in enumerate(DOCUMENTS)),
    "semicolons.csv": "id;text\n" + "".join(f"{n};{text}\n" for n, text in enumerate(DOCUMENTS)),
    "a.tsv": "id\ttext\n" + "".join(f"{n}\t{text}\n" for n, text in enumerate(DOCUMENTS)),
    "a.parquet": parquet(text=TEXTS),
    "dictionary.parquet": parquet(text=TEXTS.dictionary_encode()),
    "view.parquet": parquet(text=TEXTS.cast(pa.string_view())),
    "large.parquet": parquet(text=TEXTS.cast(pa.large_string())),
    "lists.parquet": parquet(text=pa.array([[text, "end"] for text in DOCUMENTS])),
    "only-strings.parquet": parquet(n=pa.array(range(len(DOCUMENTS))), story=TEXTS),
    "nulls.parquet": parquet(text=pa.array([*DOCUMENTS, None, None])),
}


@pytest.mark.parametrize("name", READ)
def test_a_text_is_read_whole(name: str, tmp_path: Path) -> None:
    """In every format, each character of the text is in a document, and in the right order."""
    path = written(tmp_path, name, READ[name])
    documents = list(user_files(Material(path, (), 512)))
    read = re.sub(r"\s|\0|\x1b\[31m", "", "".join(document.text for document in documents))
    assert read.removeprefix("\ufeff").replace("end", "") == "".join(WORDS)
    assert {document.split for document in documents} == set(SPLITS)
    assert max(len(document.text.encode()) for document in documents) <= 512


@pytest.mark.parametrize("name", ["one-huge-line.txt", "one-word.txt", "lines-of-6000-bytes.txt"])
def test_long_lines_are_packed_and_not_dropped(
    name: str, tmp_path: Path, prepare_text: Prepare
) -> None:
    """At least nine tenths of a text of long lines are in rows, and the output gives the loss."""
    done = prepare_text(written(tmp_path, name, READ[name]))
    assert done.code == 0, done.error
    assert len(set(re.findall(r"w\d+x", done.text()))) >= 0.9 * len(DOCUMENTS)
    assert done.kept_share >= 0.9
    assert "bytes are in no row" in done.said
    assert "long lines were divided" in done.said


@pytest.mark.parametrize(
    ("sentence", "codec"),
    [
        ("Voilà l'été, où les élèves français fêtent Noël à la forêt.", "latin-1"),
        ("\u201cIt\u2019s fine\u201d, she said \u2013 and that\u2019s all we know.", "cp1252"),
        ("Съешь ещё этих мягких французских булок, да выпей чаю.", "koi8-r"),
        ("今日は天気がいいので、公園に散歩に行きました。", "cp932"),
        ("今天天气很好,我们去公园散步。学习新的知识是一件很快乐的事情。", "gb18030"),
    ],
)
def test_an_old_encoding_is_guessed_and_said(
    sentence: str, codec: str, tmp_path: Path, prepare_text: Prepare
) -> None:
    """The text is decoded correctly, and the guess is in the output and in the record."""
    done = prepare_text(written(tmp_path, "old.txt", with_each(sentence).encode(codec)))
    assert done.code == 0, done.error
    assert sentence in done.text()
    assert "a guess from its text" in done.said
    assert "iconv -f" in done.record["read"]["notes"][0]


def test_special_tokens_in_a_text_are_text(tmp_path: Path, prepare_text: Prepare) -> None:
    """A literal `<|bos|>` is read as seven characters; only a document's start is the token."""
    text = PROSE.replace("\n\n", " <|bos|><|reserved_1|>\n\n")
    done = prepare_text(written(tmp_path, "a.txt", text))
    assert done.code == 0, done.error
    assert "<|bos|><|reserved_1|>" in done.text()
    for split in SPLITS:
        rows, packed = done.rows(split), done.record["packed"][split]
        assert not np.isin(rows, [1, 2, 3]).any()
        assert (rows == BOS).sum() <= packed["documents"] + packed["rows"]


def test_a_row_is_in_one_split_however_long(tmp_path: Path, prepare_text: Prepare) -> None:
    """All pieces of one row are in the same split."""
    rows = ["\n".join(DOCUMENTS[n : n + 4]) for n in range(0, 400, 4)]
    path = written(tmp_path, "a.jsonl", "".join(json.dumps({"text": r}) + "\n" for r in rows))
    done = prepare_text(path)
    assert done.code == 0, done.error
    numbers = {
        split: {int(n) // 4 for n in re.findall(r"w(\d+)x", done.text(split))} for split in SPLITS
    }
    assert numbers["val"] == {10, 30, 50, 70, 90}
    assert numbers["test"] == {19, 39, 59, 79, 99}
    assert not numbers["train"] & (numbers["val"] | numbers["test"])


def test_the_same_document_is_never_in_two_splits(tmp_path: Path, prepare_text: Prepare) -> None:
    """A copy of a held-out document is left out of training, counted and reported."""
    doubled = [*DOCUMENTS, *DOCUMENTS[3:], *DOCUMENTS[:3]]
    path = written(tmp_path, "a.jsonl", "".join(json.dumps({"text": t}) + "\n" for t in doubled))
    done = prepare_text(path)
    assert done.code == 0, done.error
    numbers = {split: set(re.findall(r"w\d+x", done.text(split))) for split in SPLITS}
    assert not numbers["train"] & numbers["val"]
    assert not numbers["train"] & numbers["test"]
    assert not numbers["val"] & numbers["test"]
    (left_out,) = done.record["read"]["left_out"].values()
    assert f"the same as a held-out one: {left_out['count']} (" in done.said
    assert done.record["read"]["documents"] + left_out["count"] == len(doubled)


def test_a_folder_of_all_kinds_is_read_and_accounted_for(
    tmp_path: Path, prepare_text: Prepare
) -> None:
    """Text files are read; other files and bad lines are left out, named and counted."""
    folder = tmp_path / "folder"
    written(folder, "a.txt", PROSE)
    written(folder, "deep/er/b.jsonl", JSON_LINES[:3000] + "\n")
    written(folder, "c.csv", "id,text\n1,comma text\n")
    written(folder, "README", "a readme\n")
    written(folder, "latin.txt", LATIN[:200].encode("latin-1"))
    written(folder, "picture.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40)
    written(folder, "e.zip", zipped(PROSE))
    written(folder, "settings.json", '{"a": {"b": 1}}')
    written(folder, ".git/config", "hidden text\n")
    written(folder, "empty.txt", "")
    (folder / "link").symlink_to("/etc")
    (folder / "broken.txt").symlink_to("nowhere")
    done = prepare_text(folder)
    assert done.code == 0, done.error
    read = done.record["read"]
    assert read["files"] == 6
    assert {name: loss["count"] for name, loss in (read["lost"] | read["left_out"]).items()} == {
        "lines that are not JSON": 1,
        "files without the text that their ending promises": 1,
        "files that are not text": 2,
        "hidden files and folders": 1,
        "links to folders, which are not followed": 1,
        "column names": 1,
    }
    for name in ("picture.png is a picture", "b.jsonl, line", "link", ".git", "settings.json"):
        assert name in done.said


def test_odd_file_names_are_read_and_shown(tmp_path: Path, prepare_text: Prepare) -> None:
    """Files are read under names that are long, not UTF-8 or unprintable, which are escaped."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for number, name in enumerate((b"caf\xe9.txt", b"n" * 246 + b".txt", b"line\n\x1b[31mred.txt")):
        text = LATIN.replace("w", f"{number}w")
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(text.encode("latin-1"))
    done = prepare_text(folder)
    assert done.code == 0, done.error
    assert done.record["read"]["files"] == 3
    assert "\x1b" not in done.said
    assert "caf\\udce9.txt is not UTF-8" in done.said
    assert "$'caf\\xe9.txt'" in done.said
    assert all(re.match(r"\[ *\d", line) for line in done.said.splitlines())


def test_thousands_of_small_files_are_read(tmp_path: Path, prepare_text: Prepare) -> None:
    """Every small file is read as a document."""
    for number, text in enumerate(DOCUMENTS):
        written(tmp_path / "folder", f"{number // 100}/{number}.txt", text)
    done = prepare_text(tmp_path / "folder")
    assert done.code == 0, done.error
    assert done.record["read"]["documents"] == len(DOCUMENTS)


def test_bytes_that_are_no_character_are_replaced_and_counted(
    tmp_path: Path, prepare_text: Prepare
) -> None:
    """Invalid bytes in text, JSON and Parquet strings are replaced and counted as lost."""
    odd = "żółć \ud800"
    bad = pa.array([f"żółć {text}".encode() + b"\xff" for text in DOCUMENTS])
    strings = pa.Array.from_buffers(pa.string(), len(bad), bad.buffers())
    for name, content, count in (
        ("a.txt", f"żółć {PROSE}".encode() + b"\xff\xfe", 2),
        ("a.jsonl", JSON_LINES + json.dumps({"text": odd}) + "\n", 1),
        ("a.parquet", parquet(text=strings), len(DOCUMENTS)),
    ):
        done = prepare_text(written(tmp_path, name, content))
        assert done.code == 0, done.error
        (loss,) = done.record["read"]["lost"].values()
        assert (loss["count"], loss["where"]) == (count, [name])
        (done.data / "task.json").unlink()


def test_ordinary_text_is_packed_as_it_always_was(some_text: Path, prepare_text: Prepare) -> None:
    """Nothing of plain UTF-8 with ordinary lines is lost, divided or left out; 5% is cropped."""
    done = prepare_text(some_text)
    read = done.record["read"]
    assert (read["divided"], read["lost"], read["left_out"], read["notes"]) == (0, {}, {}, [])
    assert 0.9 < done.kept_share < 1
    assert "would be cropped" not in done.said


def test_a_file_without_text_leaves_no_trace_in_the_account(tmp_path: Path) -> None:
    """A file without text is only counted as lost, and does not count as a table."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.txt").write_text(PROSE)
    (folder / "package.json").write_text('{"name": "a",\n "version": 1}')
    rows = "no JSON\n" * 5 + '{"question": "a b", "answer": "c d"}\n' * 9
    (folder / "two-columns.jsonl").write_text(rows)
    account = Account()
    for _ in Reader(folder, 512).documents(account):
        pass
    assert (account.files, account.tables) == (1, 0)
    assert sum(loss.bytes for loss in account.lost.values()) <= 40 + len(rows)
    assert [loss.count for loss in account.lost.values()] == [2]
