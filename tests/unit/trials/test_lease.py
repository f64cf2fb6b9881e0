"""The device lease: one holder at a time, within a process and between processes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from runner.engine.containers import EngineInfo
from runner.records import layout
from runner.records.layout import ROOT
from runner.trials.lease import DeviceLease, LeaseAbandonedError

NEVER = threading.Event()
HOLD = """
import sys, threading, pathlib
from runner.trials.lease import DeviceLease
with DeviceLease("engine", "cpu", pathlib.Path(sys.argv[1])).held(threading.Event()):
    print("held", flush=True)
    sys.stdin.readline()
"""


def lease(folder: Path, device: str = "cpu") -> DeviceLease:
    return DeviceLease("engine", device, folder)


def test_a_free_device_is_had_at_once(tmp_path: Path) -> None:
    """Nobody waits for a device that nobody holds, a second time included."""
    for _ in range(2):
        with lease(tmp_path).held(NEVER) as held:
            assert held.waited_seconds < 3.5


def test_one_holder_at_a_time_and_the_wait_is_measured(tmp_path: Path) -> None:
    """Threads that want the same device have it one after the other, and know how long it took."""
    holders: list[int] = []
    most: list[int] = []
    waits: list[tuple[float, float]] = []
    all_began = threading.Barrier(4)

    def use(number: int) -> None:
        mine = lease(tmp_path)
        all_began.wait()
        began = time.monotonic()
        with mine.held(NEVER) as held:
            had = time.monotonic()
            holders.append(number)
            most.append(len(holders))
            while time.monotonic() - had < 0.4:
                most.append(len(holders))
                time.sleep(0.005)
            waits.append((held.waited_seconds, had - began))
            holders.remove(number)

    threads = [threading.Thread(target=use, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert set(most) == {1}
    assert len(waits) == 4
    # A thread may begin late, so each wait is compared with what its own thread saw of it.
    assert all(0 <= seen - waited < 3.5 for waited, seen in waits), waits


def test_a_runner_that_is_killed_frees_its_device(tmp_path: Path) -> None:
    """Another process's lease is waited for, and ends with that process however it ends."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        enough = threading.Event()
        threading.Timer(0.3, enough.set).start()
        with pytest.raises(LeaseAbandonedError), lease(tmp_path).held(enough):
            pass
        child.kill()
        child.wait()
    with lease(tmp_path).held(NEVER) as held:
        assert held.waited_seconds < 5


def test_a_run_that_is_over_waits_no_longer(tmp_path: Path) -> None:
    """An abandoned trial is not given the device, free or not."""
    over = threading.Event()
    over.set()
    with pytest.raises(LeaseAbandonedError), lease(tmp_path).held(over):
        pass


def test_another_device_is_another_lease(tmp_path: Path) -> None:
    """Two GPUs are used at the same time."""
    with lease(tmp_path, "gpu-0").held(NEVER), lease(tmp_path, "gpu-1").held(NEVER) as held:
        assert held.waited_seconds < 3.5


def test_an_error_of_the_holder_frees_the_device(tmp_path: Path) -> None:
    """A trial whose engine failed keeps nobody waiting."""
    with pytest.raises(RuntimeError), lease(tmp_path).held(NEVER):
        raise RuntimeError
    with lease(tmp_path).held(NEVER) as held:
        assert held.waited_seconds < 3.5


def test_the_folder_of_leases_is_everybodys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users of one machine share its devices: all may write there and read all, whatever the umask.

    Nobody writes to another's file: files are linked and removed alone.
    """
    monkeypatch.setattr(layout, "MACHINE_FOLDER", tmp_path)
    before = os.umask(0o077)
    try:
        with DeviceLease("engine", "cpu").held(NEVER):
            folder = tmp_path / "bakeoff-devices"
            assert stat.S_IMODE(folder.stat().st_mode) == 0o777
            files = list(folder.iterdir())
            assert files
            assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o644}
    finally:
        os.umask(before)


def test_the_place_of_leases_follows_no_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two users of one machine with other temporary folders still share its devices."""
    before = DeviceLease("engine", "cpu").queue.path
    for name in ("TMPDIR", "TEMP", "HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert DeviceLease("engine", "cpu").queue.path == before


def test_trials_of_one_device_share_a_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run, a calibration and a referee on the same GPU wait for each other, on another not."""
    monkeypatch.setattr(layout, "MACHINE_FOLDER", tmp_path)
    machine = EngineInfo("engine", "29", cpus=8, memory_bytes=16 << 30, gpus=True)
    with DeviceLease.of_trials(machine, ("0",)).held(NEVER):
        for gpus in (("1",), ()):
            with DeviceLease.of_trials(machine, gpus).held(NEVER) as held:
                assert held.waited_seconds < 3.5
        enough = threading.Event()
        threading.Timer(0.2, enough.set).start()
        same = DeviceLease.of_trials(machine, ("0",))
        with pytest.raises(LeaseAbandonedError), same.held(enough):
            pass


def test_runs_with_other_divisions_of_the_cores_never_share_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two halves are held at a time, and neither beside all cores or a quarter that is in it."""
    monkeypatch.setattr(layout, "MACHINE_FOLDER", tmp_path)
    machine = EngineInfo("engine", "29", cpus=9, memory_bytes=16 << 30, gpus=False)
    halves = DeviceLease.of_trials(machine, cpu_sets=2)
    with halves.held(NEVER) as first, halves.held(NEVER) as second:
        assert (first.device, second.device) == ("cores-0-3", "cores-4-7")
        for sets in (1, 2, 4):
            enough = threading.Event()
            threading.Timer(0.2, enough.set).start()
            lease = DeviceLease.of_trials(machine, cpu_sets=sets)
            with pytest.raises(LeaseAbandonedError), lease.held(enough):
                pass
    quarters = DeviceLease.of_trials(machine, cpu_sets=4)
    with quarters.held(NEVER) as quarter, halves.held(NEVER) as half:
        assert (quarter.device, half.device) == ("cores-0-1", "cores-4-7")
