"""The text of `pystdlib`: held-out documents are of packages alone, and nowhere else to be read."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import sysconfig
from collections import Counter
from pathlib import Path

import prepare
import pytest
from account import Account, BadInputError
from hypothesis import given
from hypothesis import strategies as st
from python_text import ELSEWHERE, SHORT, TWICE, SourceFile, read_python
from repeats import found_in, inner_line

FILES = 200


def module(number: int, lines: int = 12) -> str:
    """A Python file of about 450 bytes that no other number gives."""
    return "".join(f"name_{number}_{n} = {number * 1000 + n}  # said once\n" for n in range(lines))


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder with a package of many small files."""
    folder = tmp_path / "packages"
    (folder / "some").mkdir(parents=True)
    for number in range(FILES):
        (folder / "some" / f"m{number}.py").write_text(module(number))
    return folder


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A folder in the place of an image's root."""
    (tmp_path / "image" / "usr").mkdir(parents=True)
    return tmp_path / "image"


def split_of(number: int) -> str:
    """The split of a file of the package."""
    split: str = SourceFile(f"some/m{number}.py", Path(), of_library=False).split
    return split


def numbers(split: str) -> list[int]:
    """The files of the package that are in that split."""
    return [number for number in range(FILES) if split_of(number) == split]


def test_held_out_text_is_of_the_packages_alone(packages: Path, image: Path) -> None:
    """Each held-out document is a file of the package; half of the library is for training."""
    account = Account()
    documents = read_python(512, account, packages, image)
    for split in ("val", "test"):
        held_out = [text for its, text in documents if its == split]
        assert Counter(held_out) == Counter(module(number) for number in numbers(split))
        assert 0.1 < len(held_out) / FILES < 0.3
    training = [text for its, text in documents if its == "train"]
    assert set(training) >= {module(number) for number in numbers("train")}
    library = sum(map(len, training)) - sum(len(module(n)) for n in numbers("train"))
    source = Path(sysconfig.get_path("stdlib"))
    whole = sum(p.stat().st_size for p in source.glob("*.py"))
    assert whole > 2_000_000
    assert library > whole / 4
    assert account.left_out == {}
    assert account.documents == len(documents)
    assert account.bytes == sum(len(text.encode()) for _, text in documents)


def test_the_same_files_give_the_same_documents_in_the_same_order(
    packages: Path, image: Path
) -> None:
    """Neither the order of a folder nor its place changes anything."""
    first = read_python(512, Account(), packages, image)
    again = packages.rename(packages.parent / "elsewhere")
    assert read_python(512, Account(), again, image) == first


def test_a_document_that_the_image_holds_is_not_held_out(packages: Path, image: Path) -> None:
    """It is found within a larger file, in any folder; a part of it alone does not count."""
    lost, kept = numbers("val")[:2]
    text = f"# before\n{module(lost)}# after\n" + module(kept)[: len(module(kept)) // 2]
    (image / "usr" / "large.py").write_text(text)
    (image / "binary.py").write_bytes(b"\0" + module(kept).encode())
    account = Account()
    held_out = [d for s, d in read_python(512, account, packages, image) if s == "val"]
    assert module(lost) not in held_out
    assert module(kept) in held_out
    assert account.left_out[ELSEWHERE].count == 1
    assert account.left_out[ELSEWHERE].bytes == len(module(lost))


def test_a_document_that_is_learned_from_or_comes_twice_or_is_short_is_not_held_out(
    packages: Path, image: Path
) -> None:
    """Each is left out and counted under its reason; the first of two stays."""
    learned, held_out = numbers("train")[0], numbers("val")
    (packages / "some" / f"m{learned}.py").write_text(module(learned) + module(held_out[0]))
    (packages / "some" / f"m{held_out[1]}.py").write_text(module(held_out[2]))
    (packages / "some" / f"m{held_out[3]}.py").write_text("x = 1\ny = 2\nz = 3\n")
    (packages / "some" / f"m{held_out[4]}.py").write_text("x = 1\n" * 2 + "y" * 200)
    account = Account()
    documents = [d for s, d in read_python(512, account, packages, image) if s == "val"]
    assert Counter(documents) == Counter(
        module(number) for number in held_out if number not in (held_out[i] for i in (0, 1, 3, 4))
    )
    counts = {why: loss.count for why, loss in account.left_out.items()}
    assert counts == {ELSEWHERE: 1, TWICE: 1, SHORT: 2}


def test_without_the_packages_there_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In another image than that for data, the task cannot be prepared, and nothing is written."""
    with pytest.raises(BadInputError, match="are not in"):
        read_python(512, Account(), tmp_path / "none", tmp_path)
    places = [f"--{flag}={tmp_path / flag}" for flag in ("data", "heldout", "test-data")]
    assert prepare.main(["--task", "pystdlib", *places]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: preparing pystdlib: the packages whose text is held out")
    assert "bakeoff/data" in hint
    assert not list(tmp_path.rglob("*.*"))


LINES = st.lists(st.sampled_from(["abcdefghij", "a long line é", "b" * 9, "short", ""]), max_size=9)


@given(lines=LINES, before=LINES, after=LINES)
def test_a_document_is_found_wherever_it_is(
    lines: list[str], before: list[str], after: list[str]
) -> None:
    """It is found in exactly those texts that hold all its bytes together."""
    document, where = "\n".join(lines), "\n".join([*before, *lines, *after])
    if inner_line(document.encode()) is None:
        with pytest.raises(ValueError, match="inner line"):
            found_in([document], [])
        return
    apart = where.replace(document, document[:-1] + "|" if document[-1:] else "")
    texts = [where.encode(), apart.encode()]
    assert found_in([document], texts[:1]) == {0}
    assert found_in([document], texts[1:]) == ({0} if document in apart else set())
