"""The text of the task `pystdlib`: Python's standard library, and packages of the data image.

A model learns from half of the library's files and from most files of the packages. All held-out
text is of the packages' other files, because every trial and every agent has the library at hand.

Invariant: no held-out document is in the text that is learned from, in a text file of this image,
or in another held-out document's place.
"""

from __future__ import annotations

import hashlib
import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from account import Account, BadInputError
from pieces import cut, size_of
from repeats import found_in, inner_line

PACKAGES = Path("/opt/packages")  # of the image bakeoff/data alone
HELD_OUT_SHARE = 0.19  # of the packages' files for validation, and the same share for the test
LIBRARY_SHARE = 0.5  # of the library's files; more would take longer to prepare than to learn from
MIN_HELD_OUT_BYTES = 100  # a shorter document may be anywhere by chance
SKIPPED = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"}
NOT_OF_THE_IMAGE = {"proc", "sys", "dev", "tmp", "run", "data", "heldout", "test", "input"}
TEXT_SUFFIXES = {".py", ".pyi", ".txt", ".md", ".rst", ""}  # a test looks into all other files too
MAX_TEXT_BYTES = 32 << 20
PEEKED_BYTES = 8192

SHORT = "held-out documents that are too short to be told from others"
TWICE = "held-out documents that are the same as an earlier one"
ELSEWHERE = "held-out documents that are in the text that is learned from, or in this image"


@dataclass(frozen=True)
class SourceFile:
    """A Python file: its name below the folder of its library or package, and where it is."""

    name: str
    path: Path
    of_library: bool

    @property
    def split(self) -> str:
        """The split by a hash of the name; none for a file of the library that is not used."""
        share = int.from_bytes(self.digest[:8], "big") / 2**64
        if self.of_library:
            return "train" if share < LIBRARY_SHARE else ""
        if share < HELD_OUT_SHARE:
            return "val"
        return "test" if share < 2 * HELD_OUT_SHARE else "train"

    @property
    def digest(self) -> bytes:
        """A hash of the name: it decides the split and the order, on all machines alike."""
        return hashlib.sha256(self.name.encode()).digest()


def read_python(
    document_bytes: int, account: Account, packages: Path = PACKAGES, image: Path = Path("/")
) -> list[tuple[str, str]]:
    """The documents as (split, text), with what was left out in the account.

    The files come in the order of their hashes, so that every part of the text is a mixture.

    Args:
        document_bytes: longer documents are cut; see `cut`.
        account: is filled.
        packages: the folder of the packages' source text.
        image: the root of the files that a held-out document must not be in.

    Raises:
        BadInputError: the packages are not there.
    """
    files = sorted([*_library(), *_packages(packages)], key=lambda file: file.digest)
    files = [file for file in files if file.split]
    account.files = len(files)
    documents: list[tuple[str, str]] = []
    for file in files:
        lines = file.path.read_text("utf-8", "replace").splitlines(keepends=True)
        documents += [(file.split, piece) for piece in cut(lines, document_bytes)]
    learned = [file.path.read_bytes() for file in files if file.split == "train"]
    kept = [*_without_repeats(documents, learned, account, _texts(image, packages))]
    account.documents, account.bytes = len(kept), sum(size_of(text) for _, text in kept)
    return kept


def _without_repeats(
    documents: list[tuple[str, str]],
    learned: list[bytes],
    account: Account,
    others: Iterator[bytes],
) -> Iterator[tuple[str, str]]:
    """All documents for training, and the held-out ones that are nowhere else."""
    held_out: dict[str, None] = {}
    for split, text in documents:
        if split == "train":
            continue
        if len(text) < MIN_HELD_OUT_BYTES or inner_line(text.encode()) is None:
            account.leave_out(SHORT, size_of(text))
        elif text in held_out:
            account.leave_out(TWICE, size_of(text))
        else:
            held_out[text] = None
    texts = list(held_out)
    for place in found_in(texts, _all(learned, others)):
        account.leave_out(ELSEWHERE, size_of(texts[place]))
        del held_out[texts[place]]
    for split, text in documents:
        if split == "train":
            yield split, text
        elif text in held_out:
            del held_out[text]
            yield split, text


def _all(first: list[bytes], second: Iterator[bytes]) -> Iterator[bytes]:
    yield from first
    yield from second


def _library() -> Iterator[SourceFile]:
    """The standard library of the running Python, without tests and packages."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in root.rglob("*.py"):
        name = path.relative_to(root)
        if SKIPPED.isdisjoint(name.parts):
            yield SourceFile(name.as_posix(), path, of_library=True)


def _packages(folder: Path) -> Iterator[SourceFile]:
    found = [
        SourceFile(path.relative_to(folder).as_posix(), path, of_library=False)
        for path in folder.rglob("*.py")
    ]
    if not found:
        raise BadInputError(
            f"the packages whose text is held out are not in {folder}",
            "prepare this task in the image bakeoff/data, which `make images` builds",
        )
    yield from found


def _texts(image: Path, packages: Path) -> Iterator[bytes]:
    """The text files of an image, but for the packages and what is mounted."""
    for here, folders, names in os.walk(image):
        if Path(here) == image:
            folders[:] = [name for name in folders if name not in NOT_OF_THE_IMAGE]
        folders[:] = [name for name in folders if Path(here, name) != packages]
        for name in names:
            text = _text_of(Path(here, name))
            if text:
                yield text


def _text_of(path: Path) -> bytes:
    """The content of a regular text file that can be read; of any other, nothing."""
    try:
        if path.suffix not in TEXT_SUFFIXES or path.is_symlink() or not path.is_file():
            return b""
        if path.stat().st_size > MAX_TEXT_BYTES:
            return b""
        with path.open("rb") as file:
            start = file.read(PEEKED_BYTES)
            return b"" if b"\0" in start else start + file.read()
    except OSError:
        return b""
