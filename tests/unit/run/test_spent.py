"""What a dead runner had spent: to the second, and never twice."""

from __future__ import annotations

import pytest

from runner.records.clock import keep_reading, kept_reading
from runner.records.files import append_line
from runner.records.journal import Journal
from runner.records.layout import RunDir
from runner.records.schema import ClockReading, Spent, TrialRecord
from runner.run.spent import last_spent


def journalled(run_dir: RunDir, seconds: float) -> None:
    fields = Spent(wall_seconds=seconds, elapsed_seconds=seconds).model_dump()
    Journal(run_dir).write("clock.read", **fields)


def kept(run_dir: RunDir, seconds: float) -> None:
    keep_reading(
        run_dir, ClockReading(spent=Spent(wall_seconds=seconds - 2, elapsed_seconds=seconds))
    )


def test_the_reading_of_every_second_is_the_last_one(run_dir: RunDir) -> None:
    """It tells more than the journal; what was journalled after it adds nothing."""
    journalled(run_dir, 15.0)
    kept(run_dir, 28.0)
    Journal(run_dir).write("trial.started", trial=1)
    spent = last_spent(run_dir)
    assert (spent.wall_seconds, spent.elapsed_seconds) == (26.0, 28.0)


def test_a_run_that_died_before_the_journal_had_a_reading_lived(run_dir: RunDir) -> None:
    """The file alone tells of it."""
    kept(run_dir, 5.0)
    assert last_spent(run_dir).elapsed_seconds == 5.0


def test_an_older_file_is_not_believed(run_dir: RunDir) -> None:
    """After a power cut the file may be behind the journal, which was synced."""
    kept(run_dir, 9.0)
    journalled(run_dir, 15.0)
    assert last_spent(run_dir).elapsed_seconds == pytest.approx(15.0, abs=1.0)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"spent": 7}', b"\xff" * 100])
def test_a_torn_file_is_none(run_dir: RunDir, content: bytes) -> None:
    """The journal's reading counts then."""
    journalled(run_dir, 15.0)
    run_dir.clock.write_bytes(content)
    assert kept_reading(run_dir) is None
    assert last_spent(run_dir).elapsed_seconds == pytest.approx(15.0, abs=1.0)


def test_a_folder_in_the_place_of_the_file_ends_nothing(run_dir: RunDir) -> None:
    """A sign of life that cannot be kept is not worth a run."""
    run_dir.clock.mkdir()
    kept(run_dir, 9.0)
    assert kept_reading(run_dir) is None


def test_a_turn_that_began_after_the_last_reading_has_its_number(run_dir: RunDir) -> None:
    """Else the next turn got the same one, and its transcript took the place of the first."""
    kept(run_dir, 5.0)
    Journal(run_dir).write("turn.started", turn=3)
    Journal(run_dir).write("turn.started", turn="three")
    assert last_spent(run_dir).turns == 3


def test_devices_are_counted_by_the_ledger(run_dir: RunDir) -> None:
    """As long as trials and checks held one, and not what a clock read of an attempt."""
    keep_reading(run_dir, ClockReading(spent=Spent(device_seconds=99.0), trial=2))
    for number, seconds in ((1, 7.5), (2, 8.0)):
        record = TrialRecord(
            trial=number, source="agent", request="r", status="ok", wall_seconds=seconds
        )
        append_line(run_dir.trials, record)
    Journal(run_dir).write("check.finished", request="c", seconds=2.0)
    assert last_spent(run_dir).device_seconds == 17.5
