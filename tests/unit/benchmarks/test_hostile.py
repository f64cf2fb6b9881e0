"""2,000 hostile archives, names and files: no reader raises, writes elsewhere, or takes long."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from benchmarks.hostile import archives
from benchmarks.hostile.__main__ import Found, run, table
from benchmarks.hostile.readers import CASES, EscapedError, check
from runner.collect import gateway_state

CASES_OF_THE_SUITE = 2000
SLOWEST_SECONDS = 5.0  # of one case; the slowest takes a tenth of a second


@pytest.fixture(scope="module")
def found() -> Found:
    return run(CASES_OF_THE_SUITE, seed=2)


def test_no_reader_raises_what_is_not_ours_or_writes_elsewhere(found: Found) -> None:
    """Whatever comes, there is an answer or an error of ours, and one file at most."""
    assert found.failures == []
    assert (found.raised, found.escaped) == (0, 0)


def test_all_kinds_were_tried(found: Found) -> None:
    """So none can pass because it was never made."""
    assert set(found.cases) == set(CASES)
    assert min(found.cases.values()) >= 20
    assert found.cases.total() == CASES_OF_THE_SUITE
    assert f"| all | {CASES_OF_THE_SUITE:,} |" in table(found)


def test_no_case_takes_long_or_much_memory(found: Found) -> None:
    """The sizes that a header claims cost nothing."""
    assert max(found.slowest_seconds.values()) <= SLOWEST_SECONDS
    assert found.memory_mb < 500


@pytest.mark.parametrize("name", ["passwd", "records/passwd", "records/a/000001.response.gz"])
def test_a_file_that_nobody_named_is_found(tmp_path: Path, name: str) -> None:
    """The control: what a reader must not write would be seen, and so would a link."""
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("x")
    with pytest.raises(EscapedError, match="was written"):
        check(tmp_path)
    (tmp_path / name).unlink()
    (tmp_path / archives.RECORD).parent.mkdir(exist_ok=True)
    (tmp_path / archives.RECORD).symlink_to("/etc/passwd")
    with pytest.raises(EscapedError, match="was written"):
        check(tmp_path)


def test_an_honest_archive_comes_in_pieces(tmp_path: Path) -> None:
    """Whatever the pieces, its record is kept and its content is whole."""
    for number in range(50):
        folder = tmp_path / str(number)
        folder.mkdir()
        whole = archives.member(archives.RECORD) + archives.END
        kept = gateway_state.keep_records(
            folder / "records", archives.in_chunks(whole, Random(number))
        )
        assert kept.files == 1
        assert (folder / archives.RECORD).read_bytes() == archives.CONTENT
