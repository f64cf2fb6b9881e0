"""Counts what a trial uses, by the kernel's own counters: processors, waiting, bytes.

train.py can write to none of the files that are read here. What the kernel of a machine does not
count is None. A thread takes its counters along when it ends, so threads are looked at while they
run, every `LOOK_SECONDS`. Each look is kept as a sample. So the runner, which learns from the judge
when the scoring began, can tell what was used before and after it.
"""

from __future__ import annotations

import itertools
import os
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

LOOK_SECONDS = 0.2
MAX_SAMPLES = 2000  # kept at once; at the end about 600 are left of any trial
GAP_SHARE = 0.02  # of a sample's age: how far it may lie from the next one
BUSY_SHARE = 0.25  # of the time between two looks: a thread that ran or waited longer is busy
USER_HZ = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Places:
    """Where the kernel shows its counters."""

    cgroup: Path
    proc: Path


KERNEL = Places(Path("/sys/fs/cgroup"), Path("/proc"))


class Gpu(Protocol):
    """A GPU that says how busy it is; `gpu.Gpu` is the real one."""

    def busy_share(self) -> float | None:
        """The share of the last fraction of a second in which it computed; None if unknown."""


@dataclass(frozen=True)
class Sample:
    """What was counted from the start of the trial until one moment.

    Attributes:
        at: seconds since 1970.
        cpu_seconds: processor time of the trial, without this program's own.
        waited_seconds: time in which its threads could have run and had no processor.
        others_seconds: processor time of everything else on the machine.
        stolen_seconds: processor time that the machine's own host gave to other machines.
        busy_threads: how many of its threads computed, or waited to, since the sample before.
    """

    at: float
    cpu_seconds: float | None
    waited_seconds: float | None
    others_seconds: float | None
    stolen_seconds: float | None
    busy_threads: int

    def row(self) -> list[float | None]:
        """The sample as `TrialExited.measured` carries it, in the order of the attributes."""
        counted = (
            self.cpu_seconds, self.waited_seconds, self.others_seconds, self.stolen_seconds,
        )  # fmt: skip
        return [round(self.at, 3), *map(_rounded, counted), self.busy_threads]


class Threads:
    """The threads of all processes of the container but this one, ended ones included.

    Args:
        proc: where /proc is.
    """

    def __init__(self, proc: Path) -> None:
        self._proc = proc
        self._last: dict[str, tuple[int, int]] = {}
        self._ended = (0, 0)
        self.busy = 0

    def look(self, seconds: float) -> tuple[float, float]:
        """The processor seconds and the waiting seconds of all threads so far.

        Args:
            seconds: how long ago the last look was.
        """
        now = dict(self._read())
        for name, (ran, waited) in self._last.items():
            if name not in now or now[name][0] < ran:  # ended; its number may be another's now
                self._ended = self._ended[0] + ran, self._ended[1] + waited
        enough = BUSY_SHARE * seconds * 1e9
        self.busy = sum(
            sum(counts) - self._before(name, counts) >= enough for name, counts in now.items()
        )
        self._last = now
        ran_ns = self._ended[0] + sum(ran for ran, _ in now.values())
        waited_ns = self._ended[1] + sum(waited for _, waited in now.values())
        return ran_ns / 1e9, waited_ns / 1e9

    def _before(self, name: str, now: tuple[int, int]) -> int:
        """What a thread had run and waited at the last look; 0 if the name was another's."""
        before = self._last.get(name, (0, 0))
        return sum(before) if before[0] <= now[0] else 0

    def _read(self) -> Iterator[tuple[str, tuple[int, int]]]:
        own = str(os.getpid())
        for pid in _names(self._proc):
            if not pid.isdecimal() or pid == own:
                continue
            for thread in _names(self._proc / pid / "task"):
                words = _words(self._proc / pid / "task" / thread / "schedstat")
                if len(words) >= 2 and words[0].isdecimal() and words[1].isdecimal():
                    yield f"{pid}/{thread}", (int(words[0]), int(words[1]))


