"""A user's text: what can be read, what cannot, and the volume that it becomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner import data
from runner.errors import UserError
from runner.spec import Task

OWN = Task(name="pystdlib", train_seconds=1, limit_seconds=1, space="cpu")
TEXT = OWN.model_copy(update={"needs_input": True})


def test_a_task_with_its_own_data_takes_none() -> None:
    """No files are read, and a DATA that would not be used is an error."""
    assert data.input_files(None, OWN) == []
    with pytest.raises(UserError, match="has no use"):
        data.input_files("my.txt", OWN)


def test_a_task_without_data_asks_for_some() -> None:
    """The hint says which variable and what it may name."""
    with pytest.raises(UserError, match="needs a text") as caught:
        data.input_files(None, TEXT)
    assert "DATA" in caught.value.hint


def test_a_file_is_itself_and_a_folder_its_files_in_order(tmp_path: Path) -> None:
    """A folder's files are found at any depth, always in the same order."""
    for name in ("b.txt", "deep/a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("words")
    assert data.input_files(str(tmp_path / "b.txt"), TEXT) == [tmp_path / "b.txt"]
    assert data.input_files(str(tmp_path), TEXT) == [tmp_path / "b.txt", tmp_path / "deep/a.txt"]


def test_what_cannot_be_read_is_one_error(tmp_path: Path) -> None:
    """A missing path, an empty folder, an empty file and a broken link each say what is so."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "nothing.txt").touch()
    (tmp_path / "broken.txt").symlink_to("/nowhere/at/all")
    for name, says in (
        ("missing", "no such file or folder"),
        ("empty", "no files in it"),
        ("nothing.txt", "0 bytes"),
        ("broken.txt", "no such file or folder"),
    ):
        with pytest.raises(UserError, match=says) as caught:
            data.input_files(str(tmp_path / name), TEXT)
        assert f"DATA={tmp_path / name}" in caught.value.message
        assert caught.value.hint


def test_other_text_is_another_volume(tmp_path: Path) -> None:
    """The volume is named by content: a change in a text or its name makes another."""
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_text("words")
    two.write_text("words")
    names = [data.volume_of(TEXT, [one]), data.volume_of(TEXT, [two]), data.volume_of(TEXT, [])]
    assert data.volume_of(TEXT, [one]) == names[0]
    one.write_text("other words")
    names.append(data.volume_of(TEXT, [one]))
    assert len(set(names)) == 4
    assert all(name.startswith("bakeoff-data-pystdlib-") for name in names)
