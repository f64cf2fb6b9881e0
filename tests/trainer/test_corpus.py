"""Reading text from files: documents are assigned to splits, and a text without any is refused."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
import resource
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus import (
    BadInputError,
    Material,
    climbmix,
    split_of_number,
    tinystories,
    user_files,
)
from hypothesis import given
from hypothesis import strategies as st
from rows import read_parquet


def write_parquet(path: Path, **columns: list[str]) -> Path:
    """Writes a Parquet file with those columns."""
    pq.write_table(pa.table(columns), path)
    return path


def test_twenty_documents_have_all_splits() -> None:
    """Of twenty documents, eighteen train, one validates and one tests."""
    splits = [split_of_number(number) for number in range(20)]
    assert {split: splits.count(split) for split in set(splits)} == {
        "train": 18, "val": 1, "test": 1
    }  # fmt: skip


def test_a_folder_is_read_in_order_and_only_its_text(tmp_path: Path) -> None:
    """Text, Markdown and Parquet are read, in folders too; a picture is not."""
    (tmp_path / "b.txt").write_text("b text\n")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "a.md").write_text("a text\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff")
    write_parquet(tmp_path / "c.parquet", text=["first", "second"])
    documents = user_files(Material(tmp_path, (), 512))
    assert [d.text for d in documents] == ["a text\n", "b text\n", "first", "second"]


def test_a_file_named_by_the_user_may_end_in_anything(tmp_path: Path) -> None:
    """A file that DATA names directly is read with any ending."""
    path = tmp_path / "novel.utf8"
    path.write_text("Once upon a time\n")
    assert [d.text for d in user_files(Material(path, (), 512))] == ["Once upon a time\n"]


@pytest.mark.parametrize(
    ("columns", "texts"),
    [
        ({"text": ["a", "b"], "title": ["x", "y"]}, ["a", "b"]),
        ({"story": ["a", "b"], "number": [1, 2]}, ["a", "b"]),
    ],
)
def test_the_text_of_a_parquet_is_found(
    columns: dict[str, list[str]], texts: list[str], tmp_path: Path
) -> None:
    """The column of text is found by its name, or because it is the only one with strings."""
    assert list(read_parquet(write_parquet(tmp_path / "a.parquet", **columns))) == texts


def test_a_parquet_without_a_text_is_refused(tmp_path: Path) -> None:
    """If two columns hold text, the choice is not guessed."""
    path = write_parquet(tmp_path / "a.parquet", question=["a"], answer=["b"])
    with pytest.raises(BadInputError, match="hold strings: question, answer") as caught:
        list(read_parquet(path))
    assert "name the column" in caught.value.hint


@pytest.mark.parametrize("kept", [0, 4, 100, -9])
def test_a_parquet_cut_short_is_refused(kept: int, tmp_path: Path) -> None:
    """A file that a broken download cut off at any byte is refused."""
    path = write_parquet(tmp_path / "a.parquet", text=[f"story {n}" for n in range(1000)])
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BadInputError, match=r"a\.parquet is not a complete Parquet file"):
        list(read_parquet(path))


def test_a_parquet_with_damaged_pages_is_refused(tmp_path: Path) -> None:
    """A file with a whole end and a damaged middle is refused."""
    path = write_parquet(tmp_path / "a.parquet", text=[f"story {n} " * 50 for n in range(1000)])
    content = bytearray(path.read_bytes())
    content[100 : len(content) // 2] = b"\xff" * (len(content) // 2 - 100)
    path.write_bytes(content)
    with pytest.raises(BadInputError, match="not a complete Parquet file"):
        list(read_parquet(path))


def test_a_gigabyte_of_zeros_is_refused_without_being_held(tmp_path: Path) -> None:
    """A sparse file of one line takes neither a gigabyte of disk nor of memory."""
    path = tmp_path / "long.txt"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadInputError, match="data that is not text"):
        list(user_files(Material(path, (), 512)))
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kb < 200_000


def test_an_old_encoding_without_an_ending_is_read_when_it_is_alone(tmp_path: Path) -> None:
    """Beside other files such a file is left out; if it is the only one, it is read."""
    text = "".join(f"Voilà l'été {n}, où les élèves fêtent Noël.\n\n" for n in range(99))
    (tmp_path / "corpus").write_bytes(text.encode("latin-1"))
    found = user_files(Material(tmp_path, (), 512))
    assert "".join(document.text for document in found) == text
    (tmp_path / "a.txt").write_text("a text\n")
    assert [d.text for d in user_files(Material(tmp_path, (), 512))] == ["a text\n"]


def test_many_files_of_an_old_encoding_are_a_few_lines_of_output(tmp_path: Path) -> None:
    """The output names the first files and counts the others."""
    for number in range(50):
        (tmp_path / f"{number}.txt").write_bytes(f"café {number} à la crème\n".encode("latin-1"))
    material = Material(tmp_path, (), 512)
    assert len(list(user_files(material))) == 50
    lines = list(material.survey.account.lines())
    assert len(lines) == 22
    assert lines[-1] == "30 more notes of this kind are not shown"


def test_a_folder_without_text_is_refused(tmp_path: Path) -> None:
    """A folder without files is refused, and so is one whose files hold no text."""
    with pytest.raises(BadInputError, match="no file to read"):
        list(user_files(Material(tmp_path, (), 512)))
    for number in range(3):
        (tmp_path / f"{number}.bin").write_bytes(bytes(100))
    with pytest.raises(BadInputError, match="none of the 3 files is text"):
        list(user_files(Material(tmp_path, (), 512)))


@given(texts=st.lists(st.text("ab\n é", max_size=1500), max_size=60))
def test_every_byte_is_in_one_split_or_counted(
    texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """All bytes of a file of rows are in a split or counted as left out, and none is lost."""
    path = tmp_path_factory.mktemp("rows") / "a.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    material = Material(path, (), 512)
    documents = list(user_files(material)) if texts else []
    account = material.survey.account
    left_out = sum(loss.bytes for loss in account.left_out.values())
    assert account.lost == {}
    assert sum(len(d.text.encode()) for d in documents) == account.bytes
    assert account.bytes + left_out == sum(len(text.encode()) for text in texts)


@given(texts=st.lists(st.sampled_from([f"text {n}" for n in range(60)]), min_size=1, max_size=200))
def test_no_text_is_in_two_splits(
    texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each text is in exactly one split, with any number of repetitions."""
    path = tmp_path_factory.mktemp("rows") / "a.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    splits: dict[str, set[str]] = {"train": set(), "val": set(), "test": set()}
    for document in user_files(Material(path, (), 512)):
        splits[document.split].add(document.text)
    assert sum(map(len, splits.values())) == len(set(texts))


def test_tinystories_holds_out_its_first_rows(tmp_path: Path) -> None:
    """The first ten thousand rows test, the next ten thousand validate, and the rest train."""
    path = write_parquet(tmp_path / "a.parquet", text=[str(n) for n in range(20_003)])
    documents = list(tinystories(Material(Path("unused"), (path,), 0)))
    assert [int(d.text) for d in documents] == list(range(20_003))
    splits = [d.split for d in documents]
    assert splits == ["test"] * 10_000 + ["val"] * 10_000 + ["train"] * 3


def test_climbmix_holds_out_its_last_shards(tmp_path: Path) -> None:
    """The last shard validates, and the one before it tests."""
    shards = tuple(write_parquet(tmp_path / f"{n}.parquet", text=[f"shard {n}"]) for n in range(4))
    documents = climbmix(Material(Path("unused"), shards, 0))
    assert [(d.split, d.text) for d in documents] == [
        ("train", "shard 0"), ("train", "shard 1"), ("test", "shard 2"), ("val", "shard 3"),
    ]  # fmt: skip
