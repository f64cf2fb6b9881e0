"""The command line of preparing: data is complete or absent, and bad text gives one clear error."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import preparation
import prepare
import pytest
from catalog import named_task
from tokenizers import Tokenizer

WORDS = [
    "def",
    "return",
    "class",
    "import",
    "yield",
    "lambda",
    "while",
    "assert",
    "raise",
    "global",
]


CZECH = "Příliš žluťoučký kůň úpěl ďábelské ódy, šťastně.\n"  # Windows-1250, or ISO-8859-2


def prose(documents: int, words: int = 60) -> str:
    """Documents of words that rarely repeat, with a blank line between documents."""
    drawn = np.random.default_rng(1).integers(0, 10**6, (documents, words))
    return "\n\n".join(" ".join(f"{WORDS[n % 10]}{n:x}" for n in row) for row in drawn.tolist())


def run(data: Path, source: Path, *more: str) -> int:
    """Runs the program for the task `text` and returns its exit code."""
    where = ["--task", "text", "--data", str(data), "--input", str(source)]
    held_out = ["--heldout", f"{data}-heldout", "--test-data", f"{data}-test"]
    code: int = prepare.main([*where, *held_out, *more])
    return code


@pytest.fixture(scope="module")
def apart(some_text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of the task `text`; its held-out folders are beside it."""
    folder = tmp_path_factory.mktemp("apart") / "data"
    assert run(folder, some_text) == 0
    return folder


def folders(data: Path) -> tuple[Path, Path, Path]:
    """The three folders that were prepared together."""
    return data, Path(f"{data}-heldout"), Path(f"{data}-test")


