"""The device lease: whose turn it is, how soon a free device is noticed, and what a disk does."""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from runner.devices.queue import Queue
from runner.devices.queue_folder import QueueFolder
from runner.errors import HostError
from runner.records.layout import ROOT
from runner.trials.lease import DeviceLease, Holder, LeaseAbandonedError
from tests.unit.trials.lease_children import in_queue, wait_for

NEVER = threading.Event()
TRIALS, TRIAL_SECONDS = 20, 0.004
EVERY_VERSION = 100_000
RUN = f"""
import sys, time, threading, pathlib
from runner.devices.queue_folder import QueueFolder
from runner.trials.lease import DeviceLease, Holder
folder = pathlib.Path(sys.argv[1])
print("there", flush=True)
sys.stdin.readline()
for trial in range({TRIALS}):
    lease = DeviceLease("engine", "cpu", folder)
    lease.queue = QueueFolder(folder, kept={EVERY_VERSION})
    with lease.held(threading.Event(), Holder(sys.argv[2], trial)):
        time.sleep({TRIAL_SECONDS})
"""
FULL_DISK = """
import pathlib, resource, sys, threading
from runner.errors import HostError
from runner.trials.lease import DeviceLease
lease = DeviceLease("engine", "cpu", pathlib.Path(sys.argv[1]))
with lease.held(threading.Event()):
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # no file can grow any more
try:
    with lease.held(threading.Event()):
        print("held")
except HostError as error:
    print(error.message, error.hint)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "queue"


def one_run(folder: Path, run: str, began: threading.Barrier) -> None:
    """A run of some trials of a few milliseconds, one after the other."""
    lease = DeviceLease("engine", "cpu", folder)
    lease.queue = QueueFolder(folder, kept=EVERY_VERSION)
    began.wait(30)
    for trial in range(TRIALS):
        with lease.held(NEVER, Holder(run, trial)):
            time.sleep(TRIAL_SECONDS)


def history(folder: Path) -> list[Queue]:
    """All versions of the queue, in their order."""
    newest, _ = QueueFolder(folder).newest()
    texts = ((folder / f"queue.{n + 1}.json").read_bytes() for n in range(newest))
    return [Queue.model_validate_json(text) for text in texts]


def turns_waited(versions: Iterable[Queue]) -> list[int]:
    """For each trial, how many others had or got the device while it waited."""
    others: dict[str, set[str]] = {}
    for queue in versions:
        held = {entry.ticket for entry in queue.holders()}
        assert len(held) <= 1, "two have one device"
        for entry in queue.waiting():
            others.setdefault(entry.ticket, set()).update(held)
        for ticket in held:
            others.setdefault(ticket, set())
    return [len(each) for each in others.values()]


def test_runs_of_threads_take_turns(folder: Path) -> None:
    """Three runs of 20 trials on one device: none waits for more than two trials at a time."""
    began = threading.Barrier(3)
    threads = [threading.Thread(target=one_run, args=(folder, run, began)) for run in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    waited = turns_waited(history(folder))
    assert len(waited) == 3 * TRIALS
    assert max(waited) == 2


def test_runs_of_processes_take_turns(folder: Path) -> None:
    """Likewise when each has a process of its own, as runs have."""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", RUN, str(folder), run], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for run in "abc"
    ]  # fmt: skip
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "there\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        child.communicate(timeout=120)
    assert [child.returncode for child in children] == [0, 0, 0]
    waited = turns_waited(history(folder))
    assert len(waited) == 3 * TRIALS
    assert max(waited) == 2


def test_who_comes_first_is_served_first(folder: Path) -> None:
    """In the order in which they came, and each is shown at its place meanwhile."""
    served: list[str] = []

    def want(run: str) -> None:
        with DeviceLease("engine", "cpu", folder).held(NEVER, Holder(run, 1)):
            served.append(run)

    runs = [f"run-{number}" for number in range(6)]
    threads = []
    with DeviceLease("engine", "cpu", folder).held(NEVER, Holder("holder", 1)):
        for number, run in enumerate(runs):
            threads.append(threading.Thread(target=want, args=(run,)))
            threads[-1].start()
            wait_for(lambda: len(in_queue(folder)) == number + 2)  # noqa: B023 - called now
        assert in_queue(folder) == ["holder", *runs]
    for thread in threads:
        thread.join(30)
    assert served == runs


def test_a_free_device_is_noticed_soon(folder: Path) -> None:
    """Within 50 ms by the first in the queue; the half of ten times, three times as long."""
    took: list[float] = []
    for _ in range(10):
        had = threading.Event()
        moments: list[float] = []

        def want(had: threading.Event = had, moments: list[float] = moments) -> None:
            with DeviceLease("engine", "cpu", folder).held(NEVER, Holder("waiter", 1)):
                moments.append(time.monotonic())
                had.set()

        thread = threading.Thread(target=want)
        with DeviceLease("engine", "cpu", folder).held(NEVER):
            thread.start()
            wait_for(lambda: "waiter" in in_queue(folder))
            freed = time.monotonic()
        thread.join(30)
        took.append(moments[0] - freed)
    assert statistics.median(took) < 0.35  # who is not woken looks after 0.4 s


def test_a_run_that_ends_waits_no_longer_at_once(folder: Path) -> None:
    """Also one far behind in the queue, which seldom looks; and it leaves the queue."""
    lease = DeviceLease("engine", "cpu", folder)
    enough = [threading.Event() for _ in range(8)]
    ended: list[float] = []

    def want(abandon: threading.Event) -> None:
        with pytest.raises(LeaseAbandonedError), lease.held(abandon, Holder("waiter", 1)):
            pass
        ended.append(time.monotonic())

    with lease.held(NEVER, Holder("holder", 1)):
        threads = [threading.Thread(target=want, args=(event,)) for event in enough]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(in_queue(folder)) == 9)
        began = time.monotonic()
        for event in enough:
            event.set()
        for thread in threads:
            thread.join(30)
        assert max(ended) - began < 1.5  # those far behind look every two seconds
        assert in_queue(folder) == ["holder"]


def test_one_who_wants_any_of_several_devices_has_the_first_free_one(folder: Path) -> None:
    """And leaves the others to who comes next."""
    both = DeviceLease("engine", ("gpu-0", "gpu-1"), folder)
    with both.held(NEVER) as first, both.held(NEVER) as second:
        assert (first.device, second.device) == ("gpu-0", "gpu-1")
        enough = threading.Event()
        threading.Timer(0.2, enough.set).start()
        with pytest.raises(LeaseAbandonedError), both.held(enough):
            pass
    with DeviceLease("engine", "gpu-0", folder).held(NEVER), both.held(NEVER) as held:
        assert held.device == "gpu-1"
    with DeviceLease("another", "gpu-0", folder).held(NEVER), both.held(NEVER) as held:
        assert held.device == "gpu-0"


def test_a_full_disk_is_an_error_for_people_and_keeps_no_device(folder: Path) -> None:
    """Who holds the device can give it back, and who wants it is told what to do; nobody hangs."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(folder)], cwd=ROOT, text=True, timeout=60,
        capture_output=True, check=True,
    )  # fmt: skip
    assert str(folder) in done.stdout
    assert "make room on the disk" in done.stdout
    with DeviceLease("engine", "cpu", folder).held(NEVER) as held:
        assert held.waited_seconds < 3


def test_a_file_in_the_place_of_the_folder_is_an_error_for_people(folder: Path) -> None:
    """Also a link to a folder, which somebody else may have made."""
    elsewhere = folder.with_name("elsewhere")
    elsewhere.mkdir()
    makes: list[Callable[[], object]] = [folder.touch, lambda: folder.symlink_to(elsewhere)]
    for make in makes:
        make()
        with (
            pytest.raises(HostError, match="it is no folder"),
            DeviceLease("engine", "cpu", folder).held(NEVER),
        ):
            pass
        folder.unlink()
