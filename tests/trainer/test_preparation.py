"""Preparing from its command line: whole or not there, once, and one clear error for bad text."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
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


def prose(documents: int, words: int = 60) -> str:
    """Documents of words that do not repeat much, a blank line between them."""
    drawn = np.random.default_rng(1).integers(0, 10**6, (documents, words))
    return "\n\n".join(" ".join(f"{WORDS[n % 10]}{n:x}" for n in row) for row in drawn.tolist())


def run(data: Path, source: Path, *more: str) -> int:
    """The program, for the task `text`."""
    where = ["--task", "text", "--data", str(data), "--input", str(source)]
    code: int = prepare.main([*where, *more])
    return code


def content(folder: Path) -> dict[str, bytes]:
    """All files of a folder, hidden ones too."""
    return {p.name: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_data_is_whole_and_described(prepared: Path, some_text: Path) -> None:
    """The files of a task, and an account of what became of the tokens; nothing is left aside."""
    assert set(content(prepared)) == {*prepare_files(), "task.json"}
    assert set(content(Path(f"{prepared}-test"))) == {"test.bin", "task.json"}
    task = json.loads((prepared / "task.json").read_text())
    assert task["name"] == "text"
    assert task["sequence_tokens"] == 256
    for split, folder in (("train", prepared), ("val", prepared), ("test", f"{prepared}-test")):
        packed = task["packed"][split]
        assert (Path(folder) / f"{split}.bin").stat().st_size == packed["rows"] * 257 * 2
        used = packed["rows"] * 257 + packed["tokens_cropped"] + packed["tokens_left"]
        assert packed["tokens_in"] == used
    assert set(task["files"]) == set(prepare_files())


def prepare_files() -> tuple[str, ...]:
    """The files of a data folder beside task.json."""
    return ("tokenizer.json", "token_bytes.npy", "train.bin", "val.bin")


def test_preparing_twice_does_nothing_the_second_time(
    prepared: Path, some_text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0, no file touched."""
    before = {p: p.stat().st_mtime_ns for p in prepared.iterdir()}
    assert run(prepared, some_text) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in prepared.iterdir()} == before


def test_preparing_elsewhere_gives_the_same_bytes(
    prepared: Path, some_text: Path, tmp_path: Path
) -> None:
    """What was trained on can be made again."""
    assert run(tmp_path / "data", some_text) == 0
    assert content(tmp_path / "data") == content(prepared)


def test_data_without_its_last_file_is_prepared_anew(
    prepared: Path, some_text: Path, tmp_path: Path
) -> None:
    """As a preparation leaves it that was killed: files, but no task.json, and something aside."""
    half = tmp_path / "data"
    shutil.copytree(prepared, half)
    (half / "task.json").unlink()
    (half / "train.bin").write_bytes(b"half")
    (half / ".aside").mkdir()
    (half / ".aside" / "val.bin").write_bytes(b"half")
    assert run(half, some_text) == 0
    assert content(half) == content(prepared)


def test_tokens_are_bytes(prepared: Path) -> None:
    """Any text comes back, and its tokens stand for as many bytes as it has."""
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
        ("one document and no more\n", "the text supports"),
        (prose(8), "the text supports"),
        ("all the same words\n\n" * 3000, "the text supports"),
        (prose(19, 800), "0 documents came to the test split"),
    ],
)
def test_text_that_is_too_little_is_one_clear_error(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, an error and a hint of a line each, and nothing left behind."""
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
        ("latin.txt", b"caf\xe9\n" * 10_000, "is no UTF-8"),
        ("half.parquet", b"PAR1 and then nothing", "no whole parquet file"),
        ("picture.png", b"\x89PNG", "no file ends in"),
    ],
)
def test_a_folder_of_bad_files_is_one_clear_error(
    name: str, data: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even when it comes late, after much good text."""
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
    """And nothing is made."""
    assert prepare.main(["--task", "imagenet"]) == 2
    assert "climbmix, pystdlib, text" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_an_error_of_the_host(
    tmp_path: Path, some_text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file where the folder should be."""
    (tmp_path / "data").write_text("in the way")
    assert run(tmp_path / "data", some_text) == 2
    assert "error: preparing text: " in capsys.readouterr().err


def test_another_task_in_the_same_folder_takes_its_place(
    prepared: Path, some_text: Path, tmp_path: Path
) -> None:
    """Data of other constants is never taken for this task's."""
    data = tmp_path / "data"
    shutil.copytree(prepared, data)
    constants: dict[str, Any] = json.loads((data / "task.json").read_text())
    (data / "task.json").write_text(json.dumps({**constants, "vocabulary": 512}))
    assert run(data, some_text) == 0
    assert (
        json.loads((data / "task.json").read_text())["vocabulary"] == named_task("text").vocabulary
    )
