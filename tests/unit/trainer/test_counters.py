"""The counters of a trial, on files as both versions of control groups show them."""

from __future__ import annotations

import ctypes
import io
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from images.trainer import gpu
from images.trainer.counters import USER_HZ, Counters, Places, Sample, Threads, thinned

IO_FILE = b"rchar: 9\nwchar: 9\nread_bytes: %d\nwrite_bytes: %d\ncancelled_write_bytes: 0\n"


class Machine:
    """The kernel's files in a folder, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.places = Places(folder / "cgroup", folder / "proc")
        self.time = 1000.0
        self.write("proc/self/schedstat", "1 1 1")
        self.others(0)

    def write(self, name: str, text: str) -> None:
        path = self.places.proc.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def thread(self, name: str, ran_seconds: float, waited_seconds: float) -> None:
        pid, tid = name.split("/")
        ran, waited = int(ran_seconds * 1e9), int(waited_seconds * 1e9)
        self.write(f"proc/{pid}/task/{tid}/schedstat", f"{ran} {waited} 7\n")

    def others(self, seconds: float, stolen: float = 0) -> None:
        """The machine's busy time; most of it is user time, the rest counts as well."""
        ticks, stolen_ticks = int(seconds * USER_HZ), int(stolen * USER_HZ)
        self.write("proc/stat", f"cpu  {ticks} 0 0 500 60 0 0 {stolen_ticks} 0 0\ncpu0 1 1\n")

    def counters(self, **fields: object) -> Counters:
        return Counters(self.places, lambda: self.time, lambda: 0.0, **fields)  # type: ignore[arg-type]  # a test's own few


def version_1(machine: Machine, cpu_seconds: float, read: int) -> None:
    machine.write("cgroup/cpuacct/cpuacct.usage", f"{int(cpu_seconds * 1e9)}\n")
    machine.write("cgroup/cpu/cpu.stat", "nr_periods 3\nnr_throttled 1\nthrottled_time 500000000\n")
    machine.write(
        "cgroup/blkio/blkio.throttle.io_service_bytes_recursive",
        f"8:0 Read {read}\n8:0 Write 5\n8:0 Total {read + 5}\n9:0 Read 1\nTotal {read + 6}\n",
    )
    machine.write("proc/pressure/cpu", f"some avg10=0 total={int(cpu_seconds * 1e6)}\nfull total=0")


def version_2(machine: Machine, cpu_seconds: float, read: int) -> None:
    machine.write(
        "cgroup/cpu.stat", f"usage_usec {int(cpu_seconds * 1e6)}\nthrottled_usec 500000\n"
    )
    machine.write("cgroup/io.stat", f"8:0 rbytes={read} wbytes=5 rios=1\n9:0 rbytes=1 wbytes=0\n")
    machine.write(
        "cgroup/cpu.pressure", f"some avg10=0 total={int(cpu_seconds * 1e6)}\nfull total=0"
    )


@pytest.mark.parametrize("group", [version_1, version_2])
def test_both_versions_of_control_groups_are_read(
    tmp_path: Path, group: Callable[[Machine, float, int], None]
) -> None:
    """Each figure is what was counted since the start, and others are all but the trial."""
    machine = Machine(tmp_path)
    group(machine, 5.0, 100)
    machine.others(100)
    counters = machine.counters()
    group(machine, 8.0, 300)
    machine.others(110, stolen=2)
    machine.time += 4
    found = counters.measured()
    assert found.pop("samples")[-1] == [1004.0, 3.0, 0.0, 7.0, 2.0, 0]
    assert found == {
        "cpu_seconds": 3.0, "throttled_seconds": 0.0, "waited_seconds": 0.0,
        "pressure_seconds": 3.0, "others_seconds": 7.0, "stolen_seconds": 2.0,
        "gpu_seconds": None, "read_bytes": 200, "written_bytes": 0,
    }  # fmt: skip


def test_a_kernel_that_counts_nothing_gives_none(tmp_path: Path) -> None:
    """A file that is missing is no zero; processor time then comes from the ended children."""
    found = Counters(Places(tmp_path / "a", tmp_path / "b")).measured()
    assert found["cpu_seconds"] >= 0
    names = ("throttled_seconds", "waited_seconds", "pressure_seconds", "others_seconds",
             "stolen_seconds", "gpu_seconds", "read_bytes", "written_bytes")  # fmt: skip
    assert [name for name in names if found[name] is not None] == []


def test_bytes_of_ended_children_are_counted_where_the_group_has_none(tmp_path: Path) -> None:
    """The kernel adds to a program's own figures what its ended children read and wrote."""
    file = io.BytesIO(IO_FILE % (50, 0))
    counters = Machine(tmp_path).counters(io=file)
    file.seek(0)
    file.write(IO_FILE % (250, 70))
    found = counters.measured()
    assert (found["read_bytes"], found["written_bytes"]) == (200, 70)


