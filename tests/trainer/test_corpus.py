"""Text from files: cut into documents, given to splits, and refused when it is none."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus import (
    BadInputError,
    Material,
    climbmix,
    cut,
    find_files,
    read_lines,
    read_parquet,
    split_of_number,
    standard_library,
    tinystories,
    user_files,
)
from hypothesis import given
from hypothesis import strategies as st

TEXT = st.text(alphabet=st.sampled_from("ab ä\n\n"), max_size=300)


def write_parquet(path: Path, **columns: list[str]) -> Path:
    """A parquet file with those columns."""
    pq.write_table(pa.table(columns), path)
    return path


@given(text=TEXT, limit=st.integers(1, 80))
def test_cutting_loses_no_character_and_keeps_to_its_limit(text: str, limit: int) -> None:
    """Joined again, pieces are the text; one that is too long is a single line."""
    pieces = list(cut(text.splitlines(keepends=True), limit))
    assert "".join(pieces) == text
    for piece in pieces:
        assert piece
        assert len(piece.encode()) <= limit or len(piece.splitlines()) == 1


def test_text_is_cut_after_blank_lines_where_there_are_any() -> None:
    """A paragraph stays whole; without blank lines the cut is at a line's end."""
    lines = ["one\n", "two\n", "\n", "three\n", "four\n"]
    assert list(cut(lines, 15)) == ["one\ntwo\n\n", "three\nfour\n"]
    assert list(cut(lines, 0)) == ["".join(lines)]


def test_twenty_documents_have_all_splits() -> None:
    """Eighteen to train, one to validate, one to test."""
    splits = [split_of_number(number) for number in range(20)]
    assert {split: splits.count(split) for split in set(splits)} == {
        "train": 18, "val": 1, "test": 1
    }  # fmt: skip


def test_the_standard_library_is_split_by_file() -> None:
    """No test files, nothing installed, megabytes of text, and about a twentieth held out."""
    documents = list(standard_library(Material(Path("unused"), (), 512)))
    sizes = {
        split: sum(len(d.text) for d in documents if d.split == split)
        for split in ("train", "val", "test")
    }
    assert sum(sizes.values()) > 6_000_000
    assert all(0.01 < sizes[split] / sum(sizes.values()) < 0.2 for split in ("val", "test"))


def test_a_folder_is_read_in_order_and_only_its_text(tmp_path: Path) -> None:
    """Text, Markdown, Python and parquet, in folders too; anything else is left alone."""
    (tmp_path / "b.txt").write_text("b text\n")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "a.md").write_text("a text\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff")
    write_parquet(tmp_path / "c.parquet", text=["first", "second"])
    documents = user_files(Material(tmp_path, (), 512))
    assert [d.text for d in documents] == ["a text\n", "b text\n", "first", "second"]


def test_a_file_named_by_the_user_may_end_in_anything(tmp_path: Path) -> None:
    """It was named on purpose."""
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
    """By its name, or because it is the only one."""
    assert list(read_parquet(write_parquet(tmp_path / "a.parquet", **columns))) == texts


def test_a_parquet_without_a_text_is_refused(tmp_path: Path) -> None:
    """Which of two columns it is, is not guessed."""
    path = write_parquet(tmp_path / "a.parquet", question=["a"], answer=["b"])
    with pytest.raises(BadInputError, match="strings are in question, answer") as caught:
        list(read_parquet(path))
    assert "call the column" in caught.value.hint


@pytest.mark.parametrize("kept", [0, 4, 100, -9])
def test_a_parquet_cut_short_is_refused(kept: int, tmp_path: Path) -> None:
    """As a download leaves it that broke off, at whatever byte."""
    path = write_parquet(tmp_path / "a.parquet", text=[f"story {n}" for n in range(1000)])
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BadInputError, match=r"a\.parquet is no whole parquet file"):
        list(read_parquet(path))


def test_a_parquet_with_damaged_pages_is_refused(tmp_path: Path) -> None:
    """Its end is whole, its middle is not."""
    path = write_parquet(tmp_path / "a.parquet", text=[f"story {n} " * 50 for n in range(1000)])
    content = bytearray(path.read_bytes())
    content[100 : len(content) // 2] = b"\xff" * (len(content) // 2 - 100)
    path.write_bytes(content)
    with pytest.raises(BadInputError, match="no whole parquet file"):
        list(read_parquet(path))


def test_text_that_is_no_utf8_is_refused_with_its_place(tmp_path: Path) -> None:
    """File and line, and a command that helps."""
    path = tmp_path / "latin.txt"
    path.write_bytes(b"good\ncaf\xe9\n")
    with pytest.raises(BadInputError, match=r"latin\.txt: line 2 is no UTF-8") as caught:
        list(read_lines(path))
    assert "iconv" in caught.value.hint


def test_a_line_of_a_gigabyte_is_refused_without_being_read(tmp_path: Path) -> None:
    """A sparse file of one line costs neither a gigabyte of disk nor of memory."""
    path = tmp_path / "long.txt"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(BadInputError, match=r"line 1 is longer than 16777216 bytes"):
        list(read_lines(path))


def test_a_folder_without_text_is_refused(tmp_path: Path) -> None:
    """With the endings that would do."""
    (tmp_path / "data.bin").write_bytes(b"\0")
    with pytest.raises(BadInputError, match=r"\.txt, \.md, \.py, \.parquet"):
        find_files(tmp_path)


def test_tinystories_holds_out_its_first_rows(tmp_path: Path) -> None:
    """Ten thousand to test, the next ten thousand to validate, the rest to train."""
    path = write_parquet(tmp_path / "a.parquet", text=[str(n) for n in range(20_003)])
    documents = list(tinystories(Material(Path("unused"), (path,), 0)))
    assert [int(d.text) for d in documents] == list(range(20_003))
    splits = [d.split for d in documents]
    assert splits == ["test"] * 10_000 + ["val"] * 10_000 + ["train"] * 3


def test_climbmix_holds_out_its_last_shards(tmp_path: Path) -> None:
    """The last validates, the one before it tests."""
    shards = tuple(write_parquet(tmp_path / f"{n}.parquet", text=[f"shard {n}"]) for n in range(4))
    documents = climbmix(Material(Path("unused"), shards, 0))
    assert [(d.split, d.text) for d in documents] == [
        ("train", "shard 0"), ("train", "shard 1"), ("test", "shard 2"), ("val", "shard 3"),
    ]  # fmt: skip