class Counters:
    """Counts from the moment that it is made. Call `look` often; it reads when it is time to.

    Args:
        places: where the kernel's counters are.
        now: seconds since 1970.
        own_seconds: processor time of this program.
        io: this program's /proc/self/io, opened before it was closed to others; the kernel adds
            to it what every child that has ended read and wrote. None if there is none.
        gpu: the trial's GPU, if it has one.
        cores: those on which the trial runs, where it has not all of the machine's.
    """

    def __init__(
        self,
        places: Places = KERNEL,
        now: Callable[[], float] = time.time,
        own_seconds: Callable[[], float] = time.process_time,
        io: BinaryIO | None = None,
        gpu: Gpu | None = None,
        cores: frozenset[int] = frozenset(),
    ) -> None:
        self._places, self._now, self._own, self._io = places, now, own_seconds, io
        self._gpu, self._gpu_seconds = gpu, None if gpu is None else 0.0
        self._threads = Threads(places.proc)
        self._counts_threads = bool(_words(places.proc / "self" / "schedstat"))
        self._began = now()
        self._cpu, self._own_began = cpu_seconds(places.cgroup), own_seconds()
        self._cores = cores
        self._busy, self._stolen = machine_seconds(places.proc, cores)
        self._throttled = throttled_seconds(places.cgroup)
        self._pressure = pressure_seconds(places)
        self._bytes = self._read_bytes()
        self._samples = [Sample(self._began, 0.0, 0.0, 0.0, 0.0, 0)]

    def look(self) -> None:
        """Take a sample if the last one is `LOOK_SECONDS` old."""
        if self._now() - self._samples[-1].at >= LOOK_SECONDS:
            self._samples.append(self._sample())
            if len(self._samples) > MAX_SAMPLES:
                self._samples = thinned(self._samples)

    def measured(self) -> dict[str, Any]:
        """What `TrialExited.measured` says; to be called when the trial's processes have ended.

        Beside the fields of `Measured` in runner/records/schema.py it has `samples`.
        """
        last = self._sample()
        self._samples.append(last)
        read, written = self._read_bytes()
        return {
            "cpu_seconds": _rounded(last.cpu_seconds),
            "throttled_seconds": _since(throttled_seconds(self._places.cgroup), self._throttled),
            "waited_seconds": _rounded(last.waited_seconds),
            "pressure_seconds": _since(pressure_seconds(self._places), self._pressure),
            "gpu_seconds": _rounded(self._gpu_seconds),
            "others_seconds": _rounded(last.others_seconds),
            "stolen_seconds": _rounded(last.stolen_seconds),
            "read_bytes": _since(read, self._bytes[0]),
            "written_bytes": _since(written, self._bytes[1]),
            "samples": [sample.row() for sample in thinned(self._samples)],
        }

    def _sample(self) -> Sample:
        moment = self._now()
        seconds = moment - self._samples[-1].at
        ran, waited = self._threads.look(seconds)
        self._count_gpu(seconds)
        own = self._own() - self._own_began
        group = cpu_seconds(self._places.cgroup)
        if self._cpu is None or group is None:
            ended = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = max(ran, ended.ru_utime + ended.ru_stime)
        else:
            cpu = max(0.0, group - self._cpu - own)
        busy, stolen = machine_seconds(self._places.proc, self._cores)
        others = _since(busy, self._busy)
        return Sample(
            at=moment,
            cpu_seconds=cpu,
            waited_seconds=waited if self._counts_threads else None,
            others_seconds=None if others is None else max(0.0, others - cpu - own),
            stolen_seconds=_since(stolen, self._stolen),
            busy_threads=self._threads.busy,
        )

    def _count_gpu(self, seconds: float) -> None:
        share = None if self._gpu is None else self._gpu.busy_share()
        if share is not None and self._gpu_seconds is not None:
            self._gpu_seconds += share * seconds

    def _read_bytes(self) -> tuple[int | None, int | None]:
        """Bytes read from and written to disks, by whichever counter has seen more."""
        group, own = group_bytes(self._places.cgroup), process_bytes(self._io)
        return _larger(group[0], own[0]), _larger(group[1], own[1])


