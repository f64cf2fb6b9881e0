"""The folder of an analysis: what is replaced, removed and left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.analysis.output.files import MANIFEST, OutputFolder, file_names
from runner.errors import HostError


def write(path: Path, *names: str) -> None:
    with OutputFolder(path) as folder:
        for name in names:
            folder.write(name, name)


def test_files_of_before_are_removed(tmp_path: Path) -> None:
    """A file that is not written again goes, with its empty folder; other files stay."""
    write(tmp_path, "index.html", "old/tables/a.csv", "old/b.csv")
    (tmp_path / "mine.txt").write_text("a person's own")
    write(tmp_path, "index.html", "old/b.csv")
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"index.html", "old/b.csv", "mine.txt", MANIFEST}
    assert not (tmp_path / "old/tables").exists()


def test_an_error_removes_nothing(tmp_path: Path) -> None:
    """What lay there before stays, and the next analysis still knows of it."""

    def fails_in_the_middle() -> None:
        with OutputFolder(tmp_path) as folder:
            folder.write("c", "c")
            raise ZeroDivisionError

    write(tmp_path, "a", "b")
    with pytest.raises(ZeroDivisionError):
        fails_in_the_middle()
    assert json.loads((tmp_path / MANIFEST).read_text()) == ["a", "b", "c"]
    write(tmp_path, "c")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("listed", ['["../outside", "/etc/hostname"]', "{}", "[1]", "torn"])
def test_a_list_from_elsewhere_does_no_harm(tmp_path: Path, listed: str) -> None:
    """Nothing outside the folder is removed, and a broken list is none."""
    outside = tmp_path / "outside"
    outside.write_text("a person's own")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / MANIFEST).write_text(listed)
    write(folder, "index.html")
    assert outside.exists()


def test_no_link_leads_out(tmp_path: Path) -> None:
    """A folder that became a link is not followed."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other/a.csv").write_text("a person's own")
    out = tmp_path / "out"
    out.mkdir()
    (out / "tables").symlink_to(tmp_path / "other")
    (out / MANIFEST).write_text('["tables/a.csv"]')
    write(out, "index.html")
    assert (tmp_path / "other/a.csv").exists()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """It says which path, and what to do."""
    (tmp_path / "out").write_text("a file")
    with pytest.raises(HostError, match="out"):
        write(tmp_path / "out", "tables/a.csv")


def test_names_of_files_are_plain_and_different() -> None:
    """In small letters, without signs, bounded, and each name has its own."""
    names = file_names(["GPT-5 (1M)", "gpt 5 1m", "模型", "../../etc", "x" * 300, "é"])
    assert list(names.values()) == ["gpt-5-1m", "gpt-5-1m-2", "unnamed", "etc", "x" * 60, "e"]
