"""A user's text: what can be read, what cannot, and the volume that it becomes."""

from __future__ import annotations

import os
import shutil
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from runner import clean, task_data
from runner.errors import UserError
from runner.metrics import VAL_BPB
from runner.records.layout import RunDir
from runner.tasks import Task

OLD_RUNS = Path(__file__).parents[1] / "fixtures" / "runs-v1"
OWN = Task(
    name="pystdlib", metric=VAL_BPB, train_seconds=1, limit_seconds=1, judged_tokens=1,
    estimate_tokens=1, sequence_tokens=1, seed=1, space="cpu",
)  # fmt: skip
TEXT = OWN.model_copy(update={"needs_input": True})


def test_a_task_with_its_own_data_takes_none() -> None:
    """No files are read, and a DATA that would not be used is an error."""
    assert task_data.input_files(None, OWN) == []
    with pytest.raises(UserError, match="has no use"):
        task_data.input_files("my.txt", OWN)


def test_a_task_without_data_asks_for_some() -> None:
    """The hint says which variable and what it may name."""
    with pytest.raises(UserError, match="needs a text") as caught:
        task_data.input_files(None, TEXT)
    assert "DATA" in caught.value.hint


def test_a_file_is_itself_and_a_folder_its_files_in_order(tmp_path: Path) -> None:
    """A folder's files are found at any depth, always in the same order."""
    for name in ("b.txt", "deep/a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("words")
    assert task_data.input_files(str(tmp_path / "b.txt"), TEXT) == [tmp_path / "b.txt"]
    assert task_data.input_files(str(tmp_path), TEXT) == [
        tmp_path / "b.txt",
        tmp_path / "deep/a.txt",
    ]


def test_what_cannot_be_read_is_one_error(tmp_path: Path) -> None:
    """A missing path, an empty folder, an empty file and a broken link each say what is so."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "nothing.txt").touch()
    (tmp_path / "broken.txt").symlink_to("/nowhere/at/all")
    for name, says in (
        ("missing", "no such file or folder"),
        ("empty", "it has no files"),
        ("nothing.txt", "0 bytes"),
        ("broken.txt", "no such file or folder"),
    ):
        with pytest.raises(UserError, match=says) as caught:
            task_data.input_files(str(tmp_path / name), TEXT)
        assert f"DATA={tmp_path / name}" in caught.value.message
        assert caught.value.hint


def test_the_three_volumes_share_a_digest() -> None:
    """Trials see the first; the other two differ from it in their first word alone."""
    volume = task_data.volume_of(OWN, [])
    rest = volume.removeprefix("bakeoff-data-")
    assert task_data.heldout_volume(volume) == f"bakeoff-heldout-{rest}"
    assert task_data.test_volume(volume) == f"bakeoff-test-{rest}"
    assert task_data.places_of(volume) == {
        volume: "/data",
        task_data.heldout_volume(volume): "/heldout",
        task_data.test_volume(volume): "/test",
    }


def test_a_volume_is_explained_by_its_name() -> None:
    """`ps` tells the three apart."""
    said = [task_data.meaning(name, "text") for name in task_data.places_of("bakeoff-data-text-0")]
    assert said == [
        "the data of task text",
        "the validation text of task text",
        "the test text of task text",
    ]


def test_the_data_of_an_unfinished_run_is_kept_whole(tmp_path: Path) -> None:
    """All three volumes are needed until the run has a result; a broken spec needs none."""
    shutil.copytree(OLD_RUNS / "tpe-s1", tmp_path / "tpe-s1")
    run_dir = RunDir(tmp_path / "tpe-s1")
    assert clean.needed_data(run_dir) == []
    run_dir.result.unlink()
    assert clean.needed_data(run_dir) == [
        "bakeoff-data-pystdlib-bddf70acc2c6",
        "bakeoff-heldout-pystdlib-bddf70acc2c6",
        "bakeoff-test-pystdlib-bddf70acc2c6",
    ]
    run_dir.spec.write_text("{")
    assert clean.needed_data(run_dir) == []


def test_other_packages_are_another_volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock of the packages decides what the data is."""
    before = task_data.volume_of(OWN, [])
    lock = tmp_path / "requirements.lock"
    lock.write_text(task_data.PACKAGES_LOCK.read_text().replace("docutils==", "docutils==1."))
    monkeypatch.setattr(task_data, "PACKAGES_LOCK", lock)
    assert task_data.volume_of(OWN, []) != before


def test_other_text_is_another_volume(tmp_path: Path) -> None:
    """The volume is named by content: a change in a text or its name makes another."""
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_text("words")
    two.write_text("words")
    names = [
        task_data.volume_of(TEXT, [one]),
        task_data.volume_of(TEXT, [two]),
        task_data.volume_of(TEXT, []),
    ]
    assert task_data.volume_of(TEXT, [one]) == names[0]
    one.write_text("other words")
    names.append(task_data.volume_of(TEXT, [one]))
    assert len(set(names)) == 4
    assert all(name.startswith("bakeoff-data-pystdlib-") for name in names)


def test_what_is_hidden_is_left_alone_and_links_to_files_are_read(tmp_path: Path) -> None:
    """A repository's own folder, a Mac's droppings, links out of the folder and broken ones."""
    folder = tmp_path / "folder"
    for name in ("a.txt", ".DS_Store", ".git/config", "deep/b.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("words")
    (folder / "c.txt").symlink_to("a.txt")
    (folder / "loop").symlink_to(folder)
    (folder / "broken.txt").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.txt")
    said: list[str] = []
    found = task_data.input_files(str(folder), TEXT, said.append)
    assert said == [
        "left out: 5 hidden, broken or linked files and folders: "
        ".DS_Store, .git, broken.txt, loop, pipe.txt"
    ]
    assert found == [folder / "a.txt", folder / "c.txt", folder / "deep/b.txt"]
    assert task_data.input_files(str(folder / ".DS_Store"), TEXT) == [folder / ".DS_Store"]


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    """It is neither a file nor a folder, and says so."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="neither a file nor a folder") as caught:
        task_data.input_files(str(tmp_path / "pipe"), TEXT)
    assert "into a file" in caught.value.hint


def test_a_path_that_a_record_cannot_hold_is_refused(tmp_path: Path) -> None:
    """No UTF-8: said escaped, before anything is written."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt"))
    path.write_text("words")
    with pytest.raises(UserError, match=r"caf\\udce9\.txt: its name is not UTF-8") as caught:
        task_data.input_files(str(path), TEXT)
    assert caught.value.message.isprintable()
    assert task_data.input_files(str(tmp_path), TEXT) == [path]