def content(folder: Path) -> dict[str, bytes]:
    """The contents of all files of a folder, hidden ones too."""
    return {p.name: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_data_is_whole_and_described(apart: Path) -> None:
    """Each folder has exactly its files, and task.json accounts for all tokens."""
    for folder, files in zip(folders(apart), FILES, strict=True):
        assert set(content(folder)) == {*files, "task.json"}
        record = json.loads((folder / "task.json").read_text())
        assert record["name"] == "text"
        assert record["sequence_tokens"] == 256
        assert set(record["files"]) == files
    for split, folder in zip(("train", "val", "test"), folders(apart), strict=True):
        packed = json.loads((folder / "task.json").read_text())["packed"][split]
        assert (folder / f"{split}.bin").stat().st_size == packed["rows"] * 257 * 2
        used = packed["rows"] * 257 + packed["tokens_cropped"] + packed["tokens_left"]
        assert packed["tokens_in"] == used


def test_files_are_on_the_disk_before_they_are_said_to_be_complete(
    some_text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every copy and the folder's names are synced before task.json is there, and it after that."""
    data, sync = tmp_path / "data", os.fsync
    synced: list[tuple[Path, set[str]]] = []

    def watched(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((path, {one.name for one in path.glob("*")}))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    assert run(data, some_text) == 0
    for folder, files in zip(folders(data), FILES, strict=True):
        *before, last_file, last = [
            (path, names) for path, names in synced if folder in (path, path.parent)
        ]
        assert {path for path, _ in before} >= {folder / f".{name}" for name in files}
        ready, names = before[-1]
        assert ready == folder
        assert files <= names
        assert "task.json" not in names
        assert last_file[0] == folder / ".task.json"
        assert last[0] == folder
        assert "task.json" in last[1]


FILES = (
    {"tokenizer.json", "token_bytes.npy", "train.bin"},
    {"token_bytes.npy", "val.bin"},
    {"token_bytes.npy", "test.bin"},
)


def test_what_a_trial_gets_has_no_row_of_a_held_out_split(apart: Path) -> None:
    """No row of validation or test is in any file of a trial's folder."""
    trials, *held_out = folders(apart)
    seen = b"".join(content(trials).values())
    for folder, split in zip(held_out, ("val", "test"), strict=True):
        rows = np.fromfile(folder / f"{split}.bin", "<u2").reshape(-1, 257)
        assert len(rows) > 10
        assert sum(row.tobytes() in seen for row in rows) == 0
    some = np.fromfile(trials / "train.bin", "<u2").reshape(-1, 257)[7]
    assert some.tobytes() in seen


def test_folders_may_be_one_where_nobody_is_to_be_kept_from_them(
    prepared: Path, apart: Path
) -> None:
    """With the same folder for two of them, it has the files of both, and the same files."""
    files = content(prepared)
    assert set(files) == {*FILES[0], *FILES[1], "task.json"}
    assert files["val.bin"] == content(folders(apart)[1])["val.bin"]


def test_held_out_rows_are_shuffled_and_all_there(
    some_text: Path, apart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are those that packing gives, in another order; training rows stay as packed."""
    monkeypatch.setattr(preparation, "SHUFFLED", ())
    assert run(tmp_path / "data", some_text) == 0
    for split, folder, packed in zip(
        ("train", "val", "test"), folders(apart), folders(tmp_path / "data"), strict=True
    ):
        rows, unshuffled = (
            [row.tobytes() for row in np.fromfile(f / f"{split}.bin", "<u2").reshape(-1, 257)]
            for f in (folder, packed)
        )
        assert sorted(rows) == sorted(unshuffled)
        assert (rows == unshuffled) == (split == "train")


def test_of_a_large_text_no_more_rows_are_held_out_than_are_scored(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is beyond counts as lost; the rows that stay are some of all, in random order."""
    tokenizer = Tokenizer.from_file(str(prepared / "tokenizer.json"))
    task = dataclasses.replace(named_task("text"), eval_tokens=512, estimate_tokens=256)
    sizes = np.load(prepared / "token_bytes.npy")
    texts = prose(40, words=300).split("\n\n")
    whole = preparation.write_rows(tokenizer, texts, task, tmp_path / "val.bin")
    monkeypatch.setattr(preparation, "MOST_HIDDEN_ROWS", 2)
    counts = preparation.write_rows(tokenizer, texts, task, tmp_path / "val.bin")
    rows = np.fromfile(tmp_path / "val.bin", "<u2").reshape(-1, 257)
    assert (len(rows), counts.rows, counts.rows_beyond) == (5, 5, whole.rows - 5)
    assert whole.rows > 5
    assert counts.bytes_lost == counts.bytes_in - sizes[rows].sum()
    assert counts.tokens_in == 5 * 257 + counts.tokens_cropped + counts.tokens_left


def test_a_held_out_row_that_is_a_training_row_is_left_out(prepared: Path, tmp_path: Path) -> None:
    """Documents that differ in their ends alone give one row; it is learned from and not scored."""
    tokenizer = Tokenizer.from_file(str(prepared / "tokenizer.json"))
    task, sizes = named_task("text"), np.load(prepared / "token_bytes.npy")
    same, other = prose(2, words=400).split("\n\n")
    preparation.write_rows(tokenizer, [same + " one"], task, tmp_path / "train.bin")
    held_out = tmp_path / "val.bin"
    counts = preparation.write_rows(tokenizer, [same + " two", other], task, held_out)
    rows = np.fromfile(held_out, "<u2").reshape(-1, 257)
    assert (len(rows), counts.rows, counts.rows_left_out) == (1, 1, 1)
    assert tokenizer.decode(rows[0][1:].tolist()) == other[: sizes[rows[0]].sum()]
    assert counts.tokens_in == 257 + counts.tokens_cropped + counts.tokens_left
    assert counts.bytes_lost == counts.bytes_in - sizes[rows].sum()


def test_preparing_twice_does_nothing_the_second_time(
    apart: Path, some_text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second preparation exits with 0 and changes no file."""
    before = times(apart)
    assert run(apart, some_text) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert times(apart) == before


def times(data: Path) -> dict[Path, int]:
    """When each file of the three folders was last written."""
    return {p: p.stat().st_mtime_ns for folder in folders(data) for p in folder.iterdir()}


@pytest.mark.parametrize("which", [0, 1, 2])
def test_one_folder_that_is_gone_is_made_again_and_the_others_stay(
    which: int, apart: Path, some_text: Path, tmp_path: Path
) -> None:
    """The folder gets the same files as before; a trial may be reading those of the others."""
    data = tmp_path / "data"
    for whole, copy in zip(folders(apart), folders(data), strict=True):
        shutil.copytree(whole, copy)
    lost = folders(data)[which]
    shutil.rmtree(lost)
    before = {p: when for p, when in times_of_existing(data).items() if lost not in p.parents}
    assert run(data, some_text) == 0
    assert content(lost) == content(folders(apart)[which])
    assert {p: when for p, when in times(data).items() if lost not in p.parents} == before


def times_of_existing(data: Path) -> dict[Path, int]:
    """As `times`, of the folders that are there."""
    there = (folder for folder in folders(data) if folder.exists())
    return {p: p.stat().st_mtime_ns for folder in there for p in folder.iterdir()}


def test_preparing_elsewhere_gives_the_same_bytes(
    apart: Path, some_text: Path, tmp_path: Path
) -> None:
    """Preparing the same text in other folders gives identical files."""
    assert run(tmp_path / "data", some_text) == 0
    for here, there in zip(folders(tmp_path / "data"), folders(apart), strict=True):
        assert content(here) == content(there)


def test_data_without_its_last_file_is_prepared_anew(
    apart: Path, some_text: Path, tmp_path: Path
) -> None:
    """A folder that a killed preparation left, without task.json, is prepared again."""
    half = tmp_path / "data"
    shutil.copytree(apart, half)
    (half / "task.json").unlink()
    (half / "train.bin").write_bytes(b"half")
    (half / ".aside").mkdir()
    (half / ".aside" / "val.bin").write_bytes(b"half")
    assert run(half, some_text) == 0
    assert content(half) == content(apart)


def test_a_loaded_tokenizer_reads_special_words_as_text(prepared: Path) -> None:
    """Whoever loads it gets no special token from a text, and all bytes of the text are counted."""
    tokenizer = Tokenizer.from_file(str(prepared / "tokenizer.json"))
    sizes = np.load(prepared / "token_bytes.npy")
    for text in ("<|bos|>", "x <|bos|><|reserved_3|>y\n", "a<|bos|>"):
        for ids in (tokenizer.encode(text).ids, tokenizer.encode_batch_fast([text])[0].ids):
            assert min(ids) > 3
            assert tokenizer.decode(ids) == text
            assert sizes[ids].sum() == len(text)
    assert tokenizer.token_to_id("<|bos|>") == 0


def test_tokens_are_bytes(prepared: Path) -> None:
    """Any text can be decoded again, and its tokens stand for exactly its bytes."""
    tokenizer = Tokenizer.from_file(str(prepared / "tokenizer.json"))
    sizes = np.load(prepared / "token_bytes.npy")
    assert tokenizer.get_vocab_size() == len(sizes) == 1024
    assert list(sizes[:4]) == [0, 0, 0, 0]
    for text in ("def f(x):\n\treturn 1234567\n", "żółć, 你好 👋🏽 \0 \x7f", "  \n\n "):
        ids = tokenizer.encode(text).ids
        assert tokenizer.decode(ids, skip_special_tokens=False) == text
        assert sizes[ids].sum() == len(text.encode())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "all documents are empty"),
        ("\n\n  \n\t\n" * 500, "all documents are empty"),
        ("one document and no more\n", "the text yields"),
        (prose(8), "the text yields"),
        ("all the same words\n\n" * 3000, "the text is too repetitive"),
        (prose(9), "the text yields"),
    ],
)
def test_text_that_is_too_little_is_one_clear_error(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Too little text gives exit code 2, one line of error, one line of hint, and no files."""
    source = tmp_path / "source.txt"
    source.write_text(text)
    assert run(tmp_path / "data", source) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: preparing text: ")
    assert words in error
    assert hint.startswith("hint: ")
    assert content(tmp_path / "data") == {}


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("latin.txt", CZECH.encode("iso8859-2") * 3000, "is not UTF-8"),
        ("half.parquet", b"PAR1 and then nothing", "not a complete Parquet file"),
        ("picture.png", b"\x89PNG", "a picture"),
    ],
)
def test_a_folder_of_bad_files_is_one_clear_error(
    name: str, data: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bad file gives one error and no data, even after much good text."""
    source = tmp_path / "source"
    source.mkdir()
    if not name.endswith("png"):
        (source / "a.txt").write_text(prose(2000))
    (source / name).write_bytes(data)
    assert run(tmp_path / "data", source) == 2
    error, _hint = capsys.readouterr().err.splitlines()
    assert words in error
    assert content(tmp_path / "data") == {}


def test_an_unknown_task_names_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown task is an error that lists the known tasks."""
    assert prepare.main(["--task", "imagenet"]) == 2
    assert "climbmix, pystdlib, text" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_an_error_of_the_host(
    tmp_path: Path, some_text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """If a file is in the place of the data folder, the program reports one error."""
    (tmp_path / "data").write_text("in the way")
    assert run(tmp_path / "data", some_text) == 2
    assert "error: preparing text: " in capsys.readouterr().err


def test_another_task_in_the_same_folder_takes_its_place(
    prepared: Path, some_text: Path, tmp_path: Path
) -> None:
    """Data that was prepared with other constants is replaced."""
    data = tmp_path / "data"
    shutil.copytree(prepared, data)
    constants: dict[str, Any] = json.loads((data / "task.json").read_text())
    (data / "task.json").write_text(json.dumps({**constants, "vocabulary": 512}))
    assert run(data, some_text) == 0
    assert (
        json.loads((data / "task.json").read_text())["vocabulary"] == named_task("text").vocabulary
    )
