"""Signs of life: who is there, who is stopped, and who is dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from runner.devices.signs import (
    ABSENT_SECONDS,
    BLIND_SECONDS,
    Departures,
    Seen,
    Sign,
    Watcher,
    touched_at,
)
from runner.errors import HostError
from runner.records.layout import ROOT

ONE, TWO = f"{1:032x}", f"{2:032x}"
NOBODY = Seen(frozenset(), frozenset())
LIVES = """
import pathlib, sys
from runner.devices.signs import Sign
sign = Sign(pathlib.Path(sys.argv[1]), sys.argv[2])
print("there", flush=True)
sys.stdin.readline()
"""


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def watched(watcher: Watcher, clock: Clock, seconds: float) -> Seen:
    """What is seen after so long a time of looking."""
    until = clock.at + seconds
    seen = watcher.look([ONE])
    while clock.at < until:
        clock.at = min(until, clock.at + 0.25)
        seen = watcher.look([ONE])
    return seen


def test_a_sign_that_is_touched_is_somebody_who_is_there(tmp_path: Path) -> None:
    """However long one looks."""
    clock, sign = Clock(), Sign(tmp_path, ONE)
    watcher = Watcher(tmp_path, clock)
    for number in range(8):
        os.utime(tmp_path / f"{ONE}.alive", ns=(number, number))
        assert watched(watcher, clock, 0.9 * ABSENT_SECONDS) == NOBODY
    sign.close()


def test_a_sign_that_is_touched_no_more_is_absent_and_not_dead(tmp_path: Path) -> None:
    """Its process is there and does nothing; once it goes on, it is seen again at once."""
    clock, sign = Clock(), Sign(tmp_path, ONE)
    watcher = Watcher(tmp_path, clock)
    assert watched(watcher, clock, 0.9 * ABSENT_SECONDS) == NOBODY
    assert watched(watcher, clock, 0.2 * ABSENT_SECONDS) == Seen(frozenset(), frozenset({ONE}))
    sign.touch()
    assert watched(watcher, clock, 0) == NOBODY
    sign.close()


def test_touches_of_an_earlier_time_are_touches(tmp_path: Path) -> None:
    """A clock that is set back makes nobody absent."""
    clock, sign = Clock(), Sign(tmp_path, ONE)
    watcher = Watcher(tmp_path, clock)
    for back in (9_000, 8_000, 7_000):
        os.utime(tmp_path / f"{ONE}.alive", ns=(back, back))
        assert watched(watcher, clock, 0.9 * ABSENT_SECONDS) == NOBODY
    sign.close()


def test_who_did_not_look_calls_nobody_absent(tmp_path: Path) -> None:
    """A watcher that was stopped itself, or whose host slept, has seen nothing of that time."""
    clock, sign = Clock(), Sign(tmp_path, ONE)
    watcher = Watcher(tmp_path, clock)
    assert watched(watcher, clock, 0.5 * ABSENT_SECONDS) == NOBODY
    clock.at += 3600.0 + BLIND_SECONDS
    assert watched(watcher, clock, 0.9 * ABSENT_SECONDS) == NOBODY
    assert watched(watcher, clock, 0.2 * ABSENT_SECONDS).absent == {ONE}
    sign.close()


def test_who_has_left_is_dead(tmp_path: Path) -> None:
    """A sign that is not there or that nobody locks counts at once, and for each one alone."""
    left, there = Sign(tmp_path, ONE), Sign(tmp_path, TWO)
    left.close()
    assert Watcher(tmp_path).look([ONE, TWO]) == Seen(frozenset({ONE}), frozenset({ONE}))
    (tmp_path / f"{ONE}.alive").write_text("")
    assert Watcher(tmp_path).look([ONE, TWO]).dead == {ONE}
    there.close()
    assert list(tmp_path.iterdir()) == [tmp_path / f"{ONE}.alive"]


def test_a_killed_process_is_dead_and_a_stopped_one_is_not(tmp_path: Path) -> None:
    """The kernel says which, without a process id."""
    child = subprocess.Popen(
        [sys.executable, "-c", LIVES, str(tmp_path), ONE], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "there\n"
        child.send_signal(signal.SIGSTOP)
        assert Watcher(tmp_path).look([ONE]) == NOBODY
        child.kill()
        child.wait()
        assert Watcher(tmp_path).look([ONE]).dead == {ONE}


def test_a_sign_is_touched_in_a_thread_of_its_own(tmp_path: Path) -> None:
    """So that a trial that waits for its container is there; the thread ends with it."""
    sign = Sign(tmp_path, ONE)
    path = tmp_path / f"{ONE}.alive"
    os.utime(path, ns=(5, 5))
    threads = threading.active_count()
    tick = threading.Event()
    with sign.touched():
        for _ in range(500):
            if path.stat().st_mtime_ns != 5:
                break
            tick.wait(0.02)
    assert path.stat().st_mtime_ns != 5
    assert threading.active_count() == threads
    sign.close()


@pytest.mark.parametrize("what", ["pipe", "folder", "link"])
@pytest.mark.timeout(20)
def test_a_foreign_sign_hangs_nobody(tmp_path: Path, what: str) -> None:
    """Something else in its place is somebody who gives no sign."""
    path = tmp_path / f"{ONE}.alive"
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    assert touched_at(tmp_path, ONE) in (None, 0)
    clock = Clock()
    assert watched(Watcher(tmp_path, clock), clock, 2 * ABSENT_SECONDS).absent == {ONE}


def test_a_sign_that_cannot_be_made_is_an_error_for_people(tmp_path: Path) -> None:
    """Where there is no folder, or no room."""
    with pytest.raises(HostError, match="nowhere"):
        Sign(tmp_path / "nowhere", ONE)


def test_whoever_waits_is_woken_when_a_sign_is_closed(tmp_path: Path) -> None:
    """Not before that, and once for each sign."""
    sign, departures = Sign(tmp_path, ONE), Departures(tmp_path)
    departures.watch([ONE])
    assert not departures.wait(0.1)
    sign.close()
    assert departures.wait(10)
    departures.watch([ONE])
    assert not departures.wait(0.1)


def test_whoever_waits_is_woken_when_a_process_is_killed(tmp_path: Path) -> None:
    """A stopped one wakes nobody; the kernel frees the lock of one that was killed."""
    departures = Departures(tmp_path)
    argv = [sys.executable, "-c", LIVES, str(tmp_path), ONE]
    with subprocess.Popen(argv, cwd=ROOT, stdin=-1, stdout=-1) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        departures.watch([ONE])
        process.send_signal(signal.SIGSTOP)
        assert not departures.wait(0.1)
        process.kill()
        assert departures.wait(10)


def test_one_who_left_before_anybody_watched_wakes_at_once(tmp_path: Path) -> None:
    """So nothing is missed between a look at the queue and the wait."""
    departures = Departures(tmp_path)
    departures.watch([ONE, TWO])
    assert departures.wait(10)