def test_a_folder_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    """A name in it that is too long for its file system stands for one that may not be read."""
    with pytest.raises(UserError, match="File name too long"):
        task_data.input_files(str(tmp_path / ("n" * 300)), TEXT)


ODD_NAMES = [b"caf\xe9.txt", b"n" * 250, b"line\nend.txt", "ж.txt".encode(), b"deep/er/a b.txt"]


def odd_files(folder: Path) -> list[Path]:
    """Files of those names, each with its own name as its content."""
    for name in ODD_NAMES:
        path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name * 200)
    return task_data.input_files(str(folder), TEXT)


def test_files_of_any_name_travel_under_it(tmp_path: Path) -> None:
    """No UTF-8, 250 bytes long, with a line end, deep: the archive holds them as they are."""
    files = odd_files(tmp_path)
    packed = BytesIO(b"".join(task_data.archive(files)))
    with tarfile.open(fileobj=packed) as tar:
        found = {os.fsencode(m.name): tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]
    assert found == {name: name * 200 for name in ODD_NAMES}
    assert task_data.volume_of(TEXT, files) != task_data.volume_of(TEXT, files[1:])


def test_the_same_texts_in_other_places_are_another_volume(tmp_path: Path) -> None:
    """Two files that change places change the data: their folders count."""
    for name, text in (("a/x.txt", "one"), ("b/x.txt", "two")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    before = task_data.volume_of(TEXT, task_data.input_files(str(tmp_path), TEXT))
    (tmp_path / "a").rename(tmp_path / "c")
    (tmp_path / "b").rename(tmp_path / "a")
    (tmp_path / "c").rename(tmp_path / "b")
    assert task_data.volume_of(TEXT, task_data.input_files(str(tmp_path), TEXT)) != before


@pytest.mark.parametrize("size", [10, 3000])
def test_a_file_that_changes_while_it_is_read_is_refused(size: int, tmp_path: Path) -> None:
    """Shorter or longer than it was when its header was written."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 1000)
    blocks = task_data.archive([path])
    next(blocks)
    path.write_bytes(b"x" * size)
    with pytest.raises(UserError, match="its length changed") as caught:
        list(blocks)
    assert "no program writes to it" in caught.value.hint


def test_a_large_text_is_read_in_pieces(tmp_path: Path) -> None:
    """A large sparse file becomes blocks of a megabyte, and no copy of it on the disk."""
    path = tmp_path / "a.txt"
    with path.open("wb") as file:
        file.truncate(1 << 28)
    sizes = [len(block) for block in task_data.archive([path])]
    assert sum(sizes) >= 1 << 28
    assert max(sizes) <= 1 << 20