def test_a_busy_gpu_is_counted_in_seconds(tmp_path: Path) -> None:
    """Its busy share is summed over the time between two looks; it may fail to answer."""
    machine = Machine(tmp_path)
    shares = iter([0.5, None, 1.0])

    class Gpu:
        def busy_share(self) -> float | None:
            return next(shares)

    counters = machine.counters(gpu=Gpu())
    for _ in range(2):
        machine.time += 2
        counters.look()
    machine.time += 1
    assert counters.measured()["gpu_seconds"] == 2.0


def test_what_others_do_on_other_cores_is_not_counted(tmp_path: Path) -> None:
    """A trial that has a set of cores is not kept from a processor by what runs on the others."""
    machine = Machine(tmp_path)

    def stat(first: int, second: int) -> None:
        ticks = [seconds * USER_HZ for seconds in (first, second)]
        rows = [f"cpu{n} {it} 0 0 9 0 0 0 {it} 0 0\n" for n, it in enumerate(ticks)]
        machine.write("proc/stat", f"cpu  {sum(ticks)} 0 0 9 0 0 0 0 0 0\n" + "".join(rows))

    version_1(machine, 0.0, 0)
    stat(0, 0)
    whole = machine.counters()
    second, missing = (machine.counters(cores=frozenset(it)) for it in ({1}, {1, 2}))
    stat(7, 2)
    assert (whole.measured()["others_seconds"], second.measured()["others_seconds"]) == (9, 2)
    assert second.measured()["stolen_seconds"] == 2
    assert missing.measured()["others_seconds"] is None


def test_a_container_without_a_gpu_loads_no_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the driver's device there is no GPU to ask, whatever this machine has."""
    loaded: list[str] = []
    monkeypatch.setattr(gpu, "DEVICE", tmp_path / "nvidiactl")
    monkeypatch.setattr(ctypes, "CDLL", loaded.append)
    assert gpu.find_gpu() is None
    assert loaded == []


def test_a_driver_without_its_library_is_no_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine may show the device and leave the library out."""
    device = tmp_path / "nvidiactl"
    device.touch()
    monkeypatch.setattr(gpu, "DEVICE", device)
    monkeypatch.setattr(gpu, "LIBRARY", str(tmp_path / "no-such-library"))
    assert gpu.find_gpu() is None


def test_ended_threads_stay_counted(tmp_path: Path) -> None:
    """A thread takes its counters along when it ends, and its number may become another's."""
    machine = Machine(tmp_path)
    threads = Threads(machine.places.proc)
    machine.thread("7/7", 1.0, 0.5)
    machine.thread("7/8", 2.0, 0.0)
    assert threads.look(10.0) == (3.0, 0.5)
    machine.thread("7/8", 0.25, 0.25)
    assert threads.look(10.0) == (3.25, 0.75)
    for file in machine.places.proc.glob("7/task/*/schedstat"):
        file.unlink()
    assert threads.look(10.0) == (3.25, 0.75)


def test_threads_that_computed_since_the_last_look_are_busy(tmp_path: Path) -> None:
    """A quarter of the time makes a thread busy, be it that it ran or that others kept it."""
    machine = Machine(tmp_path)
    threads = Threads(machine.places.proc)
    for name in ("7/7", "7/8", "9/9"):
        machine.thread(name, 1.0, 0.0)
    threads.look(1.0)
    assert threads.busy == 3
    machine.thread("7/7", 1.24, 0.0)
    machine.thread("7/8", 1.26, 0.0)
    machine.thread("9/9", 1.01, 0.3)
    threads.look(1.0)
    assert threads.busy == 2


def test_looks_are_taken_every_fifth_of_a_second(tmp_path: Path) -> None:
    """Calls in between cost nothing and leave no sample."""
    machine = Machine(tmp_path)
    counters = machine.counters()
    for _ in range(100):
        machine.time += 0.05
        counters.look()
    assert 20 <= len(counters.measured()["samples"]) <= 27


def test_samples_of_a_long_trial_are_few_and_fine_at_its_end() -> None:
    """A trial of a day leaves less than a line's worth, and the last second keeps all."""
    samples = [Sample(at / 5, 0.0, 0.0, 0.0, 0.0, 0) for at in range(5 * 86_400)]
    kept = thinned(samples)
    assert (kept[0], kept[-1]) == (samples[0], samples[-1])
    assert kept[-6:] == samples[-6:]
    assert len(kept) < 700
    for before, after in itertools.pairwise(kept[1:]):
        assert after.at - before.at <= 0.02 * (kept[-1].at - before.at) + 0.2


def test_thinning_again_and_again_keeps_the_bound(tmp_path: Path) -> None:
    """Samples are thinned while the trial runs, so that PID 1 stays small."""
    machine = Machine(tmp_path)
    counters = machine.counters()
    for _ in range(9000):
        machine.time += 0.2
        counters.look()
    assert len(counters.measured()["samples"]) < 700
