"""The queue on the disk: no change is lost, whoever is stopped wherever, and nothing foreign hangs.

A process that is stopped between its reading and its writing is made by a change that itself does
what the others do meanwhile.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.devices.queue import Entry, Queue
from runner.devices.queue_folder import KEPT, QueueFolder
from runner.errors import HostError


def entry(number: int) -> Entry:
    return Entry(ticket=f"{number:032x}", wants=("engine/cpu",), run=f"run-{number}", trial=number)


def adding(number: int) -> Callable[[Queue], Queue]:
    """A change that adds an entry, unless it is there."""
    new = entry(number)
    return lambda queue: queue if queue.of(new.ticket) else queue.put(new)


def versions(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_one_writes_another_reads(tmp_path: Path) -> None:
    """Every field of an entry comes back, and the order of all."""
    full = Entry(
        ticket=f"{7:032x}", wants=("e/gpu-0", "e/gpu-1"), run="gpt-s1", trial=3, pid=42,
        asked_at="a", device="e/gpu-1", had_at="b", container="c", attached=2,
    )  # fmt: skip
    QueueFolder(tmp_path).change(adding(2))
    there = QueueFolder(tmp_path).change(lambda queue: queue.put(full))
    assert there.entries == (entry(2), full)
    assert QueueFolder(tmp_path).read() == there


def test_an_empty_folder_is_an_empty_queue(tmp_path: Path) -> None:
    """Nothing is written where nothing changes."""
    folder = QueueFolder(tmp_path)
    assert folder.newest() == (0, Queue())
    assert folder.change(lambda queue: queue) == Queue()
    assert versions(tmp_path) == []


@pytest.mark.parametrize("others", [1, 2, KEPT, 3 * KEPT])
def test_who_comes_too_late_decides_again(tmp_path: Path, others: int) -> None:
    """A change that was worked out on an old version has no effect, however old that is.

    After many versions the number that it would take is free again, because the old ones are
    cleared away.
    """
    folder, seen = QueueFolder(tmp_path), []

    def late(queue: Queue) -> Queue:
        seen.append(len(queue.entries))
        if len(seen) == 1:
            for number in range(others):
                folder.change(adding(number))
        return adding(99)(queue)

    there = folder.change(late)
    assert [each.trial for each in there.entries] == [*range(others), 99]
    assert folder.read() == there
    assert seen == [0, *[others] * (len(seen) - 2), others + 1]


def test_who_comes_too_late_can_change_its_mind(tmp_path: Path) -> None:
    """Of two that both saw a free device one has it, and the other is told so."""
    folder = QueueFolder(tmp_path)

    def taking(number: int) -> Callable[[Queue], Queue]:
        mine = entry(number).model_copy(update={"device": "engine/cpu"})
        return lambda queue: queue if queue.holders() else queue.put(mine)

    interrupted: list[bool] = []

    def late(queue: Queue) -> Queue:
        if not interrupted:
            interrupted.append(True)
            folder.change(taking(1))
        return taking(2)(queue)

    first = [entry.trial for entry in folder.change(late).holders()]
    assert first == [1]
    assert [entry.trial for entry in folder.read().holders()] == [1]


def test_no_change_of_many_is_lost(tmp_path: Path) -> None:
    """Threads that change the queue at one time are all in it in the end, each once."""
    began = threading.Barrier(8)

    def add(first: int) -> None:
        folder = QueueFolder(tmp_path)
        began.wait()
        for number in range(first, first + 25):
            folder.change(adding(number))

    threads = [threading.Thread(target=add, args=(100 * n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = [each.trial for each in QueueFolder(tmp_path).read().entries]
    assert sorted(found) == [100 * n + k for n in range(8) for k in range(25)]
    for first in range(0, 800, 100):
        mine = [number for number in found if first <= number < first + 100]
        assert mine == sorted(mine)


def test_old_versions_are_cleared_away(tmp_path: Path) -> None:
    """The folder does not grow, and nothing that was written aside stays."""
    folder = QueueFolder(tmp_path)
    for number in range(3 * KEPT):
        folder.change(lambda _, number=number: Queue(entries=(entry(number),)))  # type: ignore[misc]
    assert len(versions(tmp_path)) == KEPT
    assert all(name.startswith("queue.") for name in versions(tmp_path))


def test_a_version_is_everybodys_to_read_and_nobodys_to_write(tmp_path: Path) -> None:
    """Whatever the umask of the user who wrote it."""
    before = os.umask(0o077)
    try:
        QueueFolder(tmp_path).change(adding(1))
    finally:
        os.umask(before)
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def content(data: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(data)

    return write


FOREIGN: dict[str, Callable[[Path], object]] = {
    "empty": content(b""),
    "torn": content(b'{"entries":[{"ticket":"00'),
    "no JSON": content(b"\xff\x00\x80"),
    "another kind of JSON": content(b"[1, 2]"),
    "a ticket that is a path": content(b'{"entries":[{"ticket":"../../x","wants":[]}]}'),
    "deep": content(b"[" * 100_000),
    "large": content(b" " * (5 << 20)),
    "a folder": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),
    "a link": lambda path: path.symlink_to("/dev/zero"),
    "a link to nothing": lambda path: path.symlink_to(path.with_name("nothing")),
}


@pytest.mark.parametrize("what", FOREIGN)
@pytest.mark.timeout(20)
def test_what_is_torn_or_foreign_is_passed_over(tmp_path: Path, what: str) -> None:
    """Nobody hangs on it or fails by it, nobody loses a place, and the next version is good."""
    folder = QueueFolder(tmp_path)
    FOREIGN[what](tmp_path / "queue.1.json")
    assert folder.read() == Queue()
    folder.change(adding(1))
    FOREIGN[what](tmp_path / "queue.3.json")
    FOREIGN[what](tmp_path / "queue.4.json")
    assert folder.read().entries == (entry(1),)
    assert folder.change(adding(3)).entries == (entry(1), entry(3))
    assert folder.newest()[0] == 5


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    """Only what is called like a version is one."""
    names = ["queue.json", "queue.-1.json", "queue.9.json.part", "queue.٣.json", "notes", "a.alive"]
    for name in names:
        (tmp_path / name).write_text("mine")
    folder = QueueFolder(tmp_path)
    assert folder.newest() == (0, Queue())
    folder.change(adding(1))
    assert {(tmp_path / name).read_text() for name in names} == {"mine"}


@pytest.mark.timeout(60)
def test_a_number_that_leaves_no_room_is_an_error(tmp_path: Path) -> None:
    """Somebody's highest number of all does not make a run go round for ever."""
    (tmp_path / f"queue.{'9' * 15}.json").write_text("{}")
    with pytest.raises(HostError, match="without end") as caught:
        QueueFolder(tmp_path).change(adding(1))
    assert "remove that folder" in caught.value.hint


def test_no_folder_is_an_error_for_people(tmp_path: Path) -> None:
    """It names the place and what to do."""
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(HostError, match=place.name):
            QueueFolder(place).change(adding(1))
