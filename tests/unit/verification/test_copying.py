"""The program that takes a handed-out model over: it takes the promised file or nothing."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from runner.verification import copying

MODEL = b"model" * 1000
DIGEST = hashlib.sha256(MODEL).hexdigest()


def test_the_promised_file_is_copied(tmp_path: Path) -> None:
    """The copy is the file, byte for byte."""
    (tmp_path / "model.pt").write_bytes(MODEL)
    assert copying.copy(tmp_path / "model.pt", tmp_path / "copy", DIGEST) == ""
    assert (tmp_path / "copy").read_bytes() == MODEL


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    """What was added after the promise may hold what the scored rows showed."""
    (tmp_path / "model.pt").write_bytes(MODEL + b"!")
    assert "changed" in copying.copy(tmp_path / "model.pt", tmp_path / "copy", DIGEST)


def test_a_file_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more than the bound is ever copied."""
    monkeypatch.setattr(copying, "MAX_BYTES", 100)
    (tmp_path / "model.pt").write_bytes(MODEL)
    assert "more than" in copying.copy(tmp_path / "model.pt", tmp_path / "copy", DIGEST)
    assert (tmp_path / "copy").stat().st_size <= 100


@pytest.mark.parametrize("kind", ["missing", "link", "pipe", "folder"])
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    """A contestant may put anything in the file's place; nothing is followed or waited for."""
    place = tmp_path / "model.pt"
    if kind == "link":
        (tmp_path / "other").write_bytes(MODEL)
        place.symlink_to(tmp_path / "other")
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    assert copying.copy(place, tmp_path / "copy", DIGEST) != ""
    assert not (tmp_path / "copy").exists()
