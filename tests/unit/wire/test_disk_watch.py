"""When a container's volumes are walked, and what is found then."""

from __future__ import annotations

import queue
from pathlib import Path

import disk_watch
import pytest
from disk_use import DiskBound, DiskUse
from disk_watch import (
    LEAST_STEP,
    SPARE_SHARE,
    WALK_SECONDS,
    WALKS_SHARE,
    DiskWatch,
    Pace,
    Room,
    raised,
    unseen,
)

GB = 1 << 30
BOUND = DiskBound(8 * GB, 1000)
MANY_FILES = 1_000_000
SOON_SECONDS = 20.0


def room(free_gb: float, files: int = MANY_FILES) -> Room:
    return Room(int(free_gb * GB), files, 100 * GB)


def paced(use: DiskUse, seconds: float = 0.01) -> Pace:
    """The pace after a walk that ended at 100 s and took so long, with 50 GB free."""
    pace = Pace(BOUND)
    pace.walked(use, room(50), 100 - seconds, 100)
    return pace


def test_a_quiet_disk_is_walked_now_and_then() -> None:
    """After some seconds, and later when a walk takes long."""
    assert not paced(DiskUse(0, 5)).is_due(room(50), 100 + WALK_SECONDS - 0.1)
    assert paced(DiskUse(0, 5)).is_due(room(50), 100 + WALK_SECONDS)
    slow = paced(DiskUse(0, 5), seconds=2)
    assert not slow.is_due(room(50), 100 + 2 * WALKS_SHARE - 0.1)
    assert slow.is_due(room(50), 100 + 2 * WALKS_SHARE)


def test_a_disk_that_fills_is_walked_at_once() -> None:
    """As soon as half of what was left may have been written, in bytes or in files."""
    assert not paced(DiskUse(0, 5)).is_due(room(46.1), 100.5)
    assert paced(DiskUse(0, 5)).is_due(room(46), 100.5)
    near = paced(DiskUse(8 * GB - 1, 5))
    assert near.is_due(Room(50 * GB - LEAST_STEP.max_bytes, MANY_FILES, 100 * GB), 100.5)
    assert not near.is_due(Room(50 * GB - LEAST_STEP.max_bytes + 1, MANY_FILES, 100 * GB), 100.5)
    assert paced(DiskUse(0, 999)).is_due(room(50, MANY_FILES - 2000), 100.5)


def test_walks_leave_half_of_the_time_at_least() -> None:
    """However fast a disk fills, a walk that took a second is followed by a second without."""
    slow = paced(DiskUse(0, 5), seconds=1)
    assert not slow.is_due(room(1), 100.9)
    assert slow.is_due(room(1), 101)


def test_who_begins_over_the_bound_may_write_a_little() -> None:
    """Otherwise there would be no room in which to clear up."""
    assert raised(BOUND, DiskUse(8 * GB, 1000)) == BOUND
    spare = int(8 * GB * SPARE_SHARE)
    assert raised(BOUND, DiskUse(9 * GB, 5)) == DiskBound(9 * GB + spare, 1000)
    assert raised(BOUND, DiskUse(GB, 2000)).max_files == 2000 + int(1000 * SPARE_SHARE)
    linked = DiskUse(GB, 20, names=10_000)
    assert not linked.passes(raised(BOUND, linked))


def test_what_no_walk_shows_counts_only_where_little_is_free() -> None:
    """Others write there too, so little must be free, and more than the bound be lost."""
    assert unseen(BOUND, room(20), room(4), grown_bytes=0) == 16 * GB
    assert unseen(BOUND, room(20), room(6), grown_bytes=0) == 0
    assert unseen(BOUND, room(11), room(4), grown_bytes=0) == 0
    assert unseen(BOUND, room(20), room(4), grown_bytes=10 * GB) == 0
    assert unseen(BOUND, room(20), room(4), grown_bytes=-10 * GB) == 16 * GB


def watch_of(place: Path) -> tuple[DiskWatch, queue.Queue[DiskUse]]:
    """A watch over a folder that may take a megabyte, and what it tells."""
    told: queue.Queue[DiskUse] = queue.Queue()
    return DiskWatch([str(place)], DiskBound(1 << 20, 100), told.put), told


def test_a_folder_that_grows_is_told_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the thread that watches, and again only after the next `arm`."""
    monkeypatch.setattr(disk_watch, "WALK_SECONDS", 0.2)
    watch, told = watch_of(tmp_path)
    watch.arm()
    (tmp_path / "large").write_bytes(bytes(2 << 20))
    use = told.get(timeout=SOON_SECONDS)
    assert use.bytes > 1 << 20
    assert use.path == str(tmp_path)
    assert not watch.armed
    assert told.empty()
    watch.arm()
    (tmp_path / "more").write_bytes(bytes(1 << 20))
    assert told.get(timeout=SOON_SECONDS).bytes > 3 << 20
    watch.disarm()


def test_names_without_end_are_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They hide what lies behind them, and so are taken for too much; so they are at the end."""
    monkeypatch.setattr(disk_watch, "WALK_SECONDS", 0.2)
    watch, told = watch_of(tmp_path)
    watch.arm()
    (tmp_path / "file").write_bytes(b"x")
    for number in range(500):
        (tmp_path / str(number)).hardlink_to(tmp_path / "file")
    assert told.get(timeout=SOON_SECONDS).files < 100
    watch.disarm()
    assert watch.at_rest().passes(DiskBound(1 << 20, 100))


def test_a_folder_within_the_bound_is_not_told_of(tmp_path: Path) -> None:
    """Nor one that is not watched any more."""
    watch, told = watch_of(tmp_path)
    watch.arm()
    watch.disarm()
    (tmp_path / "large").write_bytes(bytes(2 << 20))
    assert watch.at_rest().bytes > 2 << 20
    assert told.empty()
    assert disk_watch.room_of(str(tmp_path)).all_bytes > 0
