"""What a contestant leaves behind: processes that would outlive it, and names for the collector.

The host sees what became of both (`runner/proof/outside.py`). The attack that this stops: a daemon
that goes on after the end of its container, and a file or a name that harms whoever fetches it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

BEAT_SECONDS = 0.02
NAMES = (
    "honest.txt", "line\nbreak", "tab\there", "\x1b[2Jescape", "-rf", "..hidden", "=cmd|'x'!A0",
    "\u202ereversed", "\ufeffmark", "a" * 255, "%2e%2e%2fclimbs", "back\\slash", "CON", "@at",
    "<b>bold</b>", "[red]markup", "`tick`", "$(command)", "{brace}", "\u2066isolate",
)  # fmt: skip
HONEST = b"what an honest contestant leaves\n"
SPARSE_BYTES = 1 << 40
FOLDER = "probe-artefacts"
BEATS = "probe-beats"


def leave_daemon(folder: str) -> None:
    """Start a process that leaves its parents, ignores signals, and writes as long as it lives."""
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    for number in signal.valid_signals():
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)
    with (Path(folder) / BEATS).open("ab", buffering=0) as beats:
        while True:
            beats.write(b".")
            time.sleep(BEAT_SECONDS)


def wait_for_beats(folder: str, seconds: float = 5.0) -> None:
    """Wait until that process lives.

    Raises:
        TimeoutError: it does not begin.
    """
    until = time.monotonic() + seconds
    path = Path(folder) / BEATS
    while not (path.exists() and path.stat().st_size > 2):
        if time.monotonic() > until:
            raise TimeoutError("the daemon did not begin")
        time.sleep(BEAT_SECONDS)


def leave_artefacts(folder: str) -> None:
    """Make files with odd names, links out of the folder, and files that never end."""
    top = Path(folder) / FOLDER
    top.mkdir()
    (top / "names").mkdir()
    for name in NAMES:
        with contextlib.suppress(OSError):
            (top / "names" / name).write_bytes(HONEST)
    (top / "link").symlink_to("/etc/passwd")
    (top / "climbing").symlink_to("../../../../../../etc/passwd")
    (top / "circle").symlink_to("circle")
    (top / "first").symlink_to("/proc/1/environ")
    os.mkfifo(top / "pipe")
    with (top / "sparse").open("wb") as sparse, contextlib.suppress(OSError):
        os.truncate(sparse.fileno(), SPARSE_BYTES)
    (top / "honest.txt").write_bytes(HONEST)
