"""A Docker engine that belongs to a benchmark alone, so that everything may happen to it.

It needs root and Linux: `dockerd`, a loop device for a disk of its own, a cgroup and a bridge of
its own. No other engine of the machine, and none of its containers, is touched. The bridge is there
because an engine that is told to have none removes that of the machine's other engine.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import IO

GIB = 1 << 30
PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.1
CGROUPS = Path("/sys/fs/cgroup")
NEVER_KILLED = "-1000"  # as oom_score_adj: the kernel takes another process
FILL = "fill"


class OwnEngine:
    """An engine with a disk, a socket and a bound of memory of its own.

    Args:
        here: an empty folder, on a short path, because a socket is made there.
        disk_bytes: how large its disk is. It takes that room only as it is filled.
        live_restore: containers go on while the engine is restarted.

    Raises:
        OSError: this user may not do that, or a program is missing.
        subprocess.CalledProcessError: likewise.
    """

    def __init__(self, here: Path, disk_bytes: int, *, live_restore: bool) -> None:
        self.address = f"unix://{here / 'docker.sock'}"
        self._here = here
        self._live_restore = live_restore
        self._data = here / "data"
        self._cgroup = f"bakeoff-{here.name}"
        self._bridge = f"bakeoff{os.getpid() % 10**7}"
        self._process: subprocess.Popen[bytes] | None = None
        disk = here / "disk"
        with disk.open("wb") as file:
            file.truncate(disk_bytes)
        self._data.mkdir()
        subprocess.run(["mkfs.ext4", "-q", "-F", disk], check=True)
        subprocess.run(["mount", "-o", "loop", disk, self._data], check=True)
        subprocess.run(["ip", "link", "add", self._bridge, "type", "bridge"], check=True)
        self.start()

    def start(self) -> None:
        """Start the engine and wait until it answers.

        Raises:
            RuntimeError: it does not.
        """
        with (self._here / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "dockerd", "--host", self.address, "--data-root", str(self._data),
                    "--exec-root", str(self._here / "exec"),
                    "--pidfile", str(self._here / "pid"),
                    "--cgroup-parent", f"/{self._cgroup}",
                    "--bridge", self._bridge, "--iptables=false", "--ip-forward=false",
                    *(["--live-restore"] if self._live_restore else []),
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        until = time.monotonic() + PATIENCE_SECONDS
        while not self.answers():
            if time.monotonic() > until or self._process.poll() is not None:
                raise RuntimeError(f"dockerd does not answer; its log is {self._here / 'log'}")
            time.sleep(LOOK_SECONDS)

    def answers(self) -> bool:
        asked = ["docker", "--host", self.address, "version"]
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0

    def take_images(self, names: list[str]) -> None:
        """Copy images here from the machine's ordinary engine.

        Raises:
            subprocess.CalledProcessError: there is no such image, or too little room.
        """
        with subprocess.Popen(["docker", "save", *names], stdout=subprocess.PIPE) as saved:
            subprocess.run(
                ["docker", "--host", self.address, "load", "--quiet"],
                stdin=saved.stdout, stdout=subprocess.DEVNULL, check=True,
            )  # fmt: skip

    def stop(self) -> None:
        """End the engine in an orderly way. Without live-restore its containers end, too."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(PATIENCE_SECONDS)

    def fill_disk(self) -> None:
        """Leave no room on the engine's disk."""
        with (self._data / FILL).open("wb") as file:
            for piece in (GIB, GIB >> 4, GIB >> 10, 1 << 12):
                _grow(file, piece)

    def empty_disk(self) -> None:
        """Give the room back."""
        (self._data / FILL).unlink(missing_ok=True)

    def exhaust_memory(self, room_bytes: int, seconds: float) -> None:
        """Let all its containers together have no memory left for so long.

        A process that the kernel never kills takes what they may have together. So it kills theirs.

        Args:
            room_bytes: how much they may have together.
            seconds: for how long.
        """
        limit, members = self._memory_files()
        limit.write_text(str(room_bytes))
        try:
            eater = subprocess.Popen(
                ["python3", "-c", EATER.format(members=members, seconds=seconds, room=room_bytes)]
            )
            eater.wait()
        finally:
            limit.write_text("-1" if limit.name.endswith("bytes") else "max")

    def _memory_files(self) -> tuple[Path, Path]:
        """Where the bound of memory is written, and the members of the cgroup."""
        first = CGROUPS / "memory" / self._cgroup  # cgroup v1
        if first.exists():
            return first / "memory.limit_in_bytes", first / "cgroup.procs"
        folder = CGROUPS / self._cgroup
        eater = folder / "eater"
        eater.mkdir(exist_ok=True)  # in version 2 only a leaf has members
        return folder / "memory.max", eater / "cgroup.procs"

    def close(self) -> None:
        """End it and remove all that it has."""
        there = subprocess.run(
            ["docker", "--host", self.address, "ps", "--all", "--quiet"],
            capture_output=True, text=True, check=False,
        ).stdout.split()  # fmt: skip
        if there:  # with live-restore they would outlive it
            removed = ["docker", "--host", self.address, "rm", "--force", *there]
            subprocess.run(removed, stdout=subprocess.DEVNULL, check=False)
        self.stop()
        subprocess.run(["umount", "--lazy", self._data], check=False)
        subprocess.run(["ip", "link", "delete", self._bridge], check=False)
        (self._here / "disk").unlink(missing_ok=True)


# Its own start is before it joins the cgroup, so that it dies of nothing there.
EATER = """
import mmap, os, time
open("/proc/self/oom_score_adj", "w").write("-1000")
open("{members}", "w").write(str(os.getpid()))
until, taken = time.monotonic() + {seconds}, []
while time.monotonic() < until:
    if 16 * len(taken) << 20 < {room} - (64 << 20):
        piece = mmap.mmap(-1, 16 << 20)
        for at in range(0, 16 << 20, 4096):
            piece[at] = 1
        taken.append(piece)
    else:
        time.sleep(0.05)
"""


def _grow(file: IO[bytes], piece: int) -> None:
    """Make the file longer, piece by piece, until there is no more room."""
    end = file.seek(0, os.SEEK_END)
    while True:
        try:
            os.posix_fallocate(file.fileno(), end, piece)
        except OSError:
            return
        end = file.seek(0, os.SEEK_END)