def thinned(samples: list[Sample]) -> list[Sample]:
    """The samples without those that lie too close together for their age.

    The newest second keeps all of its samples. An hour before the end one a minute is left. The
    first and the last sample always stay.
    """
    newest = samples[-1].at
    kept = [samples[-1]]
    for sample in reversed(samples[1:-1]):
        if kept[-1].at - sample.at >= GAP_SHARE * (newest - sample.at):
            kept.append(sample)
    first = samples[:1] if len(samples) > 1 else []
    return [*first, *reversed(kept)]


# --- the kernel's files ---------------------------------------------------------------------------


def cpu_seconds(cgroup: Path) -> float | None:
    """Processor time of the container since its start."""
    if words := _words(cgroup / "cpuacct" / "cpuacct.usage"):  # version 1
        return int(words[0]) / 1e9
    return _stat(cgroup / "cpu.stat", "usage_usec", 1e6)


def throttled_seconds(cgroup: Path) -> float | None:
    """Time in which the container's CPU limit held its threads back."""
    if (version_1 := _stat(cgroup / "cpu" / "cpu.stat", "throttled_time", 1e9)) is not None:
        return version_1
    return _stat(cgroup / "cpu.stat", "throttled_usec", 1e6)


def pressure_seconds(places: Places) -> float | None:
    """Time in which some thread waited for a processor: PSI.

    It is the container's own where the kernel counts it (version 2), else the whole machine's.
    """
    for path in (places.cgroup / "cpu.pressure", places.proc / "pressure" / "cpu"):
        for word in _words(path):
            if word.startswith("total="):
                return int(word.removeprefix("total=")) / 1e6  # the first line is `some`
    return None


def machine_seconds(
    proc: Path, cores: frozenset[int] = frozenset()
) -> tuple[float | None, float | None]:
    """Busy time of all processors, or of these, and the time stolen from them; proc(5), `stat`."""
    words, busy, stolen = _words(proc / "stat"), 0, 0
    for name in [f"cpu{core}" for core in cores] or ["cpu"]:
        row = words[words.index(name) + 1 :][:8] if name in words else []
        if len(row) < 8 or not all(word.isdecimal() for word in row):
            return None, None
        user, nice, system, _idle, _waits, interrupts, soft, gone = map(int, row)
        busy, stolen = busy + user + nice + system + interrupts + soft, stolen + gone
    return busy / USER_HZ, stolen / USER_HZ


def group_bytes(cgroup: Path) -> tuple[int | None, int | None]:
    """Bytes that the container read from and wrote to disks."""
    version_1 = _words(cgroup / "blkio" / "blkio.throttle.io_service_bytes_recursive")
    if version_1:
        pairs = list(itertools.pairwise(version_1))
        read, written = (
            sum(int(number) for word, number in pairs if word == kind) for kind in ("Read", "Write")
        )
        return read, written
    version_2 = _words(cgroup / "io.stat")
    if not version_2:
        return None, None
    return _sum(version_2, "rbytes="), _sum(version_2, "wbytes=")


def process_bytes(io: BinaryIO | None) -> tuple[int | None, int | None]:
    """Bytes that this program and its ended children read and wrote; proc(5), `io`."""
    if io is None:
        return None, None
    io.seek(0)
    counts = dict(line.split(b": ") for line in io.read().splitlines())
    return int(counts[b"read_bytes"]), int(counts[b"write_bytes"])


def open_io() -> BinaryIO | None:
    """This program's /proc/self/io. It can be opened only before `pid1.close_to_others`."""
    try:
        return Path("/proc/self/io").open("rb", buffering=0)
    except OSError:
        return None


def _words(path: Path) -> list[str]:
    """The words of a file of the kernel's; none if it cannot be read."""
    try:
        return path.read_text().split()
    except OSError:
        return []


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208  # many times a second: no object for each name
    except OSError:
        return []


def _stat(path: Path, name: str, per_second: float) -> float | None:
    words = _words(path)
    found = dict(zip(words[::2], words[1::2], strict=False)).get(name)
    return None if found is None else int(found) / per_second


def _sum(words: list[str], prefix: str) -> int:
    return sum(int(word.removeprefix(prefix)) for word in words if word.startswith(prefix))


def _larger(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else max(one, other)


def _since(now: float | None, before: float | None) -> Any:
    return None if now is None or before is None else _rounded(max(0, now - before))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
