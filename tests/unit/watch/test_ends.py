"""Reading files while they grow: each whole line once, whatever lies in a file's place."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.watch.ends import Growing, last_lines


def test_each_whole_line_comes_once(tmp_path: Path) -> None:
    """A line that is being written comes when it is whole; the file may come late."""
    path = tmp_path / "events.jsonl"
    growing = Growing(path)
    assert growing.lines() == []
    for piece, lines in ((b"a", []), (b"b\nc\nd", [b"ab", b"c"]), (b"", []), (b"\n", [b"d"])):
        with path.open("ab") as file:
            file.write(piece)
        assert growing.lines() == lines


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=9).map(lambda line: line.replace(b"\n", b"")), max_size=9))
def test_the_end_of_a_file_has_whole_lines_only(tmp_path: Path, lines: list[bytes]) -> None:
    """Whatever is cut off, what comes is a tail of the lines."""
    path = tmp_path / "lines"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    found = last_lines(path, 12)
    assert found == lines[len(lines) - len(found) :]


def test_a_file_that_is_written_anew_is_read_anew(tmp_path: Path) -> None:
    """The log of a repeated trial takes the place of the first one's."""
    path = tmp_path / "train.log"
    path.write_bytes(b"one\ntwo\n")
    growing = Growing(path)
    assert growing.lines() == [b"one", b"two"]
    path.write_bytes(b"new\n")
    assert growing.lines() == [b"new"]


def test_what_is_no_file_has_no_lines(tmp_path: Path) -> None:
    """Directories, pipes and links: nothing is read, nothing is waited for."""
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/etc/passwd")
    for name in ("directory", "pipe", "link", "nothing"):
        assert last_lines(tmp_path / name) == []
